#!/bin/sh
# space-init.sh DIR NAME...: inside the namespaces. Prepares the mounts of a node, then keeps each DIR/programs/NAME running:
# from when DIR/wanted/NAME appears, again a second after its end, until the file is gone.
set -u
dir=$1
shift
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward

if [ -e "$dir/is-node" ]; then
  set -e
  # A pod's mounts go on to those that ask for them, and none of them reaches the machine.
  mount --make-rshared /
  mkdir -p "$dir/lib" "$dir/log-root"
  # Whatever a kubelet or containerd leaves at its usual paths is this node's, and short paths suit unix sockets.
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir -p /run/lock
  mount --bind "$dir/lib" /var/lib
  mount --bind "$dir/log-root" /var/log
  # The kubelet would set these for the whole machine. It leaves alone what it finds as it wants it.
  while read -r name value; do
    [ -e "/proc/sys/$name" ] || continue
    echo "$value" >"$dir/lib/${name##*/}"
    mount --bind "$dir/lib/${name##*/}" "/proc/sys/$name"
  done <<END
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
END
  for name in iptables ip6tables; do
    [ ! -e /proc/sys/net/bridge/bridge-nf-call-$name ] || echo 1 >/proc/sys/net/bridge/bridge-nf-call-$name
  done
  set +e
fi

keep() {
  while :; do
    while [ ! -e "$dir/wanted/$1" ]; do sleep 0.1; done
    "$dir/programs/$1" >>"$dir/log/$1.log" 2>&1 &
    echo $! >"$dir/pids/$1"
    wait $!
    echo "space: $1 ended ($?)" >>"$dir/log/$1.log"
    rm -f "$dir/pids/$1"
    [ ! -e "$dir/wanted/$1" ] || sleep 1
  done
}
for program; do keep "$program" & done
: >"$dir/ready"
wait
