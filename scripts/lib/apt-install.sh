#!/bin/sh
# apt-install.sh PACKAGE...: installs Debian packages so that no service of theirs runs, now or after the next boot.
set -eu
policy=/usr/sbin/policy-rc.d
mark='# bot-runner: temporary, while packages are installed'

# One at a time: the second of two runs must neither remove the first one's policy nor take it for the machine's own.
exec 9>/run/bot-runner-apt.lock
flock 9

if [ ! -e "$policy" ] || grep -qF "$mark" "$policy"; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 1' HUP INT TERM
  printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy"
  chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
install() {
  apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" 9>&-
}
# The index may be missing or name files that the mirror has replaced since.
install "$@" || { apt-get update 9>&- && install "$@"; }

# `deb-systemd-helper` has enabled what it may not start; take that back for a Docker we have brought ourselves.
case " $* " in
*' docker.io '*)
  if command -v systemctl >/dev/null; then
    systemctl disable docker.service docker.socket containerd.service >/dev/null 2>&1 || true
  fi
  ;;
esac
