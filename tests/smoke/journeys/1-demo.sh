# First start: the tour, a run of the demo study by mouse, the picture forming, its verdict, an overlay, zoom.
demo=$work/assets/demo
open_window
still 0-tour
key Escape
wait_for 180 "the end of the tour" has_changed 0-tour 20000
still 1-open
look_up "$demo"
click "Run"
wait_for 300 "the picture that forms" has_changed 1-open 2000 "$stage"
shot 2-forming
wait_for 600 "two judged pictures" recorded "$demo" 2
still 3-judged
for seed in 00 01; do
  find "$demo/runs" -name "img_0000_$seed.png" | grep -q . || fail "seed $seed left no picture"
done
key r
wait_for 180 "Reveal to change the Stage" has_changed 3-judged 3000 "$stage"
still 4-reveal
# The wheel zooms at the pointer; 0 fits again.
xdotool mousemove 680 280 click --repeat 4 --delay 80 4
wait_for 180 "the wheel to zoom" has_changed 4-reveal 20000 "$stage"
still 5-zoomed
key 0
wait_for 180 "the whole picture again" has_changed 5-zoomed 20000 "$stage"
still 6-fit
# A click on the next prompt looks at it.
click "The little fox of Amber Wood, storybook cover"
wait_for 180 "the next prompt" has_changed 6-fit 3000 "$stage"
still 7-next
