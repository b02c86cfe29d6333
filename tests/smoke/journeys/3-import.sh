# Finished pictures from elsewhere, audited without a model: the folder is opened by its path, the dialog shows what the
# names say, and a click imports. Then the table of scores that a command wrote is opened.
drawn=$work/drawn-elsewhere
drawn_study "$drawn"
pictures=$work/pictures
mkdir -p "$pictures"
find "$drawn/runs" -name 'img_0000_0?.png' ! -path '*matte*' ! -path '*signal*' -exec cp {} "$pictures/" \;
[ "$(find "$pictures" -name '*.png' | wc -l)" -eq 2 ] || fail "scan left other than two pictures"
audit=$work/audit
cp -r "$drawn" "$audit"
rm -rf "$audit/runs" "$audit/model"
sed -i '/^\[model\]/,/^$/d' "$audit/study.toml"
look_up "$audit" --open "$pictures"
open_window "$audit"
still 0-gallery
open_path "$pictures"
wait_for 180 "the dialog of what is imported" has_changed 0-gallery 100000
still 1-dialog
click "Import"
wait_for 300 "two compared pictures" recorded "$audit" 2
still 2-imported
table=$(find "$drawn/runs" -name scores.csv)
[ -s "$table" ] || fail "there is no table of scores"
open_path "$table"
wait_for 300 "the table's name in the bar" has_changed 2-imported 60 "$name"
still 3-table
