//! The files of the page at `/`, embedded in the binary.
//!
//! They are built from `web-demo/`, and committed so that building the server needs no Node.

use std::sync::LazyLock;

use bytes::Bytes;
use http::HeaderValue;

/// One file as it is served.
#[derive(Debug)]
pub(crate) struct Asset {
    /// The path it is served at.
    pub(crate) path: String,
    pub(crate) content_type: &'static str,
    pub(crate) cache_control: &'static str,
    /// Its entity tag, which changes with its content.
    pub(crate) tag: HeaderValue,
    pub(crate) body: Bytes,
}

/// All files of the page.
#[derive(Debug)]
pub(crate) struct Assets(Vec<Asset>);

/// The page names other files by their content, so they are kept for ever and the page itself is always asked for.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const ASK_FIRST: &str = "no-cache";

impl Assets {
    /// Those of this binary.
    pub(crate) fn embedded() -> &'static Self {
        static EMBEDDED: LazyLock<Assets> = LazyLock::new(Assets::load);
        &EMBEDDED
    }

    /// The file at this path.
    pub(crate) fn find(&self, path: &str) -> Option<&Asset> {
        self.0.iter().find(|asset| asset.path == path)
    }

    fn load() -> Self {
        let parts: [(&str, &str, &'static [u8]); 3] = [
            ("app.js", "text/javascript; charset=utf-8", include_bytes!("../../assets/app.js")),
            ("app.css", "text/css; charset=utf-8", include_bytes!("../../assets/app.css")),
            ("icon.svg", "image/svg+xml", include_bytes!("../../assets/icon.svg")),
        ];
        let mut page = include_str!("../../assets/index.html").to_owned();
        let mut assets = Vec::new();
        for (name, content_type, body) in parts {
            let sum = crc32fast::hash(body);
            let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
            let served = format!("assets/{stem}-{sum:08x}.{extension}");
            page = page.replace(&format!("assets/{name}"), &served);
            assets.push(Asset {
                path: format!("/{served}"),
                content_type,
                cache_control: FOR_EVER,
                tag: tag(sum),
                body: Bytes::from_static(body),
            });
        }
        assets.push(Asset {
            path: "/".to_owned(),
            content_type: "text/html; charset=utf-8",
            cache_control: ASK_FIRST,
            tag: tag(crc32fast::hash(page.as_bytes())),
            body: Bytes::from(page),
        });
        Self(assets)
    }
}

fn tag(sum: u32) -> HeaderValue {
    #[expect(clippy::expect_used, reason = "hexadecimal digits in quotes are a valid header value")]
    HeaderValue::from_str(&format!("\"{sum:08x}\"")).expect("a valid header value")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn the_page_names_its_files_by_their_content() {
        let assets = Assets::embedded();
        let page = std::str::from_utf8(&assets.find("/").unwrap().body).unwrap().to_owned();
        for asset in assets.0.iter().filter(|asset| asset.path != "/") {
            assert!(
                page.contains(&format!("\"./{}\"", asset.path.trim_start_matches('/'))),
                "{}",
                asset.path
            );
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    /// The build writes the sums of its sources and of what it made to `assets/SOURCES`. If this fails, run
    /// `npm ci && npm run build` in `web-demo/` and commit the result.
    #[test]
    fn the_bundle_is_in_step_with_its_source() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let list = fs::read_to_string(root.join("crates/server/assets/SOURCES")).unwrap();
        let listed: Vec<(&str, &str)> = list.lines().map(|line| line.split_once("  ").unwrap()).collect();
        for (sum, file) in &listed {
            let bytes = fs::read(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert_eq!(hex(&Sha256::digest(bytes)), *sum, "{file} has changed since the bundle was built");
        }
        let sources = fs::read_dir(root.join("web-demo/src")).unwrap();
        let fixed = ["web-demo/build.mjs", "web-demo/package.json", "web-demo/package-lock.json"];
        let sources = sources.map(|entry| format!("web-demo/src/{}", entry.unwrap().file_name().display()));
        for file in sources.chain(fixed.map(str::to_owned)) {
            assert!(
                listed.iter().any(|(_, listed)| *listed == file),
                "{file} was not there when the bundle was built"
            );
        }
    }
}
