#!/usr/bin/env bash
# Starts, sizes, latencies and trips as tables. `--release` measures fat LTO (long to build); `pricing` only price advice.
set -euo pipefail
source "$(dirname "$0")/tools.sh"
cd "$root"
profile=ci
case ${1:-} in
  --release) profile=release ;;
  --help | -h) sed -n 2p "$0"; exit 0 ;;
esac
need_rust
need_redis
if [ "${1:-}" = pricing ]; then exec cargo run -p bench --bin pricing --profile ci --locked -- "${@:2}"; fi
say "building with profile $profile"
cargo build --workspace --bins --profile "$profile" --locked
"target/$profile/local" bench
say "in one process, beside crates that work for one process alone"
cargo bench -p bench --profile "$profile" --locked
