# A variant: a file opened by its path, the original's prompts and seeds drawn with it, both compared.
study=$work/to-mitigate
drawn_study "$study"
variant=$work/weak-guidance.toml
cat >"$variant" <<TOML
format = 1
name = "No guidance at first"

[[edit]]
kind = "guidance"
before = 0.0
step = 3
TOML
open_window "$study/runs/first"
still 0-open
open_path "$variant"
wait_for 180 "the variant at B" has_changed 0-open 60 "$variant_name"
still 1-variant
key ctrl+shift+b
wait_for 600 "the same seeds drawn with the variant" recorded "$study" 4
[ "$(find "$study/runs" -mindepth 1 -maxdepth 1 -type d | wc -l)" -eq 2 ] || fail "the variant's run has no folder of its own"
grep -l 'No guidance at first' "$study"/runs/*/run.toml >/dev/null || fail "no run names the variant"
still 2-drawn
look_up "$study/runs/first"
click "Compare"
wait_for 180 "the comparison" has_changed 2-drawn 5000
still 3-compare
key x
wait_for 180 "both pictures side by side" has_changed 3-compare 10000 "$stage"
still 4-side-by-side
