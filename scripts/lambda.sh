#!/usr/bin/env bash
# usage: scripts/lambda.sh watch|invoke|event|build|test [ARGUMENT ...]
#
# Uses cargo-lambda with the local services: serves with hot reload, or runs one function with one event.
#
#   watch [--port N]                serve the API with hot reload (default: port 9001)
#   invoke FUNCTION [FILE]          run a function once under watch, on its PORT (default: 9001, the event from stdin)
#   event http|scheduled            print an event to start from
#   build [--x86-64] [FUNCTION]     what scripts/build.sh does (default: arm64, every function)
#   test                            check watch and invoke, with an HTTP and a scheduled event
#   -h, --help                      print this and do nothing
set -euo pipefail
source "$(dirname "$0")/tools.sh"
cd "$root"
prepare() { need_rust; need_redis; need_python cargo-lambda cargo-lambda==1.9.2 ziglang==0.14.1; }
command=${1:-} port=${PORT:-9001}; shift || true
case $command in
  watch)
    case ${1:-} in "") port=9001 ;; --port) port=${2:-}; no_more "${@:3}" ;; *) no_more "$@" ;; esac
    case $port in "" | *[!0-9]*) refuse "--port needs a number" ;; esac
    prepare
    cargo build --workspace --bins
    target/debug/local services --env-file .local/lambda.env & services=$!
    trap 'kill $services 2>/dev/null; wait $services 2>/dev/null || true' EXIT
    until [ -s .local/lambda.env ] && kill -0 $services; do sleep 0.2; done
    cargo lambda watch --invoke-address 127.0.0.1 --invoke-port "$port" --env-file .local/lambda.env ;;
  invoke)
    a_function "${1:-}"; no_more "${@:3}"; prepare
    cargo lambda invoke "$1" --invoke-address 127.0.0.1 --invoke-port "$port" --data-file "${2:-/dev/stdin}" ;;
  event)
    case ${1:-} in http | scheduled) no_more "${@:2}" ;; *) refuse "${1:+unknown argument $1: }an event is http or scheduled" ;; esac
    cargo run --quiet -p local -- event "$1" ;;
  build) exec bash scripts/build.sh "$@" ;;
  test) no_more "$@"; prepare; exec bash scripts/lambda-test.sh ;;
  *) refuse "${command:+unknown argument $command: }the first argument is watch, invoke, event, build or test" ;;
esac
