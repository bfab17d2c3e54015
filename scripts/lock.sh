#!/bin/sh
# Write constraints.txt anew: the newest versions that the open ranges of pyproject.toml allow, with torch held.
set -eu
cd "$(dirname "$0")/.."
torch=$(grep '^torch==' constraints.txt)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
echo "$torch" > "$scratch/torch.txt"
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install -c "$scratch/torch.txt" ./backbones ./models '.[dev]'
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
