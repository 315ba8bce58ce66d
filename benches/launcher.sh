#!/bin/sh
# What bin/sota-loop costs a start: milliseconds with it, and of the binary alone.
#
# usage: benches/launcher.sh [BINARY]      default: target/release/sota-loop
set -eu
cd "$(dirname "$0")/.."
binary=$(realpath "${1:-target/release/sota-loop}")
runs=200

milliseconds() {
  start=$(date +%s%N)
  i=0
  while [ $i -lt $runs ]; do
    "$@" --version > /dev/null
    i=$((i + 1))
  done
  echo $((($(date +%s%N) - start) / runs / 1000)) | awk '{printf "%.2f", $1 / 1000}'
}

printf 'binary alone   %s ms\n' "$(milliseconds "$binary")"
export SOTA_LOOP_BINARY="$binary"
printf 'with launcher  %s ms\n' "$(milliseconds bin/sota-loop)"
