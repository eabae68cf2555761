#!/bin/sh
# engine-namespace.sh ETC RUN FENCE COMMAND...: makes what one engine must not share with the next, in a mount namespace of its own, and
# becomes the fence.
set -eu
etc=$1 run=$2
shift 2
mkdir -p "$etc" "$run"
# Docker 20.10 keeps the key that its Engine ID comes from here.
[ ! -d /etc/docker ] || mount --bind "$etc" /etc/docker
# An engine takes a system containerd for its own as soon as that socket exists.
[ ! -d /run/containerd ] || mount -t tmpfs none /run/containerd
ip link set lo up
exec sh "$@"
