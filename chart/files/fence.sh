#!/bin/sh
# The fence: PID 1 of the container that holds a worker's Docker Engine. It lets the engine run only while the worker has a
# lease, and kills the engine with every bot when the lease lapses, whether or not the worker or the engine still answers.
#
#   fence.sh COMMAND [ARG...]   runs COMMAND (dockerd, or what starts it) while the lease lasts
#   fence.sh probe              for a liveness probe: fails when the fence hangs, or could not kill what it had to
#   fence.sh place              says where it would have bots lie, and changes nothing
#
# FENCE_DIR (on tmpfs, shared with the worker):
#   deadline  by the worker, replaced at each renewal: "DEADLINE READING BOOTID"
#   tick      by the fence, at each poll: "NOW BOOTID STATE TRIPS"; STATE is up, killing or down (nothing else runs)
#   engine    by the fence, at each start of the engine: "cgroup VERSION PARENT|- WHY", "denied NETWORKS", "ports PORTS"
#   Times are hundredths of a second since boot. Source: ownership.md, "The fence".
# BOT_DENY_CIDRS, BOT_DENY_PORTS: what bots may not reach besides link-local addresses; lists by comma or space.
# No process is started between the finding that the lease has lapsed and the kill: with the machine or the container out of
# processes or memory, the kill must still come about.

: "${FENCE_DIR:?Cannot work without FENCE_DIR: name the directory shared with the worker}"
uptime_file=${FENCE_UPTIME_FILE:-/proc/uptime} # tests put another one here
old_tables=${FENCE_OLD_TABLES:-/usr/local/sbin/.iptables-legacy} # where the image has them; as above
read -r boot_id </proc/sys/kernel/random/boot_id

# Sets `now`. An unreadable clock leaves it 0, which is earlier than any reading: lapsed.
look_at_clock() {
  up=
  read -r up _ <"$uptime_file"
  now=${up%%.*}${up#*.}
  case $now in '' | *[!0-9]*) now=0 ;; esac
}

# Sets `lapsed` to yes or no. The file first and the clock after it: a worker that writes in between would otherwise have
# written at a time that lies ahead.
judge() {
  deadline=0 reading=0 written=
  [ -e "$FENCE_DIR/deadline" ] && read -r deadline reading written <"$FENCE_DIR/deadline"
  look_at_clock
  lapsed=yes
  case $deadline-$reading in -* | *- | *[!0-9-]*) return ;; esac
  [ "$written" = "$boot_id" ] && [ "$now" -ge "$last_now" ] && [ "$reading" -le "$now" ] && [ "$deadline" -gt "$now" ] && lapsed=no
}

# --- where bots lie ---

