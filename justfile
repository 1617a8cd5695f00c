# The entrance for developers. `just` alone lists what there is.

set shell := ["bash", "-euo", "pipefail", "-c"]

[private]
default:
    @just --list --unsorted

# Run the server: just run --listen 127.0.0.1:1234 --data ./quire-data
run *args:
    scripts/run.sh {{ args }}

# Set up and pass everything, as CI does
test:
    scripts/test.sh

# Test one crate: just test-crate view limits
test-crate crate *args:
    cargo test --package quire-{{ crate }} {{ args }}

# Format all Rust sources
fmt:
    cargo fmt --all

# Lints, warnings denied
lint:
    cargo clippy --workspace --all-targets -- --deny warnings
    cargo clippy --package quire-sync-protocol --no-default-features -- --deny warnings

# API documentation, warnings denied: just doc --open
doc *args:
    RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps {{ args }}

# The repository's checks of itself: layers, links, sizes, words
tidy:
    cargo test --package quire-tests --test tidy

# Licences, duplicates and sources of dependencies (needs cargo-deny)
deny:
    cargo deny check bans licenses sources

# Known advisories against dependencies (needs cargo-deny and the network)
advisories:
    cargo deny check advisories

# Build and test the npm package by itself
client:
    npm test --prefix client

# Build the page at / into crates/server/assets, to be committed (npm ci --prefix web-demo once)
demo:
    npm run build --prefix web-demo
    npm test --prefix web-demo

# The real npm clients against the real binary: just interop presence.test.mjs
interop *files:
    cargo build --package quire-server
    cd tests/interop && node lib/take-client.mjs && node run.mjs {{ files }}

# Idle clients of every kind on the server's own intervals: just idle 300000 (milliseconds)
idle ms="300000":
    cargo build --package quire-server
    cd tests/interop && QUIRE_IDLE={{ ms }} node --test --test-timeout=7200000 idle.test.mjs

# Any bytes against the laws, for some seconds (needs cargo-fuzz and a nightly compiler): just fuzz updates 600
fuzz target seconds="60":
    mkdir -p fuzz/corpus/{{ target }}
    cargo +nightly fuzz run {{ target }} fuzz/corpus/{{ target }} crates/testkit/corpus/{{ target }} -- \
        -max_len=4096 -max_total_time={{ seconds }}

# The property tests with many cases: just properties 100000
properties cases="10000":
    QUIRE_PROPERTY_CASES={{ cases }} cargo test --release --package quire-sync-protocol --package quire-testkit

# The real yjs reads every update that is taken out of the kept inputs, or of those in a folder
fuzz-yjs folder="crates/testkit/corpus/updates":
    cargo build --package quire-testkit --bin corpus
    node tests/interop/fuzz/accepted.mjs {{ folder }}

# Three servers over PostgreSQL and Redis are restarted one after the other under typing clients: just rolling 300
rolling clients="300":
    cargo build --package quire-server
    cd tests/interop && QUIRE_ROLLING={{ clients }} node --test rolling.test.mjs

# What an edit costs on one, two and four servers, and how soon it is seen elsewhere
bench-nodes:
    cargo build --release --package quire-server --bin quire
    cd tests/interop && QUIRE_BIN="${CARGO_TARGET_DIR:-../../target}/release/quire" node bench-nodes.mjs

# Clusters in virtual time, each seed with its own faults: nodes agree, nothing confirmed is lost: just clusters 100000
clusters seeds="5000":
    QUIRE_SEEDS={{ seeds }} cargo test --release --package quire-tests --test cluster -- --nocapture

# Random histories of real yjs, pushed through the server and compared with yjs, half on redb and half on sled
histories count="5000":
    cargo build --package quire-server
    cd tests/interop && QUIRE_HISTORIES={{ count }} node --test --test-timeout=7200000 histories.test.mjs

# Random histories of real yjs while they are watched: all JSON Patches together give what yjs holds
watched count="500":
    cargo build --package quire-server
    cd tests/interop && QUIRE_WATCHED={{ count }} node --test --test-timeout=7200000 watch-histories.test.mjs

# Real clients write, the server is killed at random moments, nothing confirmed may be missing: just crash 1000 sled
crash rounds="100" store="redb":
    cargo build --package quire-server
    cd tests/interop && QUIRE_CRASH_ROUNDS={{ rounds }} QUIRE_CRASH_STORE={{ store }} \
        node --test --test-timeout=14400000 crash.test.mjs

# The power fails at every sync of a recorded run of 2,000 operations on redb, in so many ways: just power-cuts 16
power-cuts ways="8":
    QUIRE_POWER_CUTS={{ ways }} cargo test --release --package quire-persistence power_cut

# Between every edit and its confirmation lies a sync of the device, by the system calls (needs strace)
syncs:
    command -v strace > /dev/null || { echo "install strace (on Debian: apt-get install strace)"; exit 1; }
    cargo build --package quire-server
    cd tests/interop && node --test syncs.test.mjs

# What Quire costs beside a bare broadcast server: just load fanout100 documents --rounds 5 (see benches/README.md)
load *args:
    cargo build --release --package quire-server
    cargo build --release --manifest-path benches/Cargo.toml --target-dir target --bin load
    target/release/load run {{ args }}

# The parts alone, by criterion: just bench protocol insert
bench *args:
    cargo bench --manifest-path benches/Cargo.toml --target-dir target {{ if args == "" { "" } else { "--bench " + args } }}

# redb and sled side by side: appends, opening, memory, disk (about ten minutes; see benches/README.md)
bench-store *args:
    cargo build --release --manifest-path benches/Cargo.toml --target-dir target --bin store-table
    target/release/store-table {{ args }}

# Pub/sub and streams of a real Redis side by side (two minutes; wants redis-server; see benches/README.md)
bench-relay *args:
    cargo build --release --manifest-path benches/Cargo.toml --target-dir target --bin relay-table
    target/release/relay-table {{ args }}

# The faults that other servers had, in full length (about half an hour): just soak o-03
soak case="o-":
    cargo build --package quire-server
    cd tests/interop && node lib/take-client.mjs && QUIRE_FULL=1 node --test --test-concurrency=1 --test-timeout=7200000 cases/{{ case }}*.test.mjs


# What a signed-in user notices of 5,000 idle sockets, 500 slow ones and 100,000 refused upgrades (two minutes)
abuse *sizes:
    cargo build --release --package quire-server
    cd tests/interop && QUIRE_BIN="$PWD/../../target/release/quire" node abuse/abuse.mjs {{ sizes }}
