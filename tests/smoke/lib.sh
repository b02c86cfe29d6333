# What the journeys share: a window on a display of its own, keys, clicks on controls by their names, and waiting for
# results. Sourced by run.sh.

# Ends the journey with a picture of the screen and the program's last words.
fail() {
  echo "smoke: $journey: $1"
  import -window root "$out/$journey-failure.png" || true
  tail -20 "$out/$journey.log" || true
  exit 1
}

# Waits until a command succeeds: wait_for SECONDS WHAT COMMAND…
wait_for() {
  local seconds=$1 what=$2
  shift 2
  for _ in $(seq $((seconds * 5))); do
    "$@" >/dev/null 2>&1 && return 0
    kill -0 "$program" 2>/dev/null || fail "the program ended while waiting for $what"
    sleep 0.2
  done
  fail "waited $seconds s for $what"
}

# At least this many different colours on the screen: not an empty window.
colours() { [ "$(import -window root png:- | identify -format %k -)" -ge "$1" ]; }

# Saves the screen as NAME.
shot() { import -window root "$out/$journey-$1.png"; }

# Pixels in which the screen differs from the picture NAME.
changed_since() { import -window root png:- | compare -metric AE -fuzz 2% "$out/$journey-$1.png" - null: 2>&1 | cut -d'(' -f1; }
has_changed() { [ "$(printf '%.0f' "$(changed_since "$1")")" -ge "$2" ]; }

# Opens the window: open_window [ARGUMENT…]. The tour of the first start is ended.
open_window() {
  "$binary" "$@" >"$out/$journey.log" 2>&1 &
  program=$!
  echo "$program" >>"$work/programs"
  wait_for 60 "the window" xdotool search --onlyvisible --name Pentimento
  window=$(xdotool search --onlyvisible --name Pentimento | head -n 1)
  xdotool windowsize --sync "$window" 1440 900 windowmove "$window" 0 0 || true
  xdotool windowfocus "$window" || true
  wait_for 60 "the first picture of the window" colours 100
}

close_window() {
  kill "$program" 2>/dev/null || true
  wait "$program" 2>/dev/null || true
}

# Keys go to the window as a keyboard sends them.
key() { xdotool key --window "$window" "$@"; sleep 0.3; }
write() { xdotool type --window "$window" --delay 15 "$1"; sleep 0.3; }

# Looks up the places of all controls of the window as it opens on STUDY, at this size: look_up STUDY [ARGUMENT…]
look_up() {
  "$binary" snapshot "$@" --size 1440x900 --out "$work/look-up.png" --controls "$work/controls.json" >/dev/null 2>>"$out/$journey.log"
}

# Middle of the control NAME in pixels.
place() {
  awk -v want="$1" '
    /"name":/ { name = $0; sub(/^ *"name": "/, "", name); sub(/",?$/, "", name) }
    /"rect":/ { n = 0; inside = 1; next }
    inside && /[0-9]/ {
      v[++n] = $1 + 0
      if (n == 4) { inside = 0; if (name == want) { printf "%d %d\n", (v[1] + v[3]) / 2, (v[2] + v[4]) / 2; exit } }
    }' "$work/controls.json"
}

# Clicks with the mouse on the control NAME.
click() {
  local at
  at=$(place "$1")
  [ -n "$at" ] || fail "there is no control “$1”"
  # shellcheck disable=SC2086
  xdotool mousemove $at sleep 0.2 click 1
  sleep 0.3
}

# Presses KEY, which opens a field over a veil, writes TEXT once it is there, and confirms.
ask() {
  shot asking
  key "$1"
  wait_for 20 "the field behind $1" has_changed asking 100000
  write "$2"
  sleep 0.5
  key Return
  rm -f "$out/$journey-asking.png"
}

# The command NAME through the palette.
palette() { ask ctrl+k "$1"; }

# Opens a path through the field for it.
open_path() { ask ctrl+shift+o "$1"; }

# Pictures of a study that were drawn and compared; a picture that was only drawn has a line without matches.
records() { cat "$1"/runs/*/generations.jsonl 2>/dev/null | grep -c '"matches":\[{' || true; }
recorded() { [ "$(records "$1")" -ge "$2" ]; }