# Sets `version`, and `parent` for the engine with its directory `dir`, or `why` there is none. Changes nothing.
# A container sees its cgroup as the root of all (by a namespace, or by a mount of that part alone) or from the machine's root, as
# containerd has it for privileged ones on v2. The engine counts from what is mounted, and so must this.
choose_parent() {
  version=v1 parent='' dir='' why='' point='' root='' own='' others=''
  while read -r _ _ _ at where _ rest; do
    case $where in "$cgroup_root" | "$cgroup_root"/*) ;; *) continue ;; esac
    case $rest in
      *"- cgroup2 "*) [ "$where" = "$cgroup_root" ] && version=v2 root=$at point=$where && break ;;
      *"- cgroup "*) case ,${rest##* }, in *,memory,*) root=${root:-$at} point=${point:-$where} ;; esac ;;
    esac
  done <"$mounts_file"
  while IFS=: read -r _ names path; do
    case $version-,$names, in
      v2-,, | v1-*,memory,*) own=$path ;;
    esac
    case $version-,$names, in v1-*,cpu,* | v1-*,pids,*) others="$others $path" ;; esac
  done <"$cgroup_file"
  if [ -z "$point" ] || [ -z "$own" ]; then
    why="no cgroups that count memory are mounted at $cgroup_root"
    return
  fi
  for path in $others; do
    [ "$path" = "$own" ] || { why="it lies at $own by memory and at $path by processors or processes"; return; }
  done
  case $root/$own/ in */../*) why="what is mounted at $point begins outside its cgroup namespace"; return ;; esac
  # A second look, after `take_parent`.
  [ "$version" = v1 ] || own=${own%/init}
  root=${root%/}
  case $own/ in
    "$root"/*) own=${own#"$root"} own=${own%/} ;;
    *) why="its own cgroup $own does not lie in what is mounted at $point, $root"; return ;;
  esac
  parent=$own/bots dir=$point$own
}

cgroup_root=/sys/fs/cgroup
cgroup_file=${FENCE_CGROUP_FILE:-/proc/self/cgroup} mounts_file=${FENCE_MOUNTS_FILE:-/proc/self/mountinfo} # as above

if [ "${1-}" = place ]; then
  choose_parent
  echo "cgroup $version ${parent:--} $why"
  exit 0
fi

if [ "${1-}" = probe ]; then
  last_now=0
  judge
  # Between the fence's truncation and its write the tick is empty; a probe that took that for a hang would kill bots.
  read_tick() { read -r ticked _ state _ <"$FENCE_DIR/tick"; }
  read_tick || { sleep 0.1; read_tick; } || { sleep 0.1; read_tick; } || { echo "the fence has left no tick"; exit 1; }
  look_at_clock
  [ $((now - ticked)) -le 500 ] || { echo "the fence has not polled for over 5 s"; exit 1; }
  [ "$state" != killing ] || [ "$deadline" -gt $((now - 300)) ] || { echo "something outlived its kill by 3 s"; exit 1; }
  exit 0
fi
[ $# -gt 0 ] || { echo "Usage: fence.sh COMMAND [ARG...] | fence.sh probe" >&2; exit 64; }

say() { echo "fence: $*" >&2; }

# Everything but PID 1 itself. Without a process that could get a signal `kill` fails; one that has ended and was not
# reaped yet still counts, and is reaped while the next pause lasts.
anybody_left() { kill -0 -1 2>/dev/null; }

tell() { echo "$now $boot_id $1 $trips" >"$FENCE_DIR/tick"; }

# Makes the parent that was chosen, or sets `why` it cannot be had. On v2 only a cgroup without processes of its own hands
# controllers down: this shell and all beside it move into a leaf. They are not the bots' then, whatever those use up.
take_parent() {
  # Only the machine's root has the one, or lacks the other; all that runs there would be moved.
  if [ -e "$dir/release_agent" ] || { [ "$version" = v2 ] && [ ! -e "$dir/cgroup.events" ]; }; then
    why="it lies in no cgroup of its own"
  elif ! mkdir -p "$dir/bots" 2>/dev/null; then
    why="$dir is read-only"
  elif [ "$version" = v2 ]; then
    hand_down
  elif read -r hierarchy <"$dir/memory.use_hierarchy" && [ "$hierarchy" = 0 ]; then
    why="$dir does not count what lies below it (memory.use_hierarchy)"
  fi
  if [ -n "$why" ]; then parent=''; else leave_room; fi
}

hand_down() {
  mkdir -p "$dir/init" && read -r controllers <"$dir/cgroup.controllers"
  plus=''
  for controller in $controllers; do plus="$plus +$controller"; done
  # A probe may come in at any moment, and then it is refused.
  for _ in 1 2 3 4 5; do
    while read -r pid; do echo "$pid" >"$dir/init/cgroup.procs"; done <"$dir/cgroup.procs"
    echo "$plus" >"$dir/cgroup.subtree_control"
    read -r handed <"$dir/cgroup.subtree_control"
    case " $handed " in *" memory "*) return ;; esac
  done
  why="$dir does not hand the memory controller down (it has: $controllers)"
} 2>/dev/null

# Bots may not use up the last eighth of the container's memory, 192Mi at least, of which an engine with one bot takes 53Mi at rest: where
# the container itself is out of memory, the kubelet has all in it killed, the engine and this shell too.
leave_room() {
  file=memory.limit_in_bytes limit=''
  [ "$version" = v1 ] || file=memory.max
  read -r limit <"$dir/$file"
  # v1 says "no limit" by a number that no machine has.
  case $limit in '' | *[!0-9]* | ??????????????????*) return ;; esac
  room=$((limit / 8))
  [ "$room" -ge 201326592 ] || room=201326592
  [ "$room" -le $((limit / 2)) ] || room=$((limit / 2))
  echo $((limit - room)) >"$dir/bots/$file"
} 2>/dev/null

# Sets `parent`, empty where bots lie wherever the engine has them, for the engine with these arguments.
place_bots() {
  previous='' is_engine=no told=''
  for word; do
    case $word in dockerd | */dockerd) is_engine=yes ;; esac
    case $word in --cgroup-parent=* | *cgroupdriver=systemd) told=$word ;; esac
    [ "$previous" != --cgroup-parent ] || told="$previous $word"
    previous=$word
  done
  choose_parent
  if [ "$is_engine" = no ]; then
    parent='' why="what it starts is no dockerd"
  elif [ -n "$told" ]; then
    parent='' why="its arguments say $told"
  elif [ -n "$parent" ]; then
    take_parent
  fi
  [ -z "$why" ] || [ "$why" = "$said_why" ] || say "bots lie where the engine puts them, maybe outside the pod's limits: $why"
  said_why=$why
}

# --- what bots may not reach ---

