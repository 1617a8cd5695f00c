#!/usr/bin/env bash
# Builds the server and runs it: scripts/run.sh [OPTION OF quire serve...]
#
# Wants a Rust toolchain. A C compiler and make, if they are missing, come by apt-get when this runs as root on Debian or Ubuntu.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/packages.sh"

has cargo || die "no cargo: install a Rust toolchain of at least the rust-version in Cargo.toml (https://rustup.rs)"
want_compiler
if ((${#packages[@]})); then
  may_install
  install_packages "${packages[@]}"
fi
# In the folder of the caller, where its data goes.
exec cargo run --release --manifest-path "$(dirname "${BASH_SOURCE[0]}")/../Cargo.toml" --package quire-server --bin quire -- serve "$@"
