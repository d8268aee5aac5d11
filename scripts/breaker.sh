#!/usr/bin/env bash
# Shows the breakers of a stage, or overrules one for the whole fleet: scripts/breaker.sh show | set NAME MODE [SECONDS]
set -euo pipefail
source "$(dirname "$0")/tools.sh"
usage() {
  cat >&2 <<'TXT'
usage: scripts/breaker.sh show
       scripts/breaker.sh set NAME normal|forced_open|forced_closed|metrics_only [SECONDS]

NAME is REGION:DEPENDENCY:INSTANCE, as `show` prints it. A mode lasts for SECONDS (86400). It is felt by every
environment with its next request. UPSTASH_URL and UPSTASH_TOKEN say which stage; without them, the local one.
TXT
  exit 2
}
if [ -z "${UPSTASH_URL:-}" ] && [ -f "$root/.local/upstash.env" ]; then source "$root/.local/upstash.env"; fi
[ -n "${UPSTASH_URL:-}" ] && [ -n "${UPSTASH_TOKEN:-}" ] || fail "set UPSTASH_URL and UPSTASH_TOKEN, or run scripts/dev.sh"
redis() { # redis COMMAND ARGUMENT...: the answer's result, a line each
  local body
  body=$(python3 -c 'import json, sys; print(json.dumps(sys.argv[1:]))' "$@")
  curl -sS --fail-with-body --max-time 5 "$UPSTASH_URL" -H "authorization: Bearer $UPSTASH_TOKEN" -H 'content-type: application/json' -d "$body" |
    python3 -c 'import json, sys; r = json.load(sys.stdin)["result"]; print("\n".join(map(str, r)) if isinstance(r, list) else ("" if r is None else r))'
}
phases=(closed open half-open ramp)
case ${1:-} in
  show)
    keys=$(redis SMEMBERS hz1:brk:names)
    [ -n "$keys" ] || { say "no breaker has been used yet"; exit 0; }
    for name in $keys; do
      state=$(redis GET "hz1:brk:$name"); mode=$(redis GET "hz1:brk:$name:mode")
      read -r version phase _ <<<"${state:-0 0}"
      printf '%-32s %-10s version %-5s %s\n' "$name" "${phases[${phase:-0}]}" "${version%%|*}" "${mode:+($mode)}"
    done ;;
  set)
    [ $# -ge 3 ] || usage
    case $3 in normal | forced_open | forced_closed | metrics_only) ;; *) fail "$3 is no mode" ;; esac
    [ "$(redis SISMEMBER hz1:brk:names "$2")" = 1 ] || fail "there is no breaker $2: scripts/breaker.sh show"
    if [ "$3" = normal ]; then redis DEL "hz1:brk:$2:mode"; else redis SET "hz1:brk:$2:mode" "$3" EX "${4:-86400}"; fi >/dev/null
    say "$2: $3" ;;
  *) usage ;;
esac
