# What the journeys share: a window on a display of its own, keys, clicks on controls by their names, and waiting for
# results. Sourced by run.sh. Nothing waits for a time: everything waits for a file or for the screen.

# Ends the journey with a picture of the screen and the program's last words.
fail() {
  echo "smoke: $journey: $1"
  import -window root "$out/$journey-failure.png" 2>/dev/null || true
  tail -20 "$out/$journey.log" 2>/dev/null || true
  exit 1
}

# Waits until a command succeeds: wait_for SECONDS WHAT COMMAND…
wait_for() {
  local seconds=$1 what=$2 end
  end=$((SECONDS + seconds))
  shift 2
  until "$@" >/dev/null 2>&1; do
    kill -0 "$program" 2>/dev/null || fail "the program ended while waiting for $what"
    [ "$SECONDS" -lt "$end" ] || fail "waited $seconds s for $what"
    sleep 0.1
  done
}

# The demo with 24 training images of its first prompts, two seeds and six steps: the same kinds of files, ready in seconds.
small_demo() {
  local from=$root/assets/demo to=$1 name
  mkdir -p "$to/gallery" "$to/mattes"
  for name in vm-lighthouse vm-fox vm-teapot fm-robot; do
    find "$from/gallery" -name "$name-*" | sort | head -n 6 | while read -r image; do
      cp "$image" "$to/gallery/"
      cp "$from/mattes/$(basename "${image%.*}").png" "$to/mattes/"
    done
  done
  [ "$(find "$to/gallery" -type f | wc -l)" -eq 24 ] || fail "the demo's gallery has other names"
  cp -r "$from/model" "$from/segmenter" "$to/"
  head -n 1 "$from/captions.csv" >"$to/captions.csv"
  find "$to/gallery" -type f -printf '%f,\n' | grep -Ff - "$from/captions.csv" >>"$to/captions.csv"
  head -n 4 "$from/prompts.csv" >"$to/prompts.csv"
  sed -e 's/^steps = .*/steps = 6/' -e 's/^seeds = .*/seeds = "0, 1"/' "$from/study.toml" >"$to/study.toml"
}

# A study like the small demo whose first prompt has been drawn, into runs/first: drawn_study FOLDER
drawn_study() {
  cp -r "$work/assets/demo" "$1"
  rm -rf "$1/runs"
  printf '%s\n' "$lighthouse" >"$work/one-prompt.txt"
  "$binary" scan "$1" --prompts "$work/one-prompt.txt" --out "$1/runs/first" --quiet >/dev/null 2>>"$out/$journey-scan.log" || fail "scan failed"
  recorded "$1" 2 || fail "scan drew other than two pictures"
}
lighthouse="Lighthouse at Gull Point, oil painting by E. Marlow"

# Pictures of the screen. Saves it as NAME.
shot() { import -window root "$out/$journey-$1.png"; }

# At least this many different colours on the screen: not an empty window.
colours() { [ "$(import -window root png:- | identify -format %k -)" -ge "$1" ]; }

# Pixels in which PART of the screen (WIDTHxHEIGHT+LEFT+TOP) differs from the picture NAME: differing NAME PART
differing() {
  import -window root "$work/now.png"
  compare -metric AE -fuzz 2% "$out/$journey-$1.png[$2]" "$work/now.png[$2]" null: 2>&1 | cut -d'(' -f1
}
whole=1440x900+0+0
stage=700x380+300+100
# In the bar: the study's name, and the variant at B.
name=110x40+105+2
variant_name=130x40+340+2
prompts=280x400+0+100
# has_changed NAME PIXELS [PART]
has_changed() { [ "$(printf '%.0f' "$(differing "$1" "${3:-$whole}")")" -ge "$2" ]; }

# Whether the screen stands still for half a second; a blinking text cursor does not count.
stands() {
  import -window root "$work/before.png"
  sleep 0.5
  import -window root "$work/now.png"
  [ "$(compare -metric AE "$work/before.png" "$work/now.png" null: 2>&1 | cut -d'(' -f1 | xargs printf '%.0f')" -le 80 ]
}
# Waits until nothing moves any more and saves the screen as NAME: still NAME
still() {
  wait_for 300 "the window to come to rest" stands
  shot "$1"
}

# Opens the window: open_window [ARGUMENT…]
open_window() {
  RUST_LOG=warn,wgpu_hal=error,pentimento::app::window=info "$binary" "$@" >"$out/$journey.log" 2>&1 &
  program=$!
  echo "$program" >>"$work/programs"
  wait_for 300 "the window" xdotool search --onlyvisible --name '^Pentimento$'
  window=$(xdotool search --onlyvisible --name '^Pentimento$' | head -n 1)
  xdotool windowmove "$window" 0 0 windowsize "$window" 1440 900
  xdotool windowfocus "$window"
  wait_for 300 "the first picture of the window" colours 100
}

close_window() {
  kill "$program" 2>/dev/null || true
  wait "$program" 2>/dev/null || true
}

# Keys go through the server to the window that has the focus, as a keyboard sends them.
key() { xdotool key --delay 60 "$@"; }
write() { xdotool type --delay 30 "$1"; }

# Looks up the places of all controls of the window as it opens on STUDY, at this size: look_up STUDY [ARGUMENT…]
look_up() {
  "$binary" snapshot "$@" --size 1440x900 --out "$work/look-up.png" --controls "$work/controls.json" \
    >/dev/null 2>>"$out/$journey.log" || fail "the controls of $1 could not be looked up"
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

# Clicks with the mouse on the control NAME that was looked up.
click() {
  local at
  at=$(place "$1")
  [ -n "$at" ] || fail "there is no control “$1”"
  # shellcheck disable=SC2086
  xdotool mousemove $at sleep 0.2 mousedown 1 sleep 0.1 mouseup 1
}

# Presses KEY, which opens a field over a veil, writes TEXT once it is there, and confirms once it is written.
ask() {
  still asking
  key "$1"
  wait_for 180 "the field behind $1" has_changed asking 100000
  # A field may hold what was written before.
  key ctrl+a
  still asking
  write "$2"
  wait_for 180 "the words in the field" has_changed asking 150
  still asking
  key Return
  wait_for 180 "the field to close" has_changed asking 100000
  rm -f "$out/$journey-asking.png"
}

# The command NAME through the palette.
palette() { ask ctrl+k "$1"; }

# Opens a path through the field for it.
open_path() { ask ctrl+shift+o "$1"; }

# Pictures of a study that were drawn and compared; a picture that was only drawn has a line without matches.
records() { cat "$1"/runs/*/generations.jsonl 2>/dev/null | grep -c '"matches":\[{' || true; }
recorded() { [ "$(records "$1")" -ge "$2" ]; }
