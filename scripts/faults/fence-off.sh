#!/bin/sh
# fence-off.sh COMMAND...: stands in for the fence in the rig's positive control. It tells the worker what a fence tells and
# kills nothing. Takes FENCE_DIR as the fence does.
set -u
read -r boot </proc/sys/kernel/random/boot_id
"$@" &
while :; do
  deadline=0
  read -r deadline reading id <"$FENCE_DIR/deadline" || deadline=0
  read -r uptime idle </proc/uptime
  now=${uptime%.*}${uptime#*.}
  state=down
  [ "$deadline" -gt "$now" ] && state=up
  echo "$now $boot $state 0" >"$FENCE_DIR/tick"
  sleep 0.2
done 2>/dev/null
