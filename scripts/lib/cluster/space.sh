#!/bin/sh
# space.sh DIR COMMAND...: the first process of a space (see space.ts). Records itself in the run directory before anything
# else comes to be, so that no kill of its creator can leave it unknown, and becomes COMMAND: unshare with its namespaces.
set -eu
dir=$1
shift
read -r boot </proc/sys/kernel/random/boot_id
read -r line </proc/$$/stat
# The 20th word after the name in parentheses is the start time.
# shellcheck disable=SC2086
start=$(set -- ${line##*) }; echo "${20}")
printf '%s %s %s' "$boot" "$$" "$start" >"$dir/../started/$$"
exec "$@"
