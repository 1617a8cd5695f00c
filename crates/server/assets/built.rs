// Made by `npm run build` in web-demo/.
BuiltPage {
    script: "sha256-llngYLLzbgmgmAMoOctDwq17fyIHjjYGeDFUZ5TR86s=",
    style: "sha256-aiT0C1gqyWZL6Y9jqyPpzpymUYCTpufk2EbBq0RRbhc=",
    files: &[
        Built {
            name: "board-CNhpubN8.js",
            content_type: "text/javascript; charset=utf-8",
            gzip: include_bytes!("board-CNhpubN8.js.gz"),
            brotli: include_bytes!("board-CNhpubN8.js.br"),
        },
        Built {
            name: "board-DvnnXsGR.css",
            content_type: "text/css; charset=utf-8",
            gzip: include_bytes!("board-DvnnXsGR.css.gz"),
            brotli: include_bytes!("board-DvnnXsGR.css.br"),
        },
        Built {
            name: "caret-DFS2kTq2.js",
            content_type: "text/javascript; charset=utf-8",
            gzip: include_bytes!("caret-DFS2kTq2.js.gz"),
            brotli: include_bytes!("caret-DFS2kTq2.js.br"),
        },
        Built {
            name: "code-6C7KGAzb.js",
            content_type: "text/javascript; charset=utf-8",
            gzip: include_bytes!("code-6C7KGAzb.js.gz"),
            brotli: include_bytes!("code-6C7KGAzb.js.br"),
        },
        Built {
            name: "code-BjTK-Urb.css",
            content_type: "text/css; charset=utf-8",
            gzip: include_bytes!("code-BjTK-Urb.css.gz"),
            brotli: include_bytes!("code-BjTK-Urb.css.br"),
        },
        Built {
            name: "icon-WSRpSPED.svg",
            content_type: "image/svg+xml",
            gzip: include_bytes!("icon-WSRpSPED.svg.gz"),
            brotli: include_bytes!("icon-WSRpSPED.svg.br"),
        },
        Built {
            name: "index-DbQ5o7u9.js",
            content_type: "text/javascript; charset=utf-8",
            gzip: include_bytes!("index-DbQ5o7u9.js.gz"),
            brotli: include_bytes!("index-DbQ5o7u9.js.br"),
        },
        Built {
            name: "notes-BYEqzqoo.css",
            content_type: "text/css; charset=utf-8",
            gzip: include_bytes!("notes-BYEqzqoo.css.gz"),
            brotli: include_bytes!("notes-BYEqzqoo.css.br"),
        },
        Built {
            name: "notes-CB6GUULk.js",
            content_type: "text/javascript; charset=utf-8",
            gzip: include_bytes!("notes-CB6GUULk.js.gz"),
            brotli: include_bytes!("notes-CB6GUULk.js.br"),
        },
        Built {
            name: "tools-ByOQ12ih.js",
            content_type: "text/javascript; charset=utf-8",
            gzip: include_bytes!("tools-ByOQ12ih.js.gz"),
            brotli: include_bytes!("tools-ByOQ12ih.js.br"),
        },
        Built {
            name: "write-DC2-4D4_.css",
            content_type: "text/css; charset=utf-8",
            gzip: include_bytes!("write-DC2-4D4_.css.gz"),
            brotli: include_bytes!("write-DC2-4D4_.css.br"),
        },
        Built {
            name: "write-aVhbv0iy.js",
            content_type: "text/javascript; charset=utf-8",
            gzip: include_bytes!("write-aVhbv0iy.js.gz"),
            brotli: include_bytes!("write-aVhbv0iy.js.br"),
        },
        Built {
            name: "yjs-D-IEwjt9.js",
            content_type: "text/javascript; charset=utf-8",
            gzip: include_bytes!("yjs-D-IEwjt9.js.gz"),
            brotli: include_bytes!("yjs-D-IEwjt9.js.br"),
        },
        Built {
            name: "index.html",
            content_type: "text/html; charset=utf-8",
            gzip: include_bytes!("index.html.gz"),
            brotli: include_bytes!("index.html.br"),
        },
    ],
}
