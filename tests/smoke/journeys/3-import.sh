# Finished pictures from elsewhere, audited without a model: a command compares them while the window shows its run; then
# the table of scores it wrote is opened by its path.
pictures=$work/pictures
run=$work/imported
mkdir -p "$pictures"
find "$demo/runs" -path '*img_0000_0*.png' ! -path '*matte*' | while read -r picture; do
  cp "$picture" "$pictures/$(basename "$picture")"
done
count=$(find "$pictures" -name '*.png' | wc -l)
[ "$count" -ge 4 ] || fail "journey 1 left no pictures"
"$binary" scan "$demo" --generated "$pictures" --out "$run" --quiet 2>>"$out/$journey-scan.log"
[ "$(grep -c '"matches":\[{' "$run/generations.jsonl")" -eq "$count" ] || fail "not every picture was compared"
open_window "$run"
wait_for 60 "the imported pictures" colours 2000
shot 0-run
[ -s "$run/scores.csv" ] || fail "there is no table of scores"
# What the window prepares by itself is stopped, so that the table is next.
key ctrl+period
sleep 1
shot 1-stopped
open_path "$run/scores.csv"
wait_for 60 "the table on the screen" has_changed 1-stopped 20000
sleep 1
shot 2-table
