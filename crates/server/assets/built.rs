// Made by `npm run build` in web-demo/.
BuiltPage {
    script: "sha256-btLu/hHWIqjSKJ9CDrnlNGmUZ67ZiLnis4/z0PUR3Ws=",
    style: "sha256-QbwjLQ8XthjjdG7bgoWuCFEZz6zd3Vh+s9vO9X1IMAQ=",
    files: &[
        Built {
            name: "board-BMhCTaEL.js",
            content_type: "text/javascript; charset=utf-8",
            gzip: include_bytes!("board-BMhCTaEL.js.gz"),
            brotli: include_bytes!("board-BMhCTaEL.js.br"),
        },
        Built {
            name: "board-WV7Fx3sI.css",
            content_type: "text/css; charset=utf-8",
            gzip: include_bytes!("board-WV7Fx3sI.css.gz"),
            brotli: include_bytes!("board-WV7Fx3sI.css.br"),
        },
        Built {
            name: "caret-BAV-ZUkq.js",
            content_type: "text/javascript; charset=utf-8",
            gzip: include_bytes!("caret-BAV-ZUkq.js.gz"),
            brotli: include_bytes!("caret-BAV-ZUkq.js.br"),
        },
        Built {
            name: "code-BjTK-Urb.css",
            content_type: "text/css; charset=utf-8",
            gzip: include_bytes!("code-BjTK-Urb.css.gz"),
            brotli: include_bytes!("code-BjTK-Urb.css.br"),
        },
        Built {
            name: "code-CNujThSs.js",
            content_type: "text/javascript; charset=utf-8",
            gzip: include_bytes!("code-CNujThSs.js.gz"),
            brotli: include_bytes!("code-CNujThSs.js.br"),
        },
        Built {
            name: "icon-WSRpSPED.svg",
            content_type: "image/svg+xml",
            gzip: include_bytes!("icon-WSRpSPED.svg.gz"),
            brotli: include_bytes!("icon-WSRpSPED.svg.br"),
        },
        Built {
            name: "index-DH0pjB3m.js",
            content_type: "text/javascript; charset=utf-8",
            gzip: include_bytes!("index-DH0pjB3m.js.gz"),
            brotli: include_bytes!("index-DH0pjB3m.js.br"),
        },
        Built {
            name: "licences-BJM1FtYr.txt",
            content_type: "text/plain; charset=utf-8",
            gzip: include_bytes!("licences-BJM1FtYr.txt.gz"),
            brotli: include_bytes!("licences-BJM1FtYr.txt.br"),
        },
        Built {
            name: "notes-Dl-mF0DY.css",
            content_type: "text/css; charset=utf-8",
            gzip: include_bytes!("notes-Dl-mF0DY.css.gz"),
            brotli: include_bytes!("notes-Dl-mF0DY.css.br"),
        },
        Built {
            name: "notes-IMfCpeDE.js",
            content_type: "text/javascript; charset=utf-8",
            gzip: include_bytes!("notes-IMfCpeDE.js.gz"),
            brotli: include_bytes!("notes-IMfCpeDE.js.br"),
        },
        Built {
            name: "positions-DkjI01Nz.js",
            content_type: "text/javascript; charset=utf-8",
            gzip: include_bytes!("positions-DkjI01Nz.js.gz"),
            brotli: include_bytes!("positions-DkjI01Nz.js.br"),
        },
        Built {
            name: "tools-DkDknbHu.js",
            content_type: "text/javascript; charset=utf-8",
            gzip: include_bytes!("tools-DkDknbHu.js.gz"),
            brotli: include_bytes!("tools-DkDknbHu.js.br"),
        },
        Built {
            name: "write-4hpCkDb-.js",
            content_type: "text/javascript; charset=utf-8",
            gzip: include_bytes!("write-4hpCkDb-.js.gz"),
            brotli: include_bytes!("write-4hpCkDb-.js.br"),
        },
        Built {
            name: "write-DC2-4D4_.css",
            content_type: "text/css; charset=utf-8",
            gzip: include_bytes!("write-DC2-4D4_.css.gz"),
            brotli: include_bytes!("write-DC2-4D4_.css.br"),
        },
        Built {
            name: "yjs-BCSxWZ6c.js",
            content_type: "text/javascript; charset=utf-8",
            gzip: include_bytes!("yjs-BCSxWZ6c.js.gz"),
            brotli: include_bytes!("yjs-BCSxWZ6c.js.br"),
        },
        Built {
            name: "index.html",
            content_type: "text/html; charset=utf-8",
            gzip: include_bytes!("index.html.gz"),
            brotli: include_bytes!("index.html.br"),
        },
    ],
}
