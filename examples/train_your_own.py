"""Train a model on a manifest, evaluate it on the test split, and recognise one of the test recordings.

    python examples/train_your_own.py mine/manifest.csv run

The manifest needs a column `split`. `bimodal demo` speaks a corpus that fits: demo/corpus/manifest.csv.

The settings are small so that the script takes a minute on a small corpus. Leave them out for a real model.
"""

import sys
from pathlib import Path

from bimodal import Recognizer
from bimodal.config import TrainConfig, read_config
from bimodal.data.manifest import read_manifest
from bimodal.evaluation.describe import describe
from bimodal.evaluation.predict import evaluate_model
from bimodal.evaluation.report import evaluate
from bimodal.training.train import train

SMALL = ("speech.min_steps=40", "speech.epochs=2", "text.min_steps=40", "text.epochs=2", "fusion.n_folds=2")


def main(manifest: Path, run: Path) -> None:
    """Train all three stages, print the report, and print one result."""
    config = read_config(TrainConfig(), settings=[*SMALL, "speech.pca_components=0", "name=mine", "licence=CC0-1.0"])
    model = train(manifest, run, config, run / "cache")

    predictions, notes = evaluate_model(model, manifest, split="test")
    print(describe(evaluate(predictions, title=str(manifest), notes=notes)))

    rows = read_manifest(manifest)
    one = next(row for row in rows.utterances if row.split == "test" and row.path)
    result = Recognizer(model).recognize(rows.folder / str(one.path), transcript=one.transcript)
    print(f"{one.path}: {result.emotion}; the label is {one.emotion}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
