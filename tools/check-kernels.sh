#!/bin/sh
# Runs the tests of the similarity kernels here and on an emulated aarch64, without building the program.
#
#     tools/check-kernels.sh
#
# Needs a cross linker and an emulator (Debian: gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user) and adds the Rust
# target aarch64-unknown-linux-gnu. QEMU emulates NEON, but no AVX-512: that path is compiled by every build for x86-64,
# and its sixteen lanes are compared bit by bit with the others, but its instructions run only where the processor has them.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
printf '#![allow(dead_code)]\n#[path = "%s/src/similarity/kernel.rs"]\nmod kernel;\n' "$root" >"$place/kernels.rs"
for target in "$(rustc -vV | sed -n 's/^host: //p')" aarch64-unknown-linux-gnu; do
    rustup target add "$target" 2>/dev/null
    linker=cc run=
    case $target in aarch64-*) [ "$(uname -m)" = aarch64 ] || linker=aarch64-linux-gnu-gcc run='qemu-aarch64 -L /usr/aarch64-linux-gnu' ;; esac
    rustc --edition 2024 --test -C opt-level=3 -C linker="$linker" --target "$target" -o "$place/$target" "$place/kernels.rs"
    echo "$target:"
    $run "$place/$target" --quiet
done
