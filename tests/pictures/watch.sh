#!/usr/bin/env bash
# Drives `sota-loop watch` in tmux while a job runs, and checks what it shows.
#   watch.sh SOTA_LOOP WORKSPACE OUT_DIR
set -euo pipefail
binary=$1 workspace=$2 out=$3
session=watch-$$
socket=$(mktemp -u)
tmux() { command tmux -S "$socket" "$@"; }
trap 'tmux kill-server 2>/dev/null || true' EXIT

wait_for() { # WHAT COMMAND...
  local what=$1; shift
  for _ in $(seq 300); do "$@" && return; sleep 0.2; done
  echo "waited 60 s for $what"; [ -f "$out/watch.txt" ] && cat "$out/watch.txt"; exit 1
}
job() { ls -d "$workspace"/runs/*/jobs/*/status.json >/dev/null 2>&1; }
shows() { tmux capture-pane -p -t "$session" >"$out/watch.txt" && grep -qE "$1" "$out/watch.txt"; }

wait_for "a job" job
folder=$(dirname "$(ls -d "$workspace"/runs/*/jobs/*/status.json)")
tmux new-session -d -s "$session" -x 120 -y 40 "$binary watch $(echo "$workspace"/runs/*); echo left with \$?; sleep 60"
# Live percentiles of a run, a finished candidate, progress, and the keys.
wait_for "live percentiles" shows 'TTFT ms +p50 [0-9.]+ +p90 [0-9.]+ +p99'
wait_for "gaps between tokens" shows 'ITL ms +p50 [0-9.]+'
wait_for "a finished row" shows 'sglang +base .* ok '
wait_for "the progress" shows '[0-9]+ of [0-9]+ runs'
grep -q 'q leaves' "$out/watch.txt" || { echo "the keys are not shown"; cat "$out/watch.txt"; exit 1; }
cp "$out/watch.txt" "$out/watch-120x40.txt"
tmux resize-window -t "$session" -x 60 -y 20
wait_for "a small terminal" shows 'q leaves'
cp "$out/watch.txt" "$out/watch-60x20.txt"
tmux send-keys -t "$session" q
wait_for "the way out" shows 'left with 0'
grep -qE '"state": "(running|done)"' "$folder/status.json" \
  || { echo "the job did not survive the watcher"; cat "$folder/status.json"; exit 1; }
echo "watch: live percentiles, rows and progress at 120x40 and 60x20; the job went on"
