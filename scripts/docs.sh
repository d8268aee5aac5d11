#!/usr/bin/env bash
# Writes what is generated anew: docs/openapi.json, the dashboard and the picture of docs/pricing.md. Tests compare them.
set -euo pipefail
source "$(dirname "$0")/tools.sh"
cd "$root"
case ${1:-} in --help | -h) sed -n 2p "$0"; exit 0 ;; esac
need_rust

# write FILE COMMAND...: replaces the file only by what a command that succeeded printed.
write() {
  local file=$1; shift
  "$@" > "$file.new" || { rm -f "$file.new"; fail "$file is as it was"; }
  mv "$file.new" "$file"; say "wrote $file"
}
write docs/openapi.json cargo run -q -p local --locked -- openapi
write infra/monitoring/dashboard.json cargo run -q -p local --locked -- dashboard
write docs/pricing-curve.svg cargo run -q -p bench --bin plot --locked
