#!/usr/bin/env bash
# usage: scripts/docs.sh
#
# Writes anew what is generated: docs/openapi.json, infra/monitoring/dashboard.json, docs/pricing-curve.svg and the router of
# `cargo lambda watch` in Cargo.toml. Tests compare each with what the code says.
#
#   -h, --help   print this and do nothing
set -euo pipefail
source "$(dirname "$0")/tools.sh"
no_more "$@"
cd "$root"
need_rust

# write FILE COMMAND...: replaces FILE by what COMMAND prints, and leaves FILE as it is when COMMAND fails.
write() {
  local file=$1; shift
  "$@" > "$file.new" || { rm -f "$file.new"; fail "$file is as it was"; }
  mv "$file.new" "$file"; say "wrote $file"
}
write docs/openapi.json cargo run -q -p local --locked -- openapi
write Cargo.toml cargo run -q -p local --locked -- router
write infra/monitoring/dashboard.json cargo run -q -p local --locked -- dashboard
write docs/pricing-curve.svg cargo run -q -p bench --bin plot --locked
