#!/usr/bin/env bash
# Deploys a stage: scripts/deploy.sh STAGE UPSTASH_URL [PARAMETER=VALUE ...]. Build first: scripts/build.sh.
set -euo pipefail
source "$(dirname "$0")/tools.sh"
cd "$root"
[ $# -ge 2 ] || { sed -n 2p "$0"; exit 2; }
stage=$1 url=$2; shift 2
need_python sam aws-sam-cli==1.170.0 cfn-lint==1.58.0
for folder in functions/*/; do
  binary="target/lambda/$(basename "$folder")/bootstrap"
  [ -f "$binary" ] || fail "$binary is missing: run scripts/build.sh"
done
sam deploy --template template.yaml --stack-name "huntaze-$stage" --capabilities CAPABILITY_IAM --resolve-s3 \
  --parameter-overrides "Stage=$stage" "UpstashUrl=$url" "$@"
say "fill the secret, if this is the first time: scripts/secret.sh $stage"
