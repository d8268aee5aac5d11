#!/usr/bin/env bash
# usage: scripts/test.sh [--model]
#
# Checks everything that has to hold: format, lints, template, API document, scripts, dependencies, alert rules, cargo-lambda
# and tests. Installs what is missing for that.
#
#   --model      run the gateway's tests against a real small model instead, about 100 MB (default: everything else)
#   -h, --help   print this and do nothing
set -euo pipefail
source "$(dirname "$0")/tools.sh"
source "$(dirname "$0")/node.sh"
cd "$root"
case ${1:-} in
  --model) no_more "${@:2}"; exec bash scripts/model.sh ;;
  *) no_more "$@" ;;
esac
need_rust
need_redis
need_program prometheus prometheus prometheus
need_program faketime faketime
need_python sam aws-sam-cli==1.170.0 cfn-lint==1.58.0
need_python openapi-spec-validator openapi-spec-validator==0.9.0
need_npm .bin/llmock @copilotkit/aimock@1.43.0
need_python cargo-lambda cargo-lambda==1.9.2 ziglang==0.14.1

step() { say "== $* ($((SECONDS / 60)) min)"; }
step "format";     cargo fmt --all --check
step "lints";      cargo clippy --workspace --all-targets --locked -- -D warnings
step "build";      cargo build --workspace --all-targets --locked
step "template";   sam validate --lint --template template.yaml; cfn-lint template.yaml
step "document";   openapi-spec-validator docs/openapi.json
step "scripts";    for script in scripts/*.sh .ci/run; do bash -n "$script"; done
step "licences, bans and advisories"; bash scripts/audit.sh
step "alerts";     promtool check rules infra/monitoring/alerts.yaml; promtool test rules infra/monitoring/alerts-test.yaml
step "cargo lambda"; bash scripts/lambda.sh test
uses="$root/target/uses"; rm -rf "$uses"
step "tests";      HUNTAZE_LOCAL_USES="$uses" cargo test --workspace --locked --no-fail-fast
step "permissions"; cargo run --quiet --locked -p local -- permissions --used "$uses"
say "all passed in $((SECONDS / 60)) min $((SECONDS % 60)) s"
