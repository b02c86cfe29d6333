#!/usr/bin/env bash
# Opens the real binary under Xvfb on a copy of the demo study, runs a prompt with the keyboard and the mouse,
# waits for the judged record on disk, and saves screenshots.
# Usage: tests/smoke/run.sh OUTPUT_FOLDER   (after `cargo build --release`)
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
out=${1:?usage: run.sh OUTPUT_FOLDER}
mkdir -p "$out"
out=$(cd "$out" && pwd)
binary=${CARGO_TARGET_DIR:-$root/target}/release/pentimento

work=$(mktemp -d)
mkdir -p "$work/home" "$work/runtime" "$work/assets"
chmod 700 "$work/runtime"
cp -r "$root/assets/demo" "$work/assets/demo"
rm -rf "$work/assets/demo/runs"
export HOME="$work/home" XDG_RUNTIME_DIR="$work/runtime" PENTIMENTO_ASSETS="$work/assets"
export XDG_DATA_HOME="$work/home/data" XDG_CACHE_HOME="$work/home/cache"
export PENTIMENTO_CACHE="${PENTIMENTO_CACHE:-$work/cache}" PENTIMENTO_DATA="$work/data"
unset WAYLAND_DISPLAY DBUS_SESSION_BUS_ADDRESS || true

number=$((90 + RANDOM % 100))
export DISPLAY=:$number
Xvfb "$DISPLAY" -screen 0 1440x900x24 -nolisten tcp >"$out/xvfb.log" 2>&1 &
server=$!
trap 'kill "${program:-}" "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
for _ in $(seq 100); do xdpyinfo >/dev/null 2>&1 && break; sleep 0.1; done

"$binary" >"$out/program.log" 2>&1 &
program=$!

fail() { echo "smoke: $1"; import -window root "$out/failure.png" || true; tail -20 "$out/program.log"; exit 1; }
# Waits until a command succeeds: wait_for SECONDS WHAT COMMAND…
wait_for() {
  local seconds=$1 what=$2; shift 2
  for _ in $(seq $((seconds * 5))); do
    "$@" >/dev/null 2>&1 && return 0
    kill -0 "$program" 2>/dev/null || fail "the program ended while waiting for $what"
    sleep 0.2
  done
  fail "waited $seconds s for $what"
}
# At least this many different colours on the screen: not an empty window.
colours() { [ "$(import -window root png:- | identify -format %k -)" -ge "$1" ]; }
records() { cat "$work"/assets/demo/runs/*/generations.jsonl 2>/dev/null | wc -l; }
recorded() { [ "$(records)" -ge "$1" ]; }

wait_for 30 "the window" xdotool search --onlyvisible --name Pentimento
window=$(xdotool search --onlyvisible --name Pentimento | head -n 1)
xdotool windowsize --sync "$window" 1440 900 windowmove "$window" 0 0 || true
xdotool windowfocus "$window" || true
wait_for 30 "the first picture of the window" colours 200
sleep 2
import -window root "$out/0-tour.png"
# The first start shows the tour; Esc ends it.
xdotool key --window "$window" Escape
sleep 1
import -window root "$out/1-open.png"

xdotool key --window "$window" ctrl+Return
wait_for 180 "the first judged picture" recorded 1
import -window root "$out/2-first.png"
wait_for 300 "four judged pictures" recorded 4
sleep 2
import -window root "$out/3-judged.png"

# The overlay answers: the screen changes when the mode does.
xdotool key --window "$window" r
sleep 1
import -window root "$out/4-reveal.png"
if compare -metric AE "$out/3-judged.png" "$out/4-reveal.png" null: 2>"$out/changed"; then
  fail "Reveal changed nothing on the screen"
fi
kill -0 "$program" || fail "the program is gone"
grep -q '"matches":\[{' "$work"/assets/demo/runs/*/generations.jsonl || fail "the record holds no matches"
echo "smoke: $(records) pictures judged; screenshots in $out"
