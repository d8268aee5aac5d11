#!/usr/bin/env bash
# usage: scripts/bench.sh [--release | cost | pricing [SEED]]
#
# Measures starts, sizes, latencies and trips on this machine in one run, and prints them as tables.
#
#   --release        measure the profile that is deployed, with fat LTO: long to build (default: profile ci)
#   cost             count only what requests cost: trips, Redis commands and units of DynamoDB; takes no times
#   pricing [SEED]   print only how good price advice is on simulated demand, with the random numbers of SEED (default: 1)
#   -h, --help       print this and do nothing
set -euo pipefail
source "$(dirname "$0")/tools.sh"
profile=ci
case ${1:-} in
  "") ;;
  --release) profile=release; no_more "${@:2}" ;;
  cost) no_more "${@:2}" ;;
  pricing) no_more "${@:3}"; case ${2:-1} in *[!0-9]*) refuse "SEED must be a whole number, is $2" ;; esac ;;
  *) no_more "$@" ;;
esac
cd "$root"
need_rust
need_redis
if [ "${1:-}" = pricing ]; then exec cargo run -p bench --bin pricing --profile ci --locked -- "${@:2}"; fi
say "building with profile $profile"
cargo build --workspace --bins --profile "$profile" --locked
if [ "${1:-}" = cost ]; then exec "target/$profile/local" bench --cost; fi
"target/$profile/local" bench
say "in one process, beside crates that work for one process alone"
cargo bench -p bench --profile "$profile" --locked
