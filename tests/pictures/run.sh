#!/usr/bin/env bash
# The report page in headless Chromium, and the terminal view in tmux.
#   tests/pictures/run.sh SOTA_LOOP [OUT_DIR]
# Installs what it needs; what cannot be installed fails the run with its reason.
set -euo pipefail
binary=$(realpath "$1")
out=$(mkdir -p "${2:-out/pictures}" && realpath "${2:-out/pictures}")
here=$(realpath "$(dirname "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export SOTA_LOOP_STATE_DIR=$work/state SOTA_LOOP_LOCK_DIR=$work/locks
unset CLAUDE_PROJECT_DIR

need() { # PROGRAM PACKAGE
  command -v "$1" >/dev/null && return
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$2"; } >"$work/apt" 2>&1 \
    || { echo "$2 cannot be installed:"; tail -5 "$work/apt"; exit 1; }
}
need chromium chromium
need node nodejs
need npm npm
need tmux tmux
[ -d "$here/node_modules" ] || (cd "$here" && npm ci --no-audit --no-fund --silent) \
  || { echo "playwright-core and axe-core cannot be installed with npm"; exit 1; }

# A campaign on simulated engines, watched in a terminal while it runs.
"$binary" demo --dir "$work/demo" >"$work/demo.log" 2>&1 &
demo=$!
"$here/watch.sh" "$binary" "$work/demo" "$out"
wait "$demo" || { tail -20 "$work/demo.log"; exit 1; }
campaign=$(echo "$work"/demo/runs/*)

# Analyses of recorded traces and counters, so that every figure has data.
fixtures=$(realpath "$here/../fixtures")
call() { "$binary" call "$@" >"$work/call" || { cat "$work/call"; exit 1; }; }
in_campaign="\"workspace\": \"$work/demo\""
call profile "{\"input\": \"$fixtures/trace/sglang-decode.json.gz\", \"compare_input\": \"$fixtures/trace/vllm-decode.json.gz\", $in_campaign}"
call analyze_pipeline "{\"trace\": \"$fixtures/trace/sglang-decode.json.gz\", $in_campaign}"
if [ -n "${SOTA_TEST_DATA:-}" ]; then
  call ncu_digest "{\"baseline\": \"$SOTA_TEST_DATA/ncu/torch_mix.ncu-rep\", \"detail\": \"full\", $in_campaign}"
fi
"$binary" report "$campaign"
"$binary" report "$campaign/benchmark/candidates.jsonl" --target vllm --out "$work/rows.html" >/dev/null
node "$here/look.mjs" "$out" campaign="$campaign/final_report.html" rows="$work/rows.html"
