# What is handed on: a report from the keyboard, the full-screen stage by keys only, the appearance, larger type.
talk=$work/talk
drawn_study "$talk"
open_window "$talk/runs/first"
still 0-open
key ctrl+e
reports() { find "$talk" "$PENTIMENTO_DATA" -name '*.html' -size +20k 2>/dev/null || true; }
written() { [ -n "$(reports)" ]; }
wait_for 300 "the report" written
html=$(reports | head -n 1)
grep -q 'Gull Point' "$html" || fail "the report does not hold the prompt"
! grep -qE '(src|href)="https?://[^"]*\.(js|css|png)' "$html" || fail "the report needs other files"
palette "dismiss"
still 1-window
key F11
wait_for 180 "the full-screen stage" has_changed 1-window 50000
still 2-present
key bracketright
# The two seeds of a copied picture look alike: the line below tells them apart.
wait_for 180 "the next seed" has_changed 2-present 200
still 3-next
key Escape
wait_for 180 "the panes again" has_changed 3-next 50000
palette "dark or light"
wait_for 180 "the other appearance" has_changed 1-window 200000
still 4-light
key ctrl+plus
wait_for 180 "larger type" has_changed 4-light 20000
still 5-larger
