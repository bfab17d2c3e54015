"""Tuning a speech encoder: a sound backbone, restartable, lower layers untouched, level no cue."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bimodal.config import SpeechHeadConfig, TrainConfig, TuneSpeechConfig, read_config
from bimodal.data.manifest import read_manifest
from bimodal.errors import BackboneError, TrainingError
from bimodal.features.backbone import DESCRIPTION, MODEL, load_backbone, read_description
from bimodal.features.cache import FeatureCache
from bimodal.inference.recognizer import Recognizer
from bimodal.training import loop
from bimodal.training.loop import predict
from bimodal.training.rows import label_rows
from bimodal.training.stage import RunContext
from bimodal.training.train import train
from bimodal.training.tune_speech import load_speech_model, train_tuned, tune_speech, tuned_speech


def config(source: Path, **changes) -> TuneSpeechConfig:
    head = SpeechHeadConfig(augmentations=("speed0.9",), pca_components=16, ensemble_size=2, epochs=2, min_steps=0)
    options = {"source": str(source), "epochs": 2, "batch_size": 8, "layers": (1, 2), "frozen": 1, "threads": 1}
    options |= {"crop_seconds": 0.3, "head": head, "precision": "float32"}
    return TuneSpeechConfig(trained_on="the tiny corpus", licence="CC0-1.0", **(options | changes))


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def tuned(tiny_manifest, tiny_whisper, cache, tmp_path_factory) -> Path:
    return tune_speech(tiny_manifest, tmp_path_factory.mktemp("tuned") / "out", config(tiny_whisper), cache)


def hear(folder: Path) -> np.ndarray:
    signal = np.random.default_rng(0).normal(0, 0.1, 9000).astype(np.float32)
    return load_backbone(folder, threads=1, verify=True).extract(signal).states


def test_the_result_is_a_backbone_whose_lower_layers_are_untouched(tuned, tiny_whisper):
    description = read_description(tuned)
    assert (description.tuned_on, description.licence, description.layers) == ("the tiny corpus", "CC0-1.0", (1, 2))
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_whisper, tuned / "encoder"))
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed and all(name.startswith("layers.1.") for name in changed)
    assert np.isfinite(hear(tuned)).all()


def test_a_model_trained_on_it_recognises(tuned, tiny_manifest, cache, tmp_path):
    settings = [
        f"speech_backbone={tuned}",
        "speech.epochs=2",
        "speech.min_steps=0",
        "speech.pca_components=8",
        "threads=1",
    ]
    resolved = read_config(TrainConfig(), None, settings)
    model = train(tiny_manifest, tmp_path / "run", resolved, cache, stages=["speech"])
    clip = read_manifest(tiny_manifest).folder / read_manifest(tiny_manifest).utterances[0].path
    assert Recognizer(model).recognize(clip).emotion in {"anger", "happiness", "sadness"}


def test_the_network_says_the_same_as_its_backbone_and_head_apart(tiny_manifest, tiny_whisper, tmp_path):
    chosen = config(tiny_whisper)
    read = read_manifest(tiny_manifest)
    rows = label_rows(read.utterances, chosen.vocabulary)
    pretrained = load_speech_model(chosen)
    with FeatureCache(tmp_path) as features:
        sides = tuned_speech(rows, read.folder, pretrained, chosen, features)
        train_rows = list(range(9, len(rows.utterances)))
        network, _ = train_tuned(sides, train_rows, [], chosen, RunContext(seed=0))
        whole = predict(network, sides.tuned.examples.subset([0, 1, 5]))[1]
    tune_speech(tiny_manifest, tmp_path / "out", chosen, tmp_path)  # another dev split: only its layout is used
    single = [predict(network, sides.tuned.examples.subset([row]))[1][0] for row in (0, 1, 5)]
    assert whole == pytest.approx(np.array(single), abs=1e-4)


def test_a_tuned_network_lies_between_its_start_and_its_end(tiny_manifest, tiny_whisper, cache):
    read, chosen = read_manifest(tiny_manifest), config(tiny_whisper)
    rows, pretrained = label_rows(read.utterances, chosen.vocabulary), load_speech_model(chosen)
    with FeatureCache(cache) as features:
        sides = tuned_speech(rows, read.folder, pretrained, chosen, features)
        first, between, last = (
            train_tuned(sides, range(30), [], replace(chosen, interpolation=share), RunContext(seed=0))[0].state_dict()
            for share in (0.0, 0.25, 1.0)
        )
    before = pretrained.encoder.state_dict()["layers.1.fc1.weight"]
    assert torch.equal(first["encoder.blocks.0.fc1.weight"], before)
    for name, value in between.items():
        assert torch.allclose(value, first[name].lerp(last[name], 0.25), atol=1e-6)


def test_the_whole_encoder_can_be_tuned_end_to_end(tiny_manifest, tiny_whisper, cache, tmp_path):
    out = tune_speech(tiny_manifest, tmp_path / "out", config(tiny_whisper, frozen=0, epochs=1), cache)
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_whisper, out / "encoder"))
    changed = {name.split(".")[0] for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {"conv1", "conv2", "layers"}
    assert np.isfinite(hear(out)).all()


def test_low_rank_updates_end_as_an_encoder_of_the_same_shape_half_way(tiny_manifest, tiny_whisper, cache, tmp_path):
    low = config(tiny_whisper, lora_rank=2, encoder_lr_multiplier=1.0)
    ends = {}
    for share in (0.5, 1.0):
        out = tune_speech(tiny_manifest, tmp_path / str(share), replace(low, interpolation=share), cache)
        before, after = (load_file(folder / "model.safetensors") for folder in (tiny_whisper, out / "encoder"))
        ends[share] = {name: after[name] - before[name] for name in after}
    changed = {name for name, values in ends[1.0].items() if values.abs().max() > 1e-5}
    assert changed == {name for name in after if "layers.1." in name and name.endswith("weight") and "norm" not in name}
    for name in changed:
        assert torch.linalg.matrix_rank(ends[1.0][name], atol=1e-4) <= 2
        assert torch.allclose(ends[0.5][name], ends[1.0][name] / 2, atol=1e-5)


class InterruptionError(Exception):
    """The process is stopped here."""


def test_an_interrupted_tuning_ends_as_if_it_never_was(
    tuned, tiny_manifest, tiny_whisper, cache, tmp_path, monkeypatch
):
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    calls = []

    def stop(entry: dict[str, float]) -> None:
        calls.append(entry)
        if len(calls) == 3:  # two passes of the head, one of the tuning
            raise InterruptionError

    with pytest.raises(InterruptionError):
        tune_speech(tiny_manifest, tmp_path / "out", config(tiny_whisper), cache, on_epoch=stop)
    assert not (tmp_path / "out" / DESCRIPTION).exists()
    tune_speech(tiny_manifest, tmp_path / "out", config(tiny_whisper), cache)
    assert np.array_equal(hear(tmp_path / "out"), hear(tuned))


def test_an_altered_network_is_refused_where_it_is_verified(tuned, tiny_whisper, tmp_path):
    folder = shutil.copytree(tuned, tmp_path / "out")
    content = bytearray((folder / MODEL).read_bytes())
    content[-1000] ^= 0x40
    (folder / MODEL).write_bytes(content)
    with pytest.raises(BackboneError, match=r"altered|does not give"):
        load_backbone(folder, verify=True)


@pytest.mark.parametrize(
    ("changes", "error", "complaint"),
    [
        ({"frozen": 2}, TrainingError, "leave at least one to tune"),
        ({"layers": (1, 9)}, BackboneError, "expected \\(1, 9\\) to be among them"),
    ],
)
def test_layers_that_cannot_be_tuned_are_a_sentence(tiny_whisper, changes, error, complaint):
    with pytest.raises(error, match=complaint):
        load_speech_model(config(tiny_whisper, **changes))


def test_words_alone_cannot_tune_the_speech_side(tiny_manifest, tiny_whisper, tmp_path):
    rows = label_rows(read_manifest(tiny_manifest).utterances, "ekman7")
    silent = replace(rows, utterances=tuple(replace(row, path=None) for row in rows.utterances))
    pretrained = load_speech_model(config(tiny_whisper))
    with FeatureCache(tmp_path) as features, pytest.raises(TrainingError, match="no utterance has a recording"):
        tuned_speech(silent, tmp_path, pretrained, config(tiny_whisper), features)


def test_a_microphones_gain_changes_nothing_that_is_tuned_on(tiny_whisper):
    from bimodal.training.tune_speech import LowerLayers

    signal = np.random.default_rng(1).normal(0, 0.05, 8000).astype(np.float32)
    lower = LowerLayers(load_speech_model(config(tiny_whisper)), "cpu")
    quiet, loud = (lower.encode(signal * np.float32(gain))[1] for gain in (0.25, 4.0))
    assert np.abs(quiet.astype(np.float32) - loud.astype(np.float32)).max() < 2e-2
