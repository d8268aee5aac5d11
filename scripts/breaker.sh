#!/usr/bin/env bash
# usage: scripts/breaker.sh show | set NAME MODE [SECONDS]
#
# Shows the state of every breaker of a stage, or overrules one for the whole fleet: every environment obeys from its next
# request on. UPSTASH_URL and UPSTASH_TOKEN say which stage (default: the local one).
#
#   show         print the state of each breaker
#   NAME         REGION:DEPENDENCY:INSTANCE, as show prints it (required)
#   MODE         normal, forced_open, forced_closed or metrics_only (required)
#   SECONDS      how long the mode lasts (default: 86400)
#   -h, --help   print this and do nothing
set -euo pipefail
source "$(dirname "$0")/tools.sh"
case ${1:-} in
  show) no_more "${@:2}" ;;
  set)
    [ $# -ge 3 ] || refuse "set needs NAME and a mode"
    case $3 in normal | forced_open | forced_closed | metrics_only) ;; *) refuse "unknown argument $3: no such mode" ;; esac
    case ${4:-1} in *[!0-9]*) refuse "unknown argument $4: SECONDS is a whole number" ;; esac; no_more "${@:5}" ;;
  *) refuse "${1:+unknown argument $1: }the first argument is show or set" ;;
esac
if [ -z "${UPSTASH_URL:-}" ] && [ -f "$root/.local/upstash.env" ]; then source "$root/.local/upstash.env"; fi
[ -n "${UPSTASH_URL:-}" ] && [ -n "${UPSTASH_TOKEN:-}" ] || fail "set UPSTASH_URL and UPSTASH_TOKEN, or run scripts/dev.sh"
redis() { local body # redis COMMAND ARGUMENT...: prints the result, a list as one line per item
  body=$(python3 -c 'import json, sys; print(json.dumps(sys.argv[1:]))' "$@")
  curl -sS --fail-with-body --max-time 5 "$UPSTASH_URL" -H "authorization: Bearer $UPSTASH_TOKEN" -H 'content-type: application/json' -d "$body" |
    python3 -c 'import json, sys; r = json.load(sys.stdin)["result"]; print("\n".join(map(str, r)) if isinstance(r, list) else ("" if r is None else r))'
}
if [ "$1" = set ]; then
  [ "$(redis SISMEMBER hz1:brk:names "$2")" = 1 ] || fail "there is no breaker $2: scripts/breaker.sh show"
  if [ "$3" = normal ]; then redis DEL "hz1:brk:$2:mode"; else redis SET "hz1:brk:$2:mode" "$3" EX "${4:-86400}"; fi >/dev/null
  say "$2: $3"; exit 0
fi
phases=(closed open half_open ramp) keys=$(redis SMEMBERS hz1:brk:names)
[ -n "$keys" ] || say "no breaker has been used yet"
for name in $keys; do
  state=$(redis GET "hz1:brk:$name"); mode=$(redis GET "hz1:brk:$name:mode")
  read -r version phase _ <<<"${state:-0 0}"
  printf '%-32s %-10s version %-5s %s\n' "$name" "${phases[${phase:-0}]}" "${version%%|*}" "${mode:+($mode)}"
done
