#!/usr/bin/env bash
# Checks a package that linux.sh made, as a person meets it: unpacked elsewhere, with an empty home, far from the sources.
#
#     tools/package/check.sh target/package/pentimento_VERSION_ARCH.deb      (or the .tar.gz)
#
# Needs dpkg for a .deb, Xvfb and ImageMagick for the window; desktop-file-validate and man are used where they are.
set -euo pipefail

package=$(readlink -f "${1:?a .deb or .tar.gz}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "package: $1" >&2; exit 1; }

case $package in
  *.deb) dpkg -x "$package" "$work/root"; usr=$work/root/usr ;;
  *.tar.gz) mkdir "$work/root"; tar -C "$work/root" -xzf "$package"; usr=$(echo "$work"/root/*) ;;
  *) fail "neither a .deb nor a .tar.gz" ;;
esac
for part in bin/pentimento share/pentimento/pentimento share/pentimento/assets/demo/study.toml \
  share/applications/pentimento.desktop share/icons/hicolor/scalable/apps/pentimento.svg share/man/man1/pentimento.1.gz \
  share/man/man1/pentimento-scan.1.gz share/bash-completion/completions/pentimento share/zsh/site-functions/_pentimento \
  share/fish/vendor_completions.d/pentimento.fish share/doc/pentimento/LICENSE share/doc/pentimento/guide/README.md; do
  [ -s "$usr/$part" ] || fail "$part is missing"
done
if command -v desktop-file-validate >/dev/null; then
  said=$(desktop-file-validate "$usr/share/applications/pentimento.desktop") || true
  [ -z "$said" ] || fail "$said"
fi
bash -n "$usr/share/bash-completion/completions/pentimento"
zcat "$usr/share/man/man1/pentimento.1.gz" | grep -q '^\.SH SYNOPSIS' || fail "the manual page has no synopsis"

# A home of its own and nothing of the environment that could name the sources.
mkdir "$work/home"
cd /
program=(env -i "HOME=$work/home" PATH=/usr/bin:/bin "$usr/bin/pentimento")
run() { "${program[@]}" "$@"; }
[[ $(run --version) == pentimento\ * ]] || fail "it does not tell its version"
found=$(run doctor 2>/dev/null | sed -n 's/^demo study *//p')
[ "$(readlink -f "$found")" = "$(readlink -f "$usr")/share/pentimento/assets/demo" ] || fail "it does not find its own demo study: $found"
run init "$work/study" --quiet >/dev/null
[ -s "$work/study/study.toml" ] || fail "init wrote no study"

if command -v Xvfb >/dev/null && command -v import >/dev/null; then
  exec 3>"$work/display"
  Xvfb -displayfd 3 -screen 0 1280x800x24 2>/dev/null &
  screen=$!
  for _ in $(seq 50); do [ -s "$work/display" ] && break; sleep 0.1; done
  display=:$(cat "$work/display")
  "${program[@]:0:4}" "DISPLAY=$display" "${program[4]}" 2>"$work/log" &
  window=$!
  for _ in $(seq 120); do
    colours=$(DISPLAY=$display import -window root png:- 2>/dev/null | identify -format %k - 2>/dev/null || echo 0)
    [ "$colours" -ge 200 ] && break
    sleep 0.5
  done
  kill "$window" 2>/dev/null || true
  wait "$window" 2>/dev/null || true
  kill "$screen"
  [ "$colours" -ge 200 ] || { tail -5 "$work/log"; fail "no window was drawn ($colours colours)"; }
  echo "window: $colours colours"
fi
echo "package: $(basename "$package") is whole"
