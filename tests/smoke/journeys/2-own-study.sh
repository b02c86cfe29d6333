# Own data: a folder laid out by `init`, opened by its path, one of its prompts chosen with the mouse and run.
own=$work/own
mkdir -p "$own/images"
find "$work/assets/demo/gallery" -name 'vm-*' | sort | head -n 8 | xargs -I{} cp {} "$own/images/"
cp -r "$work/assets/demo/model" "$own/model"
"$binary" init "$own/study" --model "$own/model" --gallery "$own/images" >/dev/null
printf 'a red owl in a misty forest\n%s\n' "$lighthouse" >"$own/study/prompts.txt"
cat >"$own/study/study.toml" <<TOML
format = 1
name = "Own study"

[model]
path = "../model"

[gallery]
path = "../images"

[prompts]
path = "prompts.txt"

[sampling]
steps = 5
guidance = 4.0
width = 128
height = 128
seeds = "3, 5"
TOML
open_window "$work/assets/demo"
still 0-demo
open_path "$own/study"
wait_for 300 "the own study on the screen" has_changed 0-demo 3000 "$prompts"
still 1-open
look_up "$own/study"
click "$lighthouse"
wait_for 180 "the chosen prompt" has_changed 1-open 500 "$prompts"
key ctrl+Return
wait_for 600 "two judged pictures" recorded "$own/study" 2
for seed in 03 05; do
  find "$own/study/runs" -name "img_0001_$seed.png" | grep -q . || fail "the second prompt was not drawn with seed $seed"
done
grep -q '^steps = 5' "$own"/study/runs/*/run.toml || fail "the run does not say its steps"
still 2-judged
