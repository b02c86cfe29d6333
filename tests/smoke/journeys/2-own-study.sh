# Own data: a folder laid out by `init`, opened by its path, one of its prompts chosen with the mouse and run.
own=$work/own
mkdir -p "$own/images"
find "$demo/gallery" -name '*.png' | sort | head -n 24 | xargs -I{} cp {} "$own/images/"
cp -r "$demo/model" "$own/model"
"$binary" init "$own/study" --model "$own/model" --gallery "$own/images" >/dev/null
printf 'a red owl in a misty forest\nLighthouse at Gull Point, oil painting by E. Marlow\n' >"$own/study/prompts.txt"
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
steps = 8
guidance = 4.0
width = 128
height = 128
seeds = "3, 5"
TOML
open_window "$demo"
shot 0-demo
open_path "$own/study"
wait_for 120 "the own study on the screen" has_changed 0-demo 5000
look_up "$own/study"
shot 1-open
click "Lighthouse at Gull Point, oil painting by E. Marlow"
key ctrl+Return
wait_for 240 "two judged pictures" recorded "$own/study" 2
for seed in 03 05; do
  find "$own/study/runs" -name "img_0001_$seed.png" | grep -q . || fail "the second prompt was not drawn with seed $seed"
done
grep -q '^steps = 8' "$own"/study/runs/*/run.toml || fail "the run does not say its steps"
shot 2-judged
