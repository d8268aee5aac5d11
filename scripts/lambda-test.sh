#!/usr/bin/env bash
# usage: scripts/lambda-test.sh
#
# Checks what scripts/lambda.sh promises: watch routes by the contract, invoke takes both kinds of event. It installs nothing:
# call it as scripts/lambda.sh test.
#
#   -h, --help   print this and do nothing
set -euo pipefail
source "$(dirname "$0")/tools.sh"
no_more "$@"
cd "$root"
folder=$(mktemp -d)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cargo build --workspace --bins --locked
target/debug/local services --data "$folder/data" --env-file "$folder/env" >"$folder/services.log" 2>&1 & services=$!
stop() { kill "$watch" "$services" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder"; }
watch=$services
trap stop EXIT
for _ in $(seq 100); do [ -s "$folder/env" ] && break; sleep 0.1; done
[ -s "$folder/env" ] || { cat "$folder/services.log"; fail "the services did not start"; }
cargo lambda watch --ignore-changes --invoke-address 127.0.0.1 --invoke-port "$port" --env-file "$folder/env" \
  >"$folder/watch.log" 2>&1 & watch=$!
for _ in $(seq 100); do curl -s "http://127.0.0.1:$port/" >/dev/null && break; sleep 0.1; done

expect() { # expect NAME PATTERN COMMAND...
  local name=$1 pattern=$2 answer; shift 2
  answer=$("$@" 2>&1) || true
  case $answer in *$pattern*) say "ok: $name" ;; *) tail -n 20 "$folder/watch.log"; fail "$name: $answer" ;; esac
}
expect "watch routes a path to its function" '"status":"pass"' curl -sS --max-time 120 "http://127.0.0.1:$port/api/health"
expect "watch reaches the local services" '"redis","status":"pass"' curl -sS --max-time 120 "http://127.0.0.1:$port/api/health/ready"
expect "watch gives a path parameter to its function" '"code":"unauthorized"' \
  curl -sS --max-time 120 "http://127.0.0.1:$port/api/creators/cr_01M81FWMPQ75XWQTJS706NQ0F8"
target/debug/local event http >"$folder/http.json"
target/debug/local event scheduled >"$folder/scheduled.json"
invoke() { cargo lambda invoke "$1" --invoke-address 127.0.0.1 --invoke-port "$port" --data-file "$2"; }
expect "invoke takes an HTTP event" '"statusCode":200' invoke health "$folder/http.json"
expect "invoke takes a scheduled event" 'null' invoke breaker-probe "$folder/scheduled.json"
