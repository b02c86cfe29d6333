#!/bin/sh
# Compile-checks the features `cuda` and `metal` on a machine that has neither device nor toolkit, and runs the tests of
# `qdrant` against the stand-in they start on the loopback.
#
#     tools/check-features.sh [cuda] [metal] [qdrant]        # all when none is named
#
# Everything is put into target/features; nothing outside it is changed but the Rust target aarch64-apple-darwin, which
# rustup adds. NVIDIA's compiler and headers (some 300 MB) come from the Python package index, and so does Zig, whose
# C compiler brings the headers of macOS that the C parts of dependencies need. Nothing is linked or run: whether a
# kernel computes the right thing can only be seen on the device.
set -eu
cd "$(dirname "$0")/.."
features=${*:-cuda metal qdrant}
place=${CARGO_TARGET_DIR:-target}/features
mkdir -p "$place/python"
place=$(cd "$place" && pwd)

fetch() { python3 -m pip install --quiet --no-deps --upgrade --target "$place/python" "$@"; }

for feature in $features; do
    case $feature in
    cuda)
        # cudarc 0.19 knows toolkits up to 13.4.
        [ -x "$place/python/nvidia/cu13/bin/nvcc" ] || fetch 'nvidia-cuda-nvcc<13.5' 'nvidia-cuda-crt<13.5' \
            'nvidia-nvvm<13.5' 'nvidia-cuda-runtime<13.5' nvidia-cuda-cccl nvidia-curand
        toolkit=$place/python/nvidia/cu13
        chmod +x "$toolkit"/bin/* "$toolkit"/nvvm/bin/*
        # The capability of an A100, since there is no device to ask.
        CUDA_HOME=$toolkit CUDA_PATH=$toolkit CUDA_ROOT=$toolkit CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-80} \
            PATH=$toolkit/bin:$PATH CARGO_TARGET_DIR=$place/cuda cargo check --release --features cuda --lib --bins
        ;;
    metal)
        [ -x "$place/python/ziglang/zig" ] || fetch ziglang
        rustup target add aarch64-apple-darwin
        # Build scripts name the target in Apple's words, which Zig does not know.
        for tool in cc c++; do
            printf '#!/bin/bash\nkept=()\nfor a in "$@"; do case $a in --target=*|-mmacosx-version-min=*|-arch|arm64) ;; *) kept+=("$a") ;; esac; done\nexec "%s" %s -target aarch64-macos "${kept[@]}"\n' \
                "$place/python/ziglang/zig" "$tool" >"$place/$tool"
            chmod +x "$place/$tool"
        done
        chmod +x "$place/python/ziglang/zig"
        CC_aarch64_apple_darwin=$place/cc CXX_aarch64_apple_darwin=$place/c++ CARGO_TARGET_DIR=$place/metal \
            cargo check --release --target aarch64-apple-darwin --features metal --lib --bins
        ;;
    qdrant)
        CARGO_TARGET_DIR=$place/qdrant cargo test --release --features qdrant --lib embedding::
        ;;
    *)
        echo "unknown feature $feature; known: cuda, metal, qdrant" >&2
        exit 2
        ;;
    esac
    echo "$feature: checked"
done
