# A variant: a file opened by its path, the original's prompts and seeds drawn with it, both compared.
variant=$work/weak-guidance.toml
cat >"$variant" <<TOML
format = 1
name = "No guidance at first"

[[edit]]
kind = "guidance"
before = 0.0
step = 10
TOML
before=$(find "$demo/runs" -mindepth 1 -maxdepth 1 -type d | wc -l)
drawn=$(records "$demo")
[ "$drawn" -ge 4 ] || fail "journey 1 left no pictures"
open_window "$demo"
wait_for 60 "the earlier pictures" colours 2000
shot 0-open
open_path "$variant"
wait_for 30 "the variant at B" has_changed 0-open 500
shot 1-variant
key ctrl+shift+b
wait_for 240 "the same seeds drawn with the variant" recorded "$demo" $((2 * drawn))
[ "$(find "$demo/runs" -mindepth 1 -maxdepth 1 -type d | wc -l)" -eq $((before + 1)) ] || fail "the variant's run has no folder of its own"
grep -l 'No guidance at first' "$demo"/runs/*/run.toml >/dev/null || fail "no run names the variant"
sleep 1
shot 2-drawn
look_up "$demo"
click "Compare"
key x
wait_for 10 "both pictures side by side" has_changed 2-drawn 20000
sleep 1
shot 3-compare