# Bots come in by Docker's bridges and by nothing else. mangle/PREROUTING comes before all rules of the engine, which does
# not touch this table. `$1`: iptables or ip6tables, `$2`: networks.
build_chain() {
  "$1" -w 5 -t mangle -N BOT-DENY 2>/dev/null
  "$1" -w 5 -t mangle -F BOT-DENY || return 1
  # Names must go on being looked up, where the resolver lies in what is denied.
  while read -r word server _; do
    [ "$word" = nameserver ] || continue
    case $1-$server in
      iptables-*:* | ip6tables-*.*) continue ;;
    esac
    for protocol in udp tcp; do
      "$1" -w 5 -t mangle -A BOT-DENY -d "$server" -p "$protocol" --dport 53 -j RETURN || return 1
    done
  done </etc/resolv.conf
  for cidr in $2; do
    "$1" -w 5 -t mangle -A BOT-DENY -d "$cidr" -j DROP || return 1
  done
  for port in $(echo "$BOT_DENY_PORTS" | tr , ' '); do
    "$1" -w 5 -t mangle -A BOT-DENY -p tcp --dport "$port" -m addrtype --dst-type LOCAL -j DROP || return 1
  done
  for bridge in docker0 br-+; do
    "$1" -w 5 -t mangle -C PREROUTING -i "$bridge" -j BOT-DENY 2>/dev/null ||
      "$1" -w 5 -t mangle -I PREROUTING -i "$bridge" -j BOT-DENY || return 1
  done
}

# By the kind of iptables that the engine is told to use, or, where nobody said anything, the old one if it alone works. The engine
# finds the same then.
choose_tables() {
  case $PATH in "$old_tables":*) return ;; esac
  [ -x "$old_tables/iptables" ] || return
  if [ -n "${DOCKER_IPTABLES_LEGACY+told}" ]; then
    [ -n "$DOCKER_IPTABLES_LEGACY" ] || return
  elif iptables -w 5 -t mangle -S PREROUTING >/dev/null 2>&1; then
    return
  fi
  PATH=$old_tables:$PATH
}

forbid_addresses() {
  choose_tables
  v4="169.254.0.0/16" v6="fd00:ec2::254"
  for cidr in $(echo "$BOT_DENY_CIDRS" | tr , ' '); do
    case $cidr in *:*) v6="$v6 $cidr" ;; *) v4="$v4 $cidr" ;; esac
  done
  denied=$v4
  build_chain iptables "$v4" || return 1
  # Without IPv6 in this namespace there is nothing to forbid.
  [ -e /proc/net/if_inet6 ] || return 0
  denied="$v4 $v6"
  build_chain ip6tables "$v6"
}

# --- the engine ---

# A pid file of a killed engine keeps the next one from starting.
remove_pid_files() {
  pid_file=/var/run/docker.pid exec_root=/var/run/docker previous=
  for word; do
    case $previous in --pidfile | -p) pid_file=$word ;; --exec-root) exec_root=$word ;; esac
    case $word in --pidfile=*) pid_file=${word#*=} ;; --exec-root=*) exec_root=${word#*=} ;; esac
    previous=$word
  done
  rm -f "$pid_file" "$exec_root/containerd/containerd.pid"
}

start() {
  next_start=$((now + 100)) # should it end at once, it is not tried in a hot loop
  if ! forbid_addresses; then
    say "cannot forbid addresses to bots, so nothing is started: is iptables there, and NET_ADMIN?"
    return
  fi
  remove_pid_files "$@"
  place_bots "$@"
  { echo "cgroup $version ${parent:--} $why"; echo "denied $denied"; echo "ports $(echo "$BOT_DENY_PORTS" | tr , ' ')"; } >"$FENCE_DIR/engine"
  [ -z "$parent" ] || set -- "$@" "--cgroup-parent=$parent"
  "$@" &
  engine=$!
}

leave() {
  trap '' TERM INT
  say "told to end"
  [ -n "$engine" ] && kill -TERM "$engine" 2>/dev/null
  left=50 # ten seconds
  while [ -n "$engine" ] && kill -0 "$engine" 2>/dev/null && [ $((left -= 1)) -gt 0 ]; do sleep 0.2; done
  kill -9 -1 2>/dev/null
  exit 0
}

trap 'ending=yes' TERM INT
renice -n -10 -p $$ >/dev/null 2>&1 || say "cannot raise its own priority"
engine='' ending=no trips=0 last_now=0 next_start=0 is_clean=no said_why=''

while :; do
  judge
  last_now=$now
  if [ "$lapsed" = yes ]; then
    if [ "$is_clean" = no ]; then
      kill -9 -1 2>/dev/null # only builtins from the finding above to here
      [ -z "$engine" ] || trips=$((trips + 1)) engine=''
      anybody_left || is_clean=yes
    fi
    # Once clean nothing can come but what an operator or the kubelet runs in here, and that is left alone.
    if [ "$is_clean" = yes ]; then tell down; else tell killing; fi
  else
    if [ -z "$engine" ] || ! kill -0 "$engine" 2>/dev/null; then
      engine='' is_clean=no
      [ "$now" -lt "$next_start" ] || start "$@"
    fi
    tell up
  fi
  [ "$ending" = no ] || leave
  sleep 0.2
done
