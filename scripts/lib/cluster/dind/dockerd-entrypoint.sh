#!/bin/sh
# What Docker's own entrypoint promises and the chart counts on: an Engine that no stale pid file keeps from starting, and
# with `dockerd` as the first word no TCP port.
set -eu
case ${1:-} in
'' | -*) set -- dockerd --host=unix:///var/run/docker.sock "$@" ;;
esac
if [ "$1" = dockerd ]; then
  find /run /var/run -iname 'docker*.pid' -delete 2>/dev/null || :
  rm -f /var/run/docker/containerd/containerd.pid
  # Under cgroup v2 controllers are handed down only by a group that holds no process itself.
  top=/sys/fs/cgroup
  if [ -e $top/cgroup.controllers ]; then
    mkdir -p $top/init
    while read -r pid; do echo "$pid" 2>/dev/null >$top/init/cgroup.procs || :; done <$top/cgroup.procs
    for name in $(cat $top/cgroup.controllers); do echo "+$name" >$top/cgroup.subtree_control || :; done
  fi
fi
exec "$@"
