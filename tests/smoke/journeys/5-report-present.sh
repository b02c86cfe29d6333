# What is handed on: a report from the keyboard, the full-screen stage by keys only, the appearance, larger type.
open_window "$demo"
wait_for 60 "the earlier pictures" colours 2000
key ctrl+e
report() { find "$demo" "$PENTIMENTO_DATA" -name '*.html' -size +20k 2>/dev/null | grep -q .; }
wait_for 60 "the report" report
html=$(find "$demo" "$PENTIMENTO_DATA" -name '*.html' -size +20k 2>/dev/null | head -n 1)
grep -q 'Gull Point' "$html" || fail "the report does not hold the prompt"
! grep -qE '(src|href)="https?://[^"]*\.(js|css|png)' "$html" || fail "the report needs other files"
shot 0-report
palette "dismiss"
shot 1-window
key F11
wait_for 10 "the full-screen stage" has_changed 1-window 50000
shot 2-present
key b
sleep 1
key bracketright
wait_for 10 "the next seed" has_changed 2-present 3000
shot 3-next
key Escape
wait_for 10 "the panes again" has_changed 3-next 50000
palette "dark or light"
wait_for 10 "the other appearance" has_changed 1-window 200000
shot 4-light
key ctrl+plus ctrl+plus ctrl+plus
wait_for 10 "larger type" has_changed 4-light 20000
shot 5-larger
