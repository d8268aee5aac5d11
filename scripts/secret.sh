#!/usr/bin/env bash
# usage: scripts/secret.sh STAGE
#
# Fills the secret of a stage that has none yet: asks for the tokens and makes the keys. Needs AWS credentials.
#
#   STAGE        the stage that was deployed, such as prod (required)
#   -h, --help   print this and do nothing
set -euo pipefail
source "$(dirname "$0")/tools.sh"
[[ ${1:-} =~ ^[a-z][a-z0-9]{1,15}$ ]] || refuse "${1:+unknown argument $1: }STAGE is small letters and digits"
no_more "${@:2}"
command -v aws >/dev/null || fail "the AWS command line is missing"
id="huntaze/$1/app"
# Only this error means that there is no value. After any other there may be one, and replacing its root key would lock every
# account out.
if why=$(aws secretsmanager get-secret-value --secret-id "$id" 2>&1 >/dev/null); then
  fail "$id has a value already; a new root key would lock every account out"
fi
[[ $why = *"(ResourceNotFoundException)"* ]] || fail "whether $id has a value is unknown, so nothing was written: $why"
random() { head -c 32 /dev/urandom | base64; }
read -rsp "Upstash REST token: " upstash; echo
read -rsp "API key of the model's provider (empty for none): " ai; echo
file=$(mktemp)
trap 'rm -f "$file"' EXIT
UPSTASH=$upstash AI=$ai ROOT=$(random) SEED=$(random) SCRAPE=$(random) python3 - >"$file" <<'PY'
import json, os, time
secret = {
    "rootKey": os.environ["ROOT"],
    "tokenKeys": [{"kid": time.strftime("%Y-%m-%d"), "seed": os.environ["SEED"]}],
    "upstashToken": os.environ["UPSTASH"],
    "scrapeToken": os.environ["SCRAPE"].replace("/", "x").replace("+", "x").strip("="),
}
if os.environ["AI"]: secret["aiKey"] = os.environ["AI"]
print(json.dumps(secret))
PY
aws secretsmanager put-secret-value --secret-id "$id" --secret-string "file://$file" >/dev/null
say "$id is filled"
