#!/usr/bin/env bash
# Packs the program for Linux: target/package/pentimento-VERSION-ARCH.tar.gz and .deb.
# Needs what builds the program, and dpkg-deb for the .deb (left out without it).
set -euo pipefail
cd "$(dirname "$0")/../.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
machine=$(uname -m)
target=${CARGO_TARGET_DIR:-target}
[ "${1:-}" = "--no-build" ] || cargo build --release --locked

out=target/package
name=pentimento-$version-linux-$machine
root=$out/$name
rm -rf "$root" "$out/deb"
mkdir -p "$root"/{bin,share/pentimento/assets,share/applications,share/icons/hicolor/scalable/apps,share/man/man1} \
  "$root"/share/{bash-completion/completions,zsh/site-functions,fish/vendor_completions.d,doc/pentimento}

# The program looks for `assets` beside itself and in the folders above; a small starter names them instead.
install -m 755 "$target/release/pentimento" "$root/share/pentimento/pentimento"
cat >"$root/bin/pentimento" <<'SH'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")/../share/pentimento
PENTIMENTO_ASSETS=${PENTIMENTO_ASSETS:-$here/assets} exec "$here/pentimento" "$@"
SH
chmod 755 "$root/bin/pentimento"
cp -r assets/demo "$root/share/pentimento/assets/"
rm -rf "$root/share/pentimento/assets/demo/runs"
install -m 644 tools/package/pentimento.desktop "$root/share/applications/"
install -m 644 assets/pentimento.svg "$root/share/icons/hicolor/scalable/apps/"
install -m 644 README.md CHANGELOG.md LICENSE* "$root/share/doc/pentimento/"
cp -r docs "$root/share/doc/pentimento/guide"
"$root/bin/pentimento" man --out "$root/share/man/man1" >/dev/null
gzip -9n "$root"/share/man/man1/*.1
"$root/bin/pentimento" completions bash >"$root/share/bash-completion/completions/pentimento"
"$root/bin/pentimento" completions zsh >"$root/share/zsh/site-functions/_pentimento"
"$root/bin/pentimento" completions fish >"$root/share/fish/vendor_completions.d/pentimento.fish"

tar --sort=name --owner=0 --group=0 --numeric-owner -C "$out" -czf "$out/$name.tar.gz" "$name"
echo "$out/$name.tar.gz"

if command -v dpkg-deb >/dev/null; then
  deb=$out/deb
  mkdir -p "$deb/usr" "$deb/DEBIAN"
  cp -r "$root"/* "$deb/usr/"
  arch=$(dpkg --print-architecture)
  install -m 644 LICENSE "$deb/usr/share/doc/pentimento/copyright"
  # The newest symbols of the C library that the program asks for are those of the machine that built it.
  libc=$(grep -ao 'GLIBC_2\.[0-9]*' "$root/share/pentimento/pentimento" | sort -uV | tail -1)
  cat >"$deb/DEBIAN/control" <<CONTROL
Package: pentimento
Version: $version
Architecture: $arch
Maintainer: The Pentimento authors <pentimento@localhost>
Section: science
Priority: optional
Installed-Size: $(du -sk "$deb/usr" | cut -f1)
Depends: libc6 (>= ${libc#GLIBC_}), libgcc-s1, libstdc++6
Recommends: mesa-vulkan-drivers, libvulkan1, libegl1, libxkbcommon-x11-0, libx11-xcb1, libxcursor1, libxi6
Description: See what a text-to-image diffusion model remembers
 Draws pictures from a Stable Diffusion checkpoint, compares foreground and
 background with every training image, and shows what was copied, and where.
CONTROL
  dpkg-deb --root-owner-group --build "$deb" "$out/pentimento_${version}_$arch.deb" >/dev/null
  rm -rf "$deb"
  echo "$out/pentimento_${version}_$arch.deb"
fi
