/** Shell lines that run before a fence does, and make around it what a container runtime makes. `name` is a cgroup of the test's
 *  own, below the machine's root, in each hierarchy; the container is its child `ctr`. */

/** Makes the container's cgroup and goes into it. */
export const enterContainer = (name: string): string => `
  for h in /sys/fs/cgroup/*/; do
    mkdir -p "\${h}${name}/ctr" 2>/dev/null || continue
    for f in cpuset.cpus cpuset.mems; do
      [ ! -e "\${h}$f" ] || { cat "\${h}$f" >"\${h}${name}/$f"; cat "\${h}$f" >"\${h}${name}/ctr/$f"; }
    done
    echo $$ >"\${h}${name}/ctr/cgroup.procs"
  done`;

/** What containerd mounts for a privileged container on v1: of each hierarchy the container's own part, and no more. */
export const mountOnlyItsPart = (name: string): string => `
  mkdir -p /tmp/${name}-old /tmp/${name}-new
  mount --rbind /sys/fs/cgroup /tmp/${name}-old
  mount -t tmpfs none /tmp/${name}-new
  for h in /tmp/${name}-old/*/; do
    h=\${h%/}
    mkdir "/tmp/${name}-new/\${h##*/}"
    mount --bind "$h/${name}/ctr" "/tmp/${name}-new/\${h##*/}"
  done
  umount --lazy /sys/fs/cgroup && mount --rbind /tmp/${name}-new /sys/fs/cgroup
  umount --lazy /tmp/${name}-old`;

/** A tree of v2 as a machine without v1 has it. The controllers that v1 has are not in it. */
export const mountV2 = "mount -t cgroup2 none /sys/fs/cgroup";
