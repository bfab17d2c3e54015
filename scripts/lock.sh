#!/bin/sh
# Write constraints.txt anew: the newest versions that the open ranges of pyproject.toml allow, with torch held.
# Write requirements.lock from it: the same versions with the digests of the package index, and the build backend.
# `sh scripts/lock.sh digests` writes requirements.lock alone.
set -eu
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
if [ "${1:-}" != digests ]; then
    grep '^torch==' constraints.txt > "$scratch/torch.txt"
    "$scratch/venv/bin/pip" install -c "$scratch/torch.txt" ./backbones ./models '.[dev,egemaps]'
    {
        head -2 constraints.txt
        "$scratch/venv/bin/pip" freeze --all --exclude pip --exclude bimodal-emotion --exclude bimodal-backbones --exclude bimodal-models |
            sed 's/+cpu$//'
    } > "$scratch/constraints.txt"
    if grep -E '^(nvidia-|triton|cuda-)|\+|@' "$scratch/constraints.txt"; then
        echo "not written: the lines above are no plain locked versions; the index offered torch for a GPU, see pip's --index-url" >&2
        exit 1
    fi
    mv "$scratch/constraints.txt" constraints.txt
fi
"$scratch/venv/bin/pip" install -q uv
# uv's own `--no-config` and the index by name: a mirror or a local folder may hold other files of the same version.
compile="$scratch/venv/bin/uv pip compile --no-config --default-index https://pypi.org/simple --no-header --no-annotate -q"
printf 'hatchling\neditables\n' | $compile -c constraints.txt - -o "$scratch/build.txt"
grep -v '^#' constraints.txt | sort -f - "$scratch/build.txt" | uniq > "$scratch/pins.txt"
{
    sed -n '/^#/p' requirements.lock
    $compile --no-deps --generate-hashes --no-emit-package torch "$scratch/pins.txt" |
        sed 's/^atheris==[^ ]*/& ; sys_platform == "linux"/'  # has wheels for Linux alone
} > "$scratch/requirements.lock"
mv "$scratch/requirements.lock" requirements.lock
