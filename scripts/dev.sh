#!/usr/bin/env bash
# usage: scripts/dev.sh [--port N] [--data DIR] [--fresh] [--ai-base-url URL --ai-model NAME [--ai-price IN/OUT]]
#
# Serves the whole API on this machine, with a key and requests ready to paste; Ctrl-C stops everything it started. Installs
# redis-server if it is missing, and builds first: minutes the first time, seconds later.
#
#   --port N            the API's port on 127.0.0.1; the stream's is ten higher (default: 9000)
#   --data DIR          where data, logs and the stage's secret are kept (default: .local)
#   --fresh             forget what is in DIR first (default: go on with it)
#   --ai-base-url URL   an OpenAI-compatible API that writes; its key in HUNTAZE_LOCAL_AI_KEY (default: the builtin grammar)
#   --ai-model NAME     the model's name there (default: none; needed with --ai-base-url)
#   --ai-price IN/OUT   dollars for a million tokens read and written; 0/0 for your own (default: a list; unknown is dear)
#   -h, --help          print this and do nothing
#
# Fire a schedule by hand: curl -X POST http://127.0.0.1:9000/_local/schedules/breaker-probe.
# See the breakers: scripts/breaker.sh show. A redis-server that is killed comes back after five seconds.
set -euo pipefail
source "$(dirname "$0")/tools.sh"
# The program checks its options, too, but a newcomer would wait minutes for the build before it could say so.
check() {
  local ai=
  while [ $# -gt 0 ]; do
    case $1 in --ai-base-url*) ai+=u ;; --ai-model*) ai+=m ;; esac
    case $1 in
      --port=*[!0-9]*) refuse "--port needs a number" ;;
      --fresh | --port=?* | --data=?* | --ai-base-url=?* | --ai-model=?* | --ai-price=?*) shift ;;
      --port) case ${2:-} in "" | *[!0-9]*) refuse "$1 needs a number" ;; esac; shift 2 ;;
      --data | --ai-base-url | --ai-model | --ai-price) case ${2:-} in "" | -*) refuse "$1 needs a value" ;; esac; shift 2 ;;
      *) refuse "unknown argument $1" ;;
    esac
  done
  case $ai in "" | um | mu) ;; *) refuse "--ai-base-url and --ai-model need each other" ;; esac
}
check "$@"
need_rust
need_redis
cd "$root"
say "building the functions and the local stack (minutes the first time, seconds later)"
cargo build --workspace --bins
exec target/debug/local serve "$@"
