#!/usr/bin/env bash
# The whole API on this machine, with a key and requests ready to paste. Ctrl-C stops everything.
set -euo pipefail
source "$(dirname "$0")/tools.sh"
case " $* " in *" --help "* | *" -h "*)
  cat <<'TXT'
scripts/dev.sh [--port N] [--data DIR] [--fresh] [--ai-base-url URL --ai-model NAME]

Installs redis-server if it is missing, builds everything, and serves the API on http://127.0.0.1:9000.

  --port N           another port
  --data DIR         where data, logs and the stage's secret are kept (.local)
  --fresh            forget what is in --data first
  --ai-base-url URL  an OpenAI-compatible API that writes the ideas; its key in HUNTAZE_LOCAL_AI_KEY
  --ai-model NAME    the model's name there

A schedule is fired by hand: curl -X POST http://127.0.0.1:9000/_local/schedules/usage-rollup (or breaker-probe).
Breakers: scripts/breaker.sh show. A redis-server that is killed comes back after five seconds.
TXT
  exit 0 ;;
esac
need_rust
need_redis
cd "$root"
say "building the functions and the local stack (minutes the first time, seconds later)"
cargo build --workspace --bins
exec target/debug/local serve "$@"
