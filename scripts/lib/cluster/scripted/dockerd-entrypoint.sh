#!/bin/sh
# Takes the words of the real entrypoint, of which only the socket counts.
set -eu
for word; do
  case $word in
  --host=unix://*) socket=${word#--host=unix://} ;;
  esac
done
exec node /app/test/support/scripted-engine.ts "$socket"
