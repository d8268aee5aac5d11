#!/usr/bin/env bash
# Deployable binaries of every function: release, fat LTO, arm64, glibc of Amazon Linux 2023.
set -euo pipefail
source "$(dirname "$0")/tools.sh"
cd "$root"
say "building every function for deployment (fat LTO takes long: the first took seven minutes on two cores)"
bash scripts/lambda.sh build "$@"
for binary in target/lambda/*/bootstrap; do
  name=$(basename "$(dirname "$binary")")
  printf '%-28s %6d KiB\n' "$name" "$(($(gzip -c "$binary" | wc -c) / 1024))"
done
