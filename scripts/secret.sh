#!/usr/bin/env bash
# usage: scripts/secret.sh STAGE [rotate] [--leaked]
#
# Writes the secrets that the functions of a stage read, each with what some of them need, from the root secret, which none can
# read. Makes the root secret where there is none, and asks for its tokens. Needs AWS credentials; run it before the first deployment.
#
#   STAGE        the stage, such as prod (required)
#   rotate       change the keys of session tokens: the next one signs, the last one still verifies (default: change no key)
#   --leaked     with rotate: what signed or verified until now does neither any more, and all access tokens are refused
#   -h, --help   print this and do nothing
set -euo pipefail
source "$(dirname "$0")/tools.sh"
[[ ${1:-} =~ ^[a-z][a-z0-9]{1,15}$ ]] || refuse "${1:+unknown argument $1: }STAGE is small letters and digits"
stage=$1 change=()
case "${*:2}" in "") ;; rotate) change=(--rotate) ;; "rotate --leaked") change=(--rotate --leaked) ;; *) refuse "unknown argument ${*:2}" ;; esac
command -v aws >/dev/null || fail "the AWS command line is missing"
need_rust
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# Only this error means that there is no value. After any other there may be one, and replacing its root key would lock every
# account out.
if aws secretsmanager get-secret-value --secret-id "huntaze/$stage/app" --query SecretString --output text >"$folder/app" 2>"$folder/why"; then
  say "huntaze/$stage/app is there and keeps its root key"
else
  grep -q "(ResourceNotFoundException)" "$folder/why" ||
    fail "whether huntaze/$stage/app has a value is unknown, so nothing was written: $(cat "$folder/why")"
  read -rsp "Upstash REST token: " upstash; echo
  read -rsp "API key of the model's provider (empty for none): " ai; echo
  rm "$folder/app"
fi
UPSTASH_TOKEN=${upstash:-} AI_KEY=${ai:-} cargo run --quiet --locked --manifest-path "$root/Cargo.toml" -p local -- \
  secrets --folder "$folder" "${change[@]}"
# The root secret comes first, so that a run that ends in between can be repeated, and what signs last: all verifiers know its key.
for name in app fleet guard mint sessions accounts models scrape signing; do
  id="huntaze/$stage/$name" value="file://$folder/$name"
  aws secretsmanager put-secret-value --secret-id "$id" --secret-string "$value" >/dev/null 2>"$folder/why" && continue
  grep -q "(ResourceNotFoundException)" "$folder/why" || fail "$id was not written, nor any after it; run this again: $(cat "$folder/why")"
  aws secretsmanager create-secret --name "$id" --secret-string "$value" >/dev/null
done
say "the secrets of $stage are written; every environment has read them in ten minutes"
