#!/bin/sh
# docker-namespace.sh ETC COMMAND...: runs an engine inside fresh pid, mount and net namespaces, as the
# child of an init. Stdin is a pipe whose other end only the creator holds: when it closes, because the creator
# stops the engine or has died, the engine ends, and with the init the namespaces and all that is in them.
set -u
exec 3<&0 </dev/null
etc=$1
shift

# Docker 20.10 keeps the key that its Engine ID comes from here; two engines must not be one to the runtime.
mkdir -p "$etc"
[ ! -d /etc/docker ] || mount --bind "$etc" /etc/docker
# An engine takes a system containerd for its own as soon as that socket exists.
[ ! -d /run/containerd ] || mount -t tmpfs none /run/containerd
! command -v ip >/dev/null || ip link set lo up

"$@" 3<&- &
engine=$!
(
  cat >/dev/null
  kill -TERM $engine
  sleep 12
  kill -KILL $engine
) <&3 3<&- &
exec 3<&-
wait $engine
