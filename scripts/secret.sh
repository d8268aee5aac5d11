#!/usr/bin/env bash
# Fills the secret of a stage: scripts/secret.sh STAGE. Asks for the tokens, makes the keys.
set -euo pipefail
source "$(dirname "$0")/tools.sh"
[ $# = 1 ] || { sed -n 2p "$0"; exit 2; }
command -v aws >/dev/null || fail "the AWS command line is missing"
id="huntaze/$1/app"
if aws secretsmanager get-secret-value --secret-id "$id" >/dev/null 2>&1; then
  fail "$id has a value already; a new root key would lock every account out"
fi
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
if os.environ["AI"]:
    secret["aiKey"] = os.environ["AI"]
print(json.dumps(secret))
PY
aws secretsmanager put-secret-value --secret-id "$id" --secret-string "file://$file" >/dev/null
say "$id is filled"
