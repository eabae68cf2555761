# Sourced by the commands beside this directory, with $root set to the repository. Makes a fresh clone ready: the
# packages of package-lock.json, among them the Node that runs everything else. The machine's own Node only runs npm.
lock_hash() { sha256sum "$root/package-lock.json" | cut -d' ' -f1; }
stamp="$root/node_modules/.bot-runner-lock"

is_installed() { [ -x "$root/node_modules/.bin/node" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$(lock_hash)" ]; }

install_packages() {
  command -v npm >/dev/null || { echo 'Cannot install packages: needs npm (apt-get install npm)' >&2; exit 1; }
  for wait in 2 4 8 0; do
    echo 'installing npm packages (package-lock.json has changed or this is a fresh clone)' >&2
    (cd "$root" && npm ci --no-audit --no-fund --loglevel=error >&2) && lock_hash >"$stamp" && return 0
    [ $wait = 0 ] || { echo "cannot install npm packages yet, trying again in $wait s" >&2; sleep $wait; }
  done
  echo 'Cannot install npm packages in 4 attempts' >&2
  exit 1
}

bootstrap() {
  is_installed && return 0
  # Two commands started at once on a fresh clone must not install over each other.
  exec 9<"$root/package-lock.json"
  flock 9
  is_installed || install_packages
  exec 9<&-
}
