# Sourced by the other scripts: answers --help for them, and installs what is missing into .tools/ of this checkout.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools="$root/.tools"
export PATH="$tools/bin:$PATH" SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION="${AWS_DEFAULT_REGION:-eu-west-1}"
say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# A script's help is its header, and is printed here, before the script has done anything.
header() { awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$root/scripts/${0##*/}"; }
for each in "$@"; do case $each in --help | -h) header; exit 0 ;; esac; done
# refuse WHY: ends with 2 for a wrong argument, after the reason and the usage.
refuse() { printf 'error: %s\n' "$*" >&2; header | sed '/^$/,$d' >&2; exit 2; }
no_more() { [ $# = 0 ] || refuse "unknown argument $1"; }
a_function() { [ -f "$root/functions/$1/Cargo.toml" ] || refuse "${1:+unknown argument $1: }FUNCTION is a folder of functions/"; }

need_rust() { command -v cargo >/dev/null || fail "Rust is missing: install rustup from https://rustup.rs, then try again"; }
# as_root COMMAND: runs COMMAND as root, which apt needs: with sudo for a developer, directly in a container.
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else return 1; fi; }
# need_program COMMAND PACKAGE [SERVICE]: installs PACKAGE if COMMAND is missing, and stops the SERVICE that it starts.
need_program() {
  command -v "$1" >/dev/null && return
  say "installing $2"
  if command -v brew >/dev/null; then brew install "${2%-server}" >&2
  elif command -v apt-get >/dev/null; then
    as_root apt-get update -qq >/dev/null && as_root apt-get install -y -qq --no-install-recommends "$2" >/dev/null ||
      fail "$2 cannot be installed: run apt-get install $2 as root"
    [ -z "${3:-}" ] || as_root service "$3" stop >/dev/null 2>&1 || true
  else fail "$1 is missing: install $2 with your package manager"; fi
}
need_redis() { need_program redis-server redis-server redis-server; }

# need_python COMMAND PACKAGE==VERSION...: installs Python packages into our virtual environment if COMMAND is missing.
need_python() {
  local command=$1; shift
  [ -x "$tools/bin/$command" ] && return
  command -v python3 >/dev/null || fail "Python 3 is missing: install python3 and python3-venv"
  say "installing $*"
  [ -x "$tools/bin/python" ] || python3 -m venv "$tools" || fail "python3 -m venv failed: install python3-venv"
  "$tools/bin/pip" install --quiet --disable-pip-version-check "$@" >&2 || fail "pip cannot install $*"
}
