// Made by `npm run build` in web-demo/.
BuiltPage {
    script: "sha256-sayllpmXzGE93inTLRg+xk2KgtOCzsCCPUFsKRJ8la0=",
    style: "sha256-p87jeVOWoSXN57XLV+42krpzYGxrK3u78SD9ar2Tjw0=",
    files: &[
        Built {
            name: "board-WV7Fx3sI.css",
            content_type: "text/css; charset=utf-8",
            gzip: include_bytes!("board-WV7Fx3sI.css.gz"),
            brotli: include_bytes!("board-WV7Fx3sI.css.br"),
        },
        Built {
            name: "board-rx_21r3b.js",
            content_type: "text/javascript; charset=utf-8",
            gzip: include_bytes!("board-rx_21r3b.js.gz"),
            brotli: include_bytes!("board-rx_21r3b.js.br"),
        },
        Built {
            name: "caret-CGl6Ema7.js",
            content_type: "text/javascript; charset=utf-8",
            gzip: include_bytes!("caret-CGl6Ema7.js.gz"),
            brotli: include_bytes!("caret-CGl6Ema7.js.br"),
        },
        Built {
            name: "code-BjTK-Urb.css",
            content_type: "text/css; charset=utf-8",
            gzip: include_bytes!("code-BjTK-Urb.css.gz"),
            brotli: include_bytes!("code-BjTK-Urb.css.br"),
        },
        Built {
            name: "code-Cz49fu-a.js",
            content_type: "text/javascript; charset=utf-8",
            gzip: include_bytes!("code-Cz49fu-a.js.gz"),
            brotli: include_bytes!("code-Cz49fu-a.js.br"),
        },
        Built {
            name: "icon-WSRpSPED.svg",
            content_type: "image/svg+xml",
            gzip: include_bytes!("icon-WSRpSPED.svg.gz"),
            brotli: include_bytes!("icon-WSRpSPED.svg.br"),
        },
        Built {
            name: "index-D6eTxWdx.js",
            content_type: "text/javascript; charset=utf-8",
            gzip: include_bytes!("index-D6eTxWdx.js.gz"),
            brotli: include_bytes!("index-D6eTxWdx.js.br"),
        },
        Built {
            name: "notes-BYEqzqoo.css",
            content_type: "text/css; charset=utf-8",
            gzip: include_bytes!("notes-BYEqzqoo.css.gz"),
            brotli: include_bytes!("notes-BYEqzqoo.css.br"),
        },
        Built {
            name: "notes-BaXchjMv.js",
            content_type: "text/javascript; charset=utf-8",
            gzip: include_bytes!("notes-BaXchjMv.js.gz"),
            brotli: include_bytes!("notes-BaXchjMv.js.br"),
        },
        Built {
            name: "tools-DkDknbHu.js",
            content_type: "text/javascript; charset=utf-8",
            gzip: include_bytes!("tools-DkDknbHu.js.gz"),
            brotli: include_bytes!("tools-DkDknbHu.js.br"),
        },
        Built {
            name: "write-DC2-4D4_.css",
            content_type: "text/css; charset=utf-8",
            gzip: include_bytes!("write-DC2-4D4_.css.gz"),
            brotli: include_bytes!("write-DC2-4D4_.css.br"),
        },
        Built {
            name: "write-DpUc7EZn.js",
            content_type: "text/javascript; charset=utf-8",
            gzip: include_bytes!("write-DpUc7EZn.js.gz"),
            brotli: include_bytes!("write-DpUc7EZn.js.br"),
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
