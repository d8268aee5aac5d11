#!/usr/bin/env bash
# usage: scripts/build.sh [--x86-64] [FUNCTION]
#
# Builds what is deployed, release and fat LTO for the glibc of Amazon Linux 2023, into target/lambda/, and prints how large
# each function is when zipped. This takes long: the first function took seven minutes on two cores.
#
#   --x86-64     build for x86-64 (default: arm64, as template.yaml says)
#   FUNCTION     a folder of functions/ (default: all of them)
#   -h, --help   print this and do nothing
set -euo pipefail
source "$(dirname "$0")/tools.sh"
cd "$root"
architecture=--arm64 target=aarch64-unknown-linux-gnu
[ "${1:-}" = --x86-64 ] && { architecture=--x86-64 target=x86_64-unknown-linux-gnu; shift; }
[ $# = 0 ] || a_function "$1"
no_more "${@:2}"
need_rust
need_python cargo-lambda cargo-lambda==1.9.2 ziglang==0.14.1
rustup target add "$target" 2>/dev/null || fail "the target $target cannot be added: rustup target add $target"
say "building ${1:-every function} for deployment (fat LTO takes long: the first took seven minutes on two cores)"
cargo lambda build --release $architecture ${1:+--package "$1"}
for binary in target/lambda/*/bootstrap; do
  name=$(basename "$(dirname "$binary")")
  printf '%-28s %6d KiB\n' "$name" "$(($(gzip -c "$binary" | wc -c) / 1024))"
done
