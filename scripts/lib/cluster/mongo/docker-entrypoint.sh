#!/bin/sh
# As the image it stands for: words that begin with an option are mongod's, and mongod listens on all addresses.
set -eu
case ${1:-} in
'' | -*) set -- mongod "$@" ;;
esac
[ "$1" != mongod ] || set -- "$@" --bind_ip_all
exec "$@"
