"""All three stages over a manifest: restartable, the same twice, and what cannot be trained is said in one sentence."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from bimodal.config import TrainConfig, read_config
from bimodal.errors import AudioError, BimodalError, ManifestError, SplitError, TrainingError
from bimodal.recognizer import Recognizer
from bimodal.training.packing import train

FAST = [
    "speech.epochs=2", "speech.steps=10", "speech.components=0", "speech.heads=1", "text.steps=10", "text.epochs=2",
    "fusion.epochs=2", "fusion.steps=5", "fusion.parts=2", "threads=1",
]  # fmt: skip
CONFIG = read_config(TrainConfig(), settings=FAST)


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


def copied(manifest: Path, folder: Path, change=lambda row: row) -> Path:
    """The tiny corpus in another folder, each row changed; a row that becomes None is left out."""
    shutil.copytree(manifest.parent, folder)
    with manifest.open(newline="") as stream:
        rows = [change(row) for row in csv.DictReader(stream)]
    with (folder / manifest.name).open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["path", "transcript", "emotion", "speaker", "split"])
        writer.writeheader()
        writer.writerows(row for row in rows if row is not None)
    return folder / manifest.name


def test_stage_by_stage_is_all_at_once(tiny_manifest, cache, tmp_path):
    whole = train(tiny_manifest, tmp_path / "whole", CONFIG, cache)
    for stage in ("speech", "text", "fusion"):
        stepwise = train(tiny_manifest, tmp_path / "steps", CONFIG, cache, stages=(stage,))
    one, other = (load_file(model / "weights.safetensors") for model in (whole, stepwise))
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_finished_run_is_returned_without_training(tiny_manifest, cache, tmp_path):
    epochs = []
    train(tiny_manifest, tmp_path / "run", CONFIG, cache, stages=("text",), on_epoch=epochs.append)
    trained = len(epochs)
    train(tiny_manifest, tmp_path / "run", CONFIG, cache, stages=("text",), on_epoch=epochs.append)
    assert trained > 0 and len(epochs) == trained


def test_another_configuration_is_refused_in_the_same_folder(tiny_manifest, cache, tmp_path):
    train(tiny_manifest, tmp_path / "run", CONFIG, cache, stages=("text",))
    with pytest.raises(TrainingError, match="another configuration or other data"):
        train(tiny_manifest, tmp_path / "run", replace(CONFIG, seed=1), cache, stages=("text",))


def test_speech_alone_gives_a_model_without_words(tiny_manifest, cache, tmp_path):
    recognizer = Recognizer(train(tiny_manifest, tmp_path / "run", CONFIG, cache, stages=("speech",)))
    result = recognizer.recognize(tiny_manifest.parent / "audio" / "s0-anger-0.wav", transcript="ignored")
    assert result.text_scores is None and result.transcript is None


def test_test_rows_decide_nothing(tiny_manifest, cache, tmp_path):
    def relabel(row):
        return row | {"emotion": "sadness"} if row["split"] == "test" else row

    one = train(tiny_manifest, tmp_path / "one", CONFIG, cache, stages=("text",))
    other = train(copied(tiny_manifest, tmp_path / "c", relabel), tmp_path / "two", CONFIG, cache, stages=("text",))
    weights = [load_file(model / "weights.safetensors") for model in (one, other)]
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize(
    ("change", "kind", "sentence"),
    [
        (lambda row: row | {"emotion": "hapy"}, ManifestError, "unknown emotion 'hapy'.*happy"),
        (lambda row: row | {"emotion": "anger"}, TrainingError, "fewer than 2 emotions"),
        (lambda row: row | {"emotion": ""}, TrainingError, "no labelled utterance"),
        (lambda row: row | {"speaker": "one"}, SplitError, "speaker"),
        (lambda row: row | {"split": "dev" if row["path"].endswith("2.wav") else "train"}, SplitError, "shared"),
        (lambda row: row | {"path": "audio/s0-anger-0.wav"}, ManifestError, "again, first in line 2"),
        (lambda row: row | ({"path": "audio/no.wav"} if "s3-anger-1" in row["path"] else {}), BimodalError, r"no\.wav"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_said(tiny_manifest, cache, tmp_path, change, kind, sentence):
    with pytest.raises(kind, match=f"(?s){sentence}"):
        train(copied(tiny_manifest, tmp_path / "c", change), tmp_path / "run", CONFIG, cache)


def test_missing_words_are_said_where_words_are_needed(tiny_manifest, cache, tmp_path):
    silent = copied(tiny_manifest, tmp_path / "c", lambda row: row | {"transcript": ""})
    with pytest.raises(TrainingError, match="transcripts for text"):
        train(silent, tmp_path / "run", CONFIG, cache, stages=("text",))


@pytest.mark.parametrize("content", [b"", b"RIFF", b"this is no audio at all" * 40])
def test_a_bad_recording_is_named_and_the_rest_is_kept(tiny_manifest, tmp_path, content):
    manifest = copied(tiny_manifest, tmp_path / "c")
    (manifest.parent / "audio" / "s5-sadness-2.wav").write_bytes(content)
    with pytest.raises(AudioError, match=r"s5-sadness-2\.wav"):
        train(manifest, tmp_path / "run", CONFIG, tmp_path / "cache", stages=("speech",))
    assert list((tmp_path / "cache").glob("*.safetensors"))
