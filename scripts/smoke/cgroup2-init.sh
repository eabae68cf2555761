#!/bin/busybox sh
# shellcheck shell=dash
# The whole life of a machine with cgroup v2: it makes what containerd and the kubelet make around a privileged container, runs the
# chart's fence and a Docker Engine in it, and says what became of the bots. One line for each thing shown: "SHOW ok|fail WHAT".
/bin/busybox mkdir -p /bin /sbin /usr/sbin /etc /var/run /tmp
/bin/busybox --install -s /bin
export PATH=/bin DOCKER_RAMDISK=true FENCE_DIR=/run/fence BOT_DENY_CIDRS='' BOT_DENY_PORTS=8080
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
exec </dev/null >/dev/console 2>&1
mkdir -p /dev/pts /dev/shm "$FENCE_DIR"
mount -t devpts devpts /dev/pts
for dir in /dev/shm /tmp /run /var/lib; do mount -t tmpfs none $dir; done
mkdir -p "$FENCE_DIR" /var/lib/docker
mount -t cgroup2 none /sys/fs/cgroup
echo 'root:x:0:0::/:/bin/sh' >/etc/passwd
echo 'root:x:0:' >/etc/group
: >/etc/resolv.conf
ip link set lo up
cg=/sys/fs/cgroup
read -r boot_id </proc/sys/kernel/random/boot_id

note() { echo "NOTE $*"; }
show() { # show WHAT COMMAND...: whether the command succeeds
  what=$1
  shift
  if "$@" >/tmp/said 2>&1; then verdict=ok; else verdict=fail; fi
  echo "SHOW $verdict $what"
  [ "$verdict" = ok ] && return
  has_failed=yes
  head -c 400 /tmp/said | sed 's/^/NOTE   /'
}
is() { [ "$1" = "$2" ] || { echo "got $1, not $2"; false; }; }
now() { read -r up _ </proc/uptime; echo "${up%%.*}${up#*.}"; }
allow() { # allow HUNDREDTHS
  n=$(now)
  echo "$((n + $1)) $n $boot_id" >"$FENCE_DIR/deadline.new"
  mv "$FENCE_DIR/deadline.new" "$FENCE_DIR/deadline"
}
until_ok() { # until_ok SECONDS COMMAND...
  end=$(($(now) + $1 * 100))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$(now)" -lt "$end" ] || return 1
    sleep 0.2
  done
}
hand_down() { for dir; do for c in cpu memory pids; do echo "+$c" >"$dir/cgroup.subtree_control"; done; done; }
# As the kubelet does since 1.28: out of memory, a container dies as a whole.
container() { # container NAME MEMORY
  mkdir -p "$cg/kubepods/pod1/$1"
  hand_down $cg $cg/kubepods $cg/kubepods/pod1
  echo "$2" >"$cg/kubepods/pod1/$1/memory.max"
  echo 1 >"$cg/kubepods/pod1/$1/memory.oom.group"
}
# As containerd does: who starts the container is not in its cgroup, but is there when the namespaces are made.
enclose() { # enclose NAME SHELL [OPTION]: these shell lines as PID 1 in that cgroup
  rm -f /tmp/go
  (
    echo 0 >"$cg/kubepods/pod1/$1/cgroup.procs"
    exec /bin/unshare --fork --kill-child --pid --mount --mount-proc ${3:+"$3"} sh -c "until test -e /tmp/go; do sleep 0.1; done; $2" >"/tmp/$1.log" 2>&1
  ) &
  until_ok 30 has_two "$cg/kubepods/pod1/$1"
  echo $! >$cg/cgroup.procs
  : >/tmp/go
}
has_two() { at_least "$(wc -l <"$1/cgroup.procs")" 2; }
tick_is() { read -r _ _ state _ <"$FENCE_DIR/tick" && is "$state" "$1"; }
ground_is() { head -n 1 "$FENCE_DIR/engine" | grep -Fx "$1" || { cat "$FENCE_DIR/engine"; false; }; }
has_processes() { [ -n "$(cat "$1/cgroup.procs")" ]; }
no_processes() { [ -z "$(cat "$1/cgroup.procs")" ]; }
at_least() { [ "$1" -ge "$2" ] || { echo "$1 is less than $2"; false; }; }
event() { sed -n "s/^$2 //p" "$1/memory.events.local"; } # what lies below is not counted

echo # after what the firmware said
note "kernel $(uname -r), controllers: $(cat $cg/cgroup.controllers)"
show "the machine has cgroup v2 with memory, cpu and pids" sh -c "grep -w memory $cg/cgroup.controllers && grep -w cpu $cg/cgroup.controllers && grep -w pids $cg/cgroup.controllers"

