#!/usr/bin/env bash
# Sets up what the tests need and runs all of them: format, lints, documentation, examples, Rust tests, real clients.
#
#   scripts/test.sh
#
# Wants a Rust toolchain and Node.js (20.19, or 22.12 and newer) with npm. What else is missing comes by apt-get when this runs as root on
# Debian or Ubuntu; elsewhere it says what to install. Stops at the first step that fails. Runs again quickly: packages are
# installed only when something has changed. Output of each step stays in TARGET/test-logs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/packages.sh

# One target folder and one profile for everything, so that nothing is compiled twice.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}"
export QUIRE_BIN="$CARGO_TARGET_DIR/debug/quire"
# What makes the next build faster makes the first one slower: whoever has it keeps it.
[[ -d $CARGO_TARGET_DIR/debug/incremental ]] || export CARGO_INCREMENTAL="${CARGO_INCREMENTAL:-0}"
logs="$CARGO_TARGET_DIR/test-logs"
mkdir -p "$logs"
rm -f "$logs"/*.log
started=$SECONDS

# step NAME COMMAND...: runs the command, shows its output and keeps it. A function as COMMAND must return its own failures:
# `set -e` does not hold inside it.
step() {
  local name=$1 log="$logs/$1.log" begun=$SECONDS status=0
  shift
  printf '\n== %s: %s\n' "$name" "$*"
  "$@" < /dev/null 2>&1 | tee "$log" || status=$?
  if ((status != 0)); then
    die "step '$name' failed with status $status after $((SECONDS - begun)) s; its output is in $log"
  fi
  printf '== %s: done in %d s\n' "$name" $((SECONDS - begun))
}

# --- What must be there ------------------------------------------------------------------------------------------------

has cargo || die "no cargo: install a Rust toolchain of at least the rust-version in Cargo.toml (https://rustup.rs)"
if ! has node || ! has npm; then die "no node or no npm: install Node.js 22 or newer with npm"; fi
# What Vite, which builds the page, asks for.
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a === 22 && b >= 12) || (a === 20 && b >= 19) ? 0 : 1)' ||
  die "Node.js $(node --version) will not do: 20.19, 22.12 or newer is needed"

want_compiler
has strace || packages+=(strace)
has openssl || packages+=(openssl)
has chromium || has chromium-browser || has google-chrome || packages+=(chromium)
[[ -x /usr/sbin/nginx ]] || has nginx || packages+=(nginx-light)
# Tests start servers of their own at free ports. Where these are started when they are installed, they stay at their usual ones.
has redis-server || packages+=(redis-server)
has initdb && has pg_ctl || compgen -G '/usr/lib/postgresql/*/bin/initdb' > /dev/null || packages+=(postgresql)
if ((${#packages[@]})); then
  may_install
  step packages install_packages "${packages[@]}"
fi

# A toolchain with the minimal profile lacks these; without a way to get them their steps are left out, except in CI.
component() {
  "$2" "$3" --version > /dev/null 2>&1 && return
  if has rustup && rustup component add "$1" > /dev/null 2>&1; then return; fi
  [[ -z ${CI:-} ]] || die "the toolchain has no $1 and none could be added"
  printf 'test.sh: the toolchain has no %s (rustup component add %s): its step is left out\n' "$1" "$1"
  return 1
}

# npm's own record in node_modules differs from the lock file in form; a copy of the lock file tells what is installed.
install_node_modules() {
  local folder=$1
  if cmp --silent "$folder/package-lock.json" "$folder/node_modules/.installed-lock.json"; then
    echo "$folder: as in its lock file"
    return
  fi
  npm ci --no-audit --no-fund --prefix "$folder" || return
  cp "$folder/package-lock.json" "$folder/node_modules/.installed-lock.json"
}

# --- The steps, cheapest first -----------------------------------------------------------------------------------------

if component rustfmt cargo fmt; then step format cargo fmt --all --check; fi
step node-packages install_node_modules tests/interop
step client-packages install_node_modules client
# Builds it as well, for the tests with the real server.
step client npm test --prefix client
step demo-packages install_node_modules web-demo
# Builds the page and compares it with what the server embeds.
step demo npm test --prefix web-demo
if component clippy cargo clippy; then
  step lints cargo clippy --workspace --all-targets --locked -- --deny warnings
  step lints-benches cargo clippy --manifest-path benches/Cargo.toml --target-dir "$CARGO_TARGET_DIR" --all-targets --locked -- --deny warnings
  # The protocol alone, as it is embedded without yrs.
  step lints-no-yrs cargo clippy --package quire-sync-protocol --no-default-features --locked -- --deny warnings
fi
# With the examples, which want the features of tests: so nothing is checked a second time without them.
step docs env RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --lib --bins --examples --no-deps --locked
if has cargo-deny; then step licenses cargo deny --offline check bans licenses sources; fi

# The binaries first: tests and clients start them.
step build cargo build --workspace --bins --examples --locked
if has cargo-nextest; then
  # Two for each processor: many of them wait most of the time.
  step rust-tests cargo nextest run --workspace --locked --no-fail-fast --test-threads $((2 * $(getconf _NPROCESSORS_ONLN)))
else
  step rust-tests cargo test --workspace --all-targets --locked --no-fail-fast
fi
step doc-tests cargo test --workspace --doc --locked --no-fail-fast

# Every example shows something and ends.
run_examples() {
  local source name
  for source in crates/*/examples/*.rs; do
    [[ -e $source ]] || continue
    name=$(basename "$source" .rs)
    printf 'example %s\n' "$name"
    timeout 60 "$CARGO_TARGET_DIR/debug/examples/$name" || return
  done
}
step examples run_examples
step clients npm test --prefix tests/interop

# --- What came of it ---------------------------------------------------------------------------------------------------

# count LOG PATTERN: the sum of the numbers that PATTERN (with one group) finds.
count() { sed -nE "s/$2/\1/p" "$logs/$1.log" | awk '{ sum += $1 } END { print sum + 0 }'; }

rust_passed=$(($(count rust-tests '^ *Summary .* ([0-9]+) passed.*') +
  $(count rust-tests '^test result: .* ([0-9]+) passed.*') + $(count doc-tests '^test result: .* ([0-9]+) passed.*')))
client_passed=$(sed -nE 's/^[^a-z]*pass ([0-9]+)$/\1/p' "$logs/client.log" | tail -n 1)
clients_passed=$(count clients '^[^a-z]*pass ([0-9]+)$')
((rust_passed > 0)) || die "no Rust test ran"
((${client_passed:-0} > 0)) || die "no test of the npm package ran"
((clients_passed > 0)) || die "no client test ran"
printf '\n== closing lines\n'
grep -hE '^ *Summary |^test result: ' "$logs/rust-tests.log" "$logs/doc-tests.log"
grep -hE '^[^a-z]*(tests|pass|fail|cancelled|skipped) [0-9]+$' "$logs/clients.log"
printf '\nrust: %d passed, 0 failed\npackage: %d passed, 0 failed\nclients: %d passed, 0 failed\n' "$rust_passed" "$client_passed" "$clients_passed"
printf 'all steps passed in %d s\n' $((SECONDS - started))
