# First start: the tour, a run of the demo study by mouse and key, the picture forming, its verdict, an overlay, zoom.
open_window
wait_for 60 "the tour" colours 200
shot 0-tour
key Escape
wait_for 10 "the end of the tour" has_changed 0-tour 20000
look_up "$demo"
shot 1-open
click "Run"
wait_for 240 "the first judged picture" recorded "$demo" 1
shot 2-first
wait_for 300 "four judged pictures" recorded "$demo" 4
sleep 1
grep -q '"matches":\[{' "$demo"/runs/*/generations.jsonl || fail "the record holds no matches"
[ "$(find "$demo"/runs -name 'img_*.png' -path '*img_0000_0*' | wc -l)" -ge 4 ] || fail "the pictures are not on disk"
shot 3-judged
key r
wait_for 10 "Reveal to change the Stage" has_changed 3-judged 3000
shot 4-reveal
# The wheel zooms at the pointer; 0 fits again.
xdotool mousemove 680 280 click --repeat 4 4
wait_for 10 "the wheel to zoom" has_changed 4-reveal 20000
key 0
sleep 1
shot 5-fit
# A click on the next prompt looks at it.
click "The little fox of Amber Wood, storybook cover"
wait_for 10 "the next prompt" has_changed 5-fit 3000
