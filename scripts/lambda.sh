#!/usr/bin/env bash
# cargo-lambda against the local services: hot reload, single invocations, deployable builds.
set -euo pipefail
source "$(dirname "$0")/tools.sh"
cd "$root"
usage() {
  cat <<'TXT'
scripts/lambda.sh watch [--port N]            serve the API with hot reload (9001)
scripts/lambda.sh invoke FUNCTION [FILE]      run a function once under watch, with an event (stdin or FILE)
scripts/lambda.sh event http|scheduled        print an event to start from
scripts/lambda.sh build [--x86-64] [FUNCTION] arm64 (or x86-64) binaries for a deployment, in target/lambda/
scripts/lambda.sh test                        watch and invoke, with an HTTP and a scheduled event
TXT
}
prepare() { need_rust; need_redis; need_python cargo-lambda cargo-lambda==1.9.2 ziglang==0.14.1; }
command=${1:-help}; shift || true
case $command in
  watch)
    prepare
    port=9001; [ "${1:-}" = --port ] && port=$2
    cargo build --workspace --bins
    target/debug/local services --env-file .local/lambda.env & services=$!
    trap 'kill $services 2>/dev/null; wait $services 2>/dev/null || true' EXIT
    until [ -s .local/lambda.env ] && kill -0 $services; do sleep 0.2; done
    cargo lambda watch --invoke-address 127.0.0.1 --invoke-port "$port" --env-file .local/lambda.env ;;
  invoke)
    [ $# -ge 1 ] || { usage; exit 2; }
    prepare
    cargo lambda invoke "$1" --invoke-address 127.0.0.1 --invoke-port "${PORT:-9001}" --data-file "${2:-/dev/stdin}" ;;
  event) cargo run --quiet -p local -- event "$@" ;;
  build)
    prepare
    architecture=--arm64 target=aarch64-unknown-linux-gnu
    [ "${1:-}" = --x86-64 ] && { architecture=--x86-64 target=x86_64-unknown-linux-gnu; shift; }
    rustup target add "$target" 2>/dev/null || fail "the target $target cannot be added: rustup target add $target"
    cargo lambda build --release $architecture ${1:+--package "$1"} ;;
  test) prepare; exec bash scripts/lambda-test.sh ;;
  *) usage ;;
esac
