#!/bin/sh
# Runs the tests of modules with `unsafe` under AddressSanitizer, at full speed and with the real vector instructions; then under
# Miri, which also finds uninitialised memory and data races, and takes its time.
#
#     tools/check-memory-safety.sh
#
# Needs a nightly toolchain with the components miri and rust-src. The modules are built alone, without the program:
# `similarity/kernel.rs`, and `ops/{math,widen}.rs`. The others with `unsafe` hand raw pointers to the crate
# `gemm`, whose inline assembly Miri cannot run, or need tensors of candle; AddressSanitizer sees their tests
# when the whole program is built with it (`PENTIMENTO_ASAN_ALL=1`: everything is compiled anew).
set -eu
cd "$(dirname "$0")/.."
root=$PWD
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
mkdir -p "$place/src"
cat >"$place/Cargo.toml" <<TOML
[package]
name = "unsafe-modules"
version = "0.0.0"
edition = "2024"
[dependencies]
half = "2"
[workspace]
TOML
cat >"$place/src/lib.rs" <<RS
#![allow(dead_code, missing_docs)]
#[path = "$root/src/similarity/kernel.rs"]
pub mod kernel;
mod ops {
    #[path = "$root/src/ops/math.rs"]
    pub mod math;
    #[path = "$root/src/ops/widen.rs"]
    pub mod widen;
}
RS
cd "$place"
export CARGO_TARGET_DIR="$place/target" CARGO_INCREMENTAL=0
host=$(rustc -vV | sed -n 's/^host: //p')
echo "AddressSanitizer:"
RUSTFLAGS="-Zsanitizer=address" cargo +nightly test --quiet --lib --target "$host"
echo "Miri, instruction sets of the baseline and of AVX2:"
MIRIFLAGS="-Zmiri-permissive-provenance" cargo +nightly miri test --quiet --lib -- ${MIRI_ONLY:-}
RUSTFLAGS="-Ctarget-feature=+avx2,+fma,+f16c" MIRIFLAGS="-Zmiri-permissive-provenance" \
    cargo +nightly miri test --quiet --lib -- ${MIRI_ONLY:-}
if [ -n "${PENTIMENTO_ASAN_ALL:-}" ]; then
    cd "$root"
    RUSTFLAGS="-Zsanitizer=address" cargo +nightly test --release --locked --lib --target "$host" -- ops:: similarity:: segmentation::
fi
