#!/usr/bin/env bash
# Draws anew the pictures that README shows (docs/pictures), by `pentimento snapshot` on a run of the demo study. The
# ordinary tests fail when these pictures are not what the program draws.
set -euo pipefail
cd "$(dirname "$0")/.."
REQUIRE_GPU=1 UPDATE_SNAPSHOTS=1 cargo test --release --locked --test cli pictures
rm -f docs/pictures/*.old.png
