#!/usr/bin/env bash
# usage: scripts/deploy.sh STAGE UPSTASH_URL [PARAMETER=VALUE ...]
#
# Deploys what scripts/build.sh built as the stack huntaze-STAGE. Needs AWS credentials.
#
#   STAGE             part of every name: small letters and digits, such as dev or prod (required)
#   UPSTASH_URL       the REST URL of the Redis database (required)
#   PARAMETER=VALUE   another parameter of template.yaml, such as SignUp=open (default: as the template says)
#   -h, --help        print this and do nothing
set -euo pipefail
source "$(dirname "$0")/tools.sh"
cd "$root"
[[ ${1:-} =~ ^[a-z][a-z0-9]{1,15}$ ]] || refuse "${1:+unknown argument $1: }STAGE is small letters and digits"
[[ ${2:-} =~ ^https?://.+ ]] || refuse "${2:+unknown argument $2: }UPSTASH_URL begins with https://"
stage=$1 url=$2; shift 2
# sam deploy silently ignores a parameter that the template does not have.
for each in "$@"; do
  name=$([[ $each = *=* ]] && echo "${each%%=*}" || true)
  awk -v name="$name" '/^[A-Z]/ { inside = /^Parameters:/ } inside && $1 == name ":" { found = 1 } END { exit !found }' \
    template.yaml || refuse "unknown argument $each: template.yaml has no such parameter"
done
need_python sam aws-sam-cli==1.170.0 cfn-lint==1.58.0
for folder in functions/*/; do
  binary="target/lambda/$(basename "$folder")/bootstrap"
  [ -f "$binary" ] || fail "$binary is missing: run scripts/build.sh"
done
sam deploy --template template.yaml --stack-name "huntaze-$stage" --capabilities CAPABILITY_IAM --resolve-s3 \
  --parameter-overrides "Stage=$stage" "UpstashUrl=$url" "$@"
say "deployed; functions answer 503 for as long as scripts/secret.sh $stage was not run"