# --- a privileged container of containerd: no cgroup namespace, the machine's tree is mounted ---
container ctr 512M
own=$cg/kubepods/pod1/ctr
enclose ctr 'exec sh /fence.sh dockerd --host=unix:///run/docker.sock --storage-driver=vfs --iptables=false --bridge=none --exec-opt native.cgroupdriver=cgroupfs'
allow 60000
export DOCKER_HOST=unix:///run/docker.sock
end() { # the fence's last words where something failed, and the end of the machine
  [ -z "${has_failed-}" ] || tail -n 8 /tmp/ctr.log | sed 's/^/NOTE fence: /'
  sync
  poweroff -f
}
show "a Docker Engine comes up behind the fence" until_ok 180 docker version
[ "$verdict" = ok ] || end # of the rest nothing can be shown
note "$(docker info 2>/dev/null | grep -E 'Server Version|Cgroup|Storage' | tr -s ' \n' ' ')"
show "the fence says where bots lie" ground_is "cgroup v2 /kubepods/pod1/ctr/bots "
show "nothing is left in the container's own cgroup" no_processes $own
show "the fence and the Engine lie in its leaf" has_processes $own/init
show "memory, cpu and pids are handed down" sh -c "grep -w memory $own/cgroup.subtree_control && grep -w cpu $own/cgroup.subtree_control && grep -w pids $own/cgroup.subtree_control"
show "192 MiB of the memory are not for bots" is "$(cat $own/bots/memory.max)" $((320 * 1048576))

mkdir -p /tmp/image/bin && cp /bin/busybox /tmp/image/bin && ln -s busybox /tmp/image/bin/sh
tar -C /tmp/image -c . | docker import - bot >/tmp/import 2>&1 || note "$(cat /tmp/import)"
bot=$(docker run -d --network none --memory 1g --pids-limit 64 --init=false bot busybox sh -c 'while :; do busybox sleep 1; done')
show "a bot lies below the pod's cgroup" has_processes "$own/bots/$bot"
show "its own limits hold there" is "$(cat "$own/bots/$bot/memory.max")-$(cat "$own/bots/$bot/pids.max")" 1073741824-64
show "nothing lies beside the pod" sh -c "! ls -d $cg/docker $cg/bots 2>/dev/null"
note "fence, Engine and a bot's shim take $(($(cat $own/init/memory.current) / 1048576)) MiB: $(grep -E '^(anon|file|shmem|kernel) ' $own/init/memory.stat | tr '\n' ' ')"
docker run --name eater --network none --memory 1g --oom-score-adj 500 bot busybox sh -c 'busybox tail /dev/zero' >/tmp/eater 2>&1
show "a bot that eats more than the pod has dies" is "$(docker inspect -f '{{.State.ExitCode}}' eater)" 137
show "it met the bots' bound" at_least "$(event $own/bots oom)" 1
show "the container never met its own, which would have ended it as a whole" is "$(event $own max)" 0
show "the pod's figure held its memory" at_least "$(cat $own/memory.peak 2>/dev/null || echo 0)" $((320 * 1048576))
show "the other bot lives" has_processes "$own/bots/$bot"
show "so does the Engine" docker version
show "and the fence, which killed nothing" sh -c "tick=\$(cat $FENCE_DIR/tick); case \$tick in *' up 0') ;; *) echo \$tick; false ;; esac"
show "a probe is refused in the container's own cgroup and let into the leaf, where runc tries next" sh -c "! echo \$\$ >$own/cgroup.procs && echo \$\$ >$own/init/cgroup.procs"

echo 0 >$FENCE_DIR/deadline
began=$(now)
show "the lease lapses: everything is dead" until_ok 20 tick_is down
note "that took $(($(now) - began)) hundredths of a second"
show "no bot is left" sh -c "! cat $own/bots/*/cgroup.procs 2>/dev/null | grep ."
allow 60000
show "and the Engine comes back to the same place" until_ok 180 docker version
show "which the fence says again" ground_is "cgroup v2 /kubepods/pod1/ctr/bots "
show "a bot lies there again" sh -c "docker start $bot && [ -n \"\$(cat $own/bots/$bot/cgroup.procs)\" ]"
echo 0 >$FENCE_DIR/deadline
until_ok 20 tick_is down

# --- a container in a cgroup namespace of its own, and one that may not write ---
printf '#!/bin/sh\necho "$@" >/tmp/args.new; mv /tmp/args.new /tmp/args; exec sleep 1000\n' >/tmp/dockerd
chmod 755 /tmp/dockerd
beside() { # beside NAME SHELL: a fence in a container of its own, after these shell lines
  container "$1" max
  export FENCE_DIR="/run/$1"
  mkdir -p "$FENCE_DIR"
  rm -f /tmp/args
  enclose "$1" "$2; exec sh /fence.sh /tmp/dockerd" --cgroup
  allow 60000
  until_ok 30 test -e /tmp/args
}
beside spaced 'umount /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup'
show "in a cgroup namespace bots lie below its root" ground_is "cgroup v2 /bots "
show "which is the container's own" test -d $cg/kubepods/pod1/spaced/bots
show "and the Engine is told" is "$(cat /tmp/args)" --cgroup-parent=/bots
beside shut 'umount /sys/fs/cgroup; mount -t cgroup2 -o ro none /sys/fs/cgroup'
show "where cgroups are read-only the Engine starts as it was told" is "$(cat /tmp/args)" ""
show "and the fence says why" grep -F "read-only" "$FENCE_DIR/engine"

echo "DONE"
end
