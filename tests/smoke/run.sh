#!/usr/bin/env bash
# Five journeys of a user through the real binary under Xvfb, with mouse and keys, each checked by what it leaves:
# files, records, pictures of the screen. The study is the demo's, made small.
# Usage: tests/smoke/run.sh OUTPUT_FOLDER [JOURNEY…]   (after `cargo build --release`; journeys: 1 to 5)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${1:?usage: run.sh OUTPUT_FOLDER [JOURNEY…]}
shift
mkdir -p "$out"
rm -f "$out"/*-failure.png
out=$(cd "$out" && pwd)
binary=${PENTIMENTO_BINARY:-${CARGO_TARGET_DIR:-$root/target}/release/pentimento}

# Paths are typed with a keyboard: plain letters.
work=$(cd "${TMPDIR:-/tmp}" && pwd)/smoke-$$
mkdir -p "$work/home" "$work/runtime"
chmod 700 "$work/runtime"
export HOME="$work/home" XDG_RUNTIME_DIR="$work/runtime" PENTIMENTO_ASSETS="$work/assets"
export XDG_DATA_HOME="$work/home/data" XDG_CACHE_HOME="$work/home/cache"
export PENTIMENTO_CACHE="$work/cache" PENTIMENTO_DATA="$work/data"
unset WAYLAND_DISPLAY DBUS_SESSION_BUS_ADDRESS || true

journey=start
program=$$
server=
# Only what was started here is ended.
clean_up() {
  if [ -f "$work/programs" ]; then
    while read -r id; do kill "$id" 2>/dev/null || true; done <"$work/programs"
  fi
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap clean_up EXIT
# A command that fails where none may says where.
trap 'echo "smoke: $journey: line $LINENO of ${BASH_SOURCE[0]##*/} failed"' ERR
# shellcheck source=tests/smoke/lib.sh
. "$here/lib.sh"

# The server chooses a free number and writes it.
Xvfb -displayfd 3 -screen 0 1440x900x24 -nolisten tcp 3>"$work/display" >"$out/xvfb.log" 2>&1 &
server=$!
wait_for 60 "the display's number" test -s "$work/display"
DISPLAY=:$(cat "$work/display")
export DISPLAY
wait_for 60 "the display" xdpyinfo

small_demo "$work/assets/demo"
for file in "$here"/journeys/*.sh; do
  journey=$(basename "$file" .sh)
  if [ $# -gt 0 ] && ! printf '%s\n' "$@" | grep -qx "${journey%%-*}"; then continue; fi
  began=$SECONDS
  # shellcheck disable=SC1090
  . "$file"
  kill -0 "$program" || fail "the program is gone"
  ! grep -E "panicked|wgpu error|Validation Error" "$out/$journey.log" || fail "the log holds an error"
  close_window
  first=$(sed -n 's/.*first frame \([0-9]*\) ms.*/, first frame after \1 ms/p' "$out/$journey.log")
  echo "smoke: $journey: fine ($((SECONDS - began)) s$first)"
done
echo "smoke: $SECONDS s in all; screenshots in $out"
