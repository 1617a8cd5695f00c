//! The files of the page at `/`, embedded in the binary.
//!
//! They are built from `web-demo/`, compressed, and committed, so that building the server needs no Node. Each is sent as it
//! was compressed there; who takes neither brotli nor gzip gets it unpacked.

use std::io::Read as _;
use std::sync::{LazyLock, OnceLock};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::HeaderValue;

/// One file as it is served.
#[derive(Debug)]
pub(crate) struct Asset {
    /// The path it is served at.
    pub(crate) path: String,
    pub(crate) content_type: &'static str,
    pub(crate) cache_control: &'static str,
    /// The sum of its content, for entity tags.
    sum: u32,
    built: &'static Built,
    plain: OnceLock<Bytes>,
}

/// How a file is packed when it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Brotli,
    Gzip,
    Plain,
}

/// All files of the page.
#[derive(Debug)]
pub(crate) struct Assets {
    files: Vec<Asset>,
    /// What the page may load and run.
    pub(crate) policy: HeaderValue,
}

/// A file as the build has made it.
#[derive(Debug)]
struct Built {
    name: &'static str,
    content_type: &'static str,
    gzip: &'static [u8],
    brotli: &'static [u8],
}

/// What the build has made.
struct BuiltPage {
    /// Sums of the one script and the one style that stand in the page itself.
    script: &'static str,
    style: &'static str,
    files: &'static [Built],
}

static BUILT: BuiltPage = include!("../../assets/built.rs");

/// The page names other files by their content, so they are kept for ever and the page itself is always asked for.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const ASK_FIRST: &str = "no-cache";

impl Packing {
    /// Its name in `Content-Encoding`, if it has one.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some("br"),
            Self::Gzip => Some("gzip"),
            Self::Plain => None,
        }
    }
}

impl Asset {
    fn new(built: &'static Built) -> Self {
        let is_page = built.name == "index.html";
        Self {
            path: if is_page { "/".to_owned() } else { format!("/assets/{}", built.name) },
            content_type: built.content_type,
            cache_control: if is_page { ASK_FIRST } else { FOR_EVER },
            sum: crc32fast::hash(built.gzip),
            built,
            plain: OnceLock::new(),
        }
    }

    /// Its bytes in this packing.
    pub(crate) fn body(&self, packing: Packing) -> Bytes {
        match packing {
            Packing::Brotli => Bytes::from_static(self.built.brotli),
            Packing::Gzip => Bytes::from_static(self.built.gzip),
            Packing::Plain => self.plain.get_or_init(|| unpack(self.built.gzip)).clone(),
        }
    }

    /// Its entity tag in this packing, which changes with its content.
    pub(crate) fn tag(&self, packing: Packing) -> HeaderValue {
        header(&format!("\"{:08x}{}\"", self.sum, packing.name().unwrap_or_default()))
    }
}

impl Assets {
    /// Those of this binary.
    pub(crate) fn embedded() -> &'static Self {
        static EMBEDDED: LazyLock<Assets> = LazyLock::new(Assets::load);
        &EMBEDDED
    }

    /// The file at this path.
    pub(crate) fn find(&self, path: &str) -> Option<&Asset> {
        self.files.iter().find(|asset| asset.path == path)
    }

    fn load() -> Self {
        // Nothing is loaded from elsewhere, no script and no style is run that is not the build's, and nobody frames the page.
        let policy = format!(
            "default-src 'none'; script-src 'self' '{}'; style-src 'self' '{}'; img-src 'self' data:; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            BUILT.script, BUILT.style
        );
        Self { files: BUILT.files.iter().map(Asset::new).collect(), policy: header(&policy) }
    }
}

fn unpack(gzip: &[u8]) -> Bytes {
    let mut plain = Vec::new();
    #[expect(clippy::expect_used, reason = "a test unpacks every file of the binary")]
    GzDecoder::new(gzip).read_to_end(&mut plain).expect("a whole file");
    plain.into()
}

fn header(value: &str) -> HeaderValue {
    #[expect(
        clippy::expect_used,
        reason = "made of hexadecimal digits, or of what the build wrote, which a test holds"
    )]
    HeaderValue::from_str(value).expect("a valid header value")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn every_file_is_whole_and_found_at_its_name() {
        let assets = Assets::embedded();
        let page = String::from_utf8(assets.find("/").unwrap().body(Packing::Plain).to_vec()).unwrap();
        assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
        for asset in &assets.files {
            let [gzip, brotli, plain] =
                [Packing::Gzip, Packing::Brotli, Packing::Plain].map(|packing| asset.body(packing));
            assert!(!plain.is_empty() && !brotli.is_empty(), "{}", asset.path);
            assert_eq!(gzip[..2], [0x1f, 0x8b], "{}", asset.path);
        }
        let named: Vec<_> = page.split('"').filter_map(|part| part.strip_prefix("./assets/")).collect();
        assert!(named.len() >= 2, "{named:?}");
        for name in named {
            assert!(assets.find(&format!("/assets/{name}")).is_some(), "{name}");
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    fn walk(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
    }

    /// The build writes the sums of its sources and of what it made to `assets/SOURCES`. If this fails, run
    /// `npm ci && npm run build` in `web-demo/` and commit the result. A test there builds it anew and compares.
    #[test]
    fn the_page_is_in_step_with_its_source() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let list = fs::read_to_string(root.join("crates/server/assets/SOURCES")).unwrap();
        let listed: Vec<(&str, &str)> = list.lines().map(|line| line.split_once("  ").unwrap()).collect();
        for (sum, file) in &listed {
            let bytes = fs::read(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert_eq!(hex(&Sha256::digest(bytes)), *sum, "{file} has changed since the page was built");
        }
        for folder in ["web-demo/src", "web-demo/build", "crates/server/assets"] {
            for path in walk(&root.join(folder)) {
                let file = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
                assert!(
                    file.ends_with("/SOURCES") || listed.iter().any(|(_, listed)| *listed == file),
                    "{file} was not there when the page was built"
                );
            }
        }
    }
}
