#!/bin/sh
# Write constraints.txt anew: the newest versions that the open ranges of pyproject.toml allow, with torch held.
set -eu
cd "$(dirname "$0")/.."
torch=$(grep '^torch==' constraints.txt)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
echo "$torch" > "$scratch/torch.txt"
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install -c "$scratch/torch.txt" ./backbones '.[dev]'
{
    head -2 constraints.txt
    "$scratch/venv/bin/pip" freeze --exclude bimodal-emotion --exclude bimodal-backbones | sed 's/+cpu$//' | grep -v '@ file'
} > "$scratch/constraints.txt"
mv "$scratch/constraints.txt" constraints.txt
