"""Tuning a language model: the result is a sound backbone, restartable, frozen where asked, refused when damaged."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from safetensors.torch import load_file
from transformers import AutoModel

from bimodal.config import TrainConfig, TuneTextConfig, read_config
from bimodal.errors import BackboneError, TrainingError
from bimodal.features.backbone import DESCRIPTION, MODEL, PROBE, load_backbone, read_description
from bimodal.inference.recognizer import Recognizer
from bimodal.training import loop
from bimodal.training.train import train
from bimodal.training.tune import layer_lr_multipliers
from bimodal.training.tune_text import load_language_model, tune_text


def config(source: Path, **changes) -> TuneTextConfig:
    options = {"source": str(source), "epochs": 3, "batch_size": 8, "max_tokens": 40, "threads": 1} | changes
    return TuneTextConfig(trained_on="the tiny corpus", licence="CC0-1.0", **options)


@pytest.fixture(scope="module")
def tuned(tiny_manifest, tiny_bert, tmp_path_factory) -> Path:
    return tune_text(tiny_manifest, tmp_path_factory.mktemp("tuned") / "out", config(tiny_bert))


def embed(folder: Path) -> np.ndarray:
    return load_backbone(folder, threads=1, verify=True).extract(["Stop that at once!", "Well.", "I miss him."])


def test_the_result_is_a_backbone_that_says_what_it_was_tuned_on(tuned):
    description = read_description(tuned)
    assert (description.tuned_on, description.licence) == ("the tiny corpus", "CC0-1.0")
    assert description.parity_cosine > 0.998
    assert "/" not in description.source  # a folder of this machine is named, not located
    assert embed(tuned).shape == (3, 2, 64)
    assert not (tuned / "built").exists()


def test_the_backbone_is_the_tuned_encoder(tuned, tiny_bert):
    inputs = load_language_model(str(tuned)).tokenizer("I miss him.", return_tensors="pt")
    states = {}
    for folder in (tuned / "encoder", tiny_bert):
        model = AutoModel.from_pretrained(folder, add_pooling_layer=False).eval()
        with torch.inference_mode():
            states[folder] = model(**inputs).last_hidden_state[0].mean(0).numpy()
    found = embed(tuned)[2, 1]
    assert found == pytest.approx(states[tuned / "encoder"], abs=5e-3)
    assert np.abs(found - states[tiny_bert]).max() > 0.02


def test_a_model_trained_on_it_recognises(tuned, tiny_manifest, tmp_path):
    settings = [f"text_backbone={tuned}", "text.epochs=2", "text.min_steps=0", "threads=1"]
    model = train(
        tiny_manifest, tmp_path / "run", read_config(TrainConfig(), None, settings), tmp_path, stages=["text"]
    )
    assert Recognizer(model).recognize(transcript="Stop that at once!").emotion in {"anger", "happiness", "sadness"}


class InterruptionError(Exception):
    """The process is stopped here."""


def stop(entry: dict[str, float]) -> None:
    if entry["epoch"] == 2:
        raise InterruptionError


def test_an_interrupted_tuning_ends_as_if_it_never_was(tuned, tiny_manifest, tiny_bert, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    with pytest.raises(InterruptionError):
        tune_text(tiny_manifest, tmp_path / "out", config(tiny_bert), stop)
    assert not (tmp_path / "out" / DESCRIPTION).exists()
    seen = []
    tune_text(tiny_manifest, tmp_path / "out", config(tiny_bert), seen.append)
    assert [entry["epoch"] for entry in seen] == [2.0, 3.0]
    assert np.array_equal(embed(tmp_path / "out"), embed(tuned))


def test_a_finished_tuning_is_returned_and_its_lost_backbone_built_again(tuned, tiny_manifest, tiny_bert, tmp_path):
    folder, seen = shutil.copytree(tuned, tmp_path / "out"), []
    written = (folder / MODEL).stat().st_mtime_ns
    shutil.copytree(tiny_bert, folder / "built")  # as a process leaves it that is killed at the very end
    tune_text(tiny_manifest, folder, config(tiny_bert), seen.append)
    assert (folder / MODEL).stat().st_mtime_ns == written and not (folder / "built").exists()
    (folder / MODEL).unlink()
    tune_text(tiny_manifest, folder, config(tiny_bert), seen.append)
    assert seen == []
    assert np.array_equal(embed(folder), embed(tuned))


def test_frozen_blocks_stay_as_they_are(tiny_manifest, tiny_bert, tmp_path):
    out = tune_text(tiny_manifest, tmp_path / "out", config(tiny_bert, frozen=1, epochs=1))
    before = load_file(tiny_bert / "model.safetensors")
    after = load_file(out / "encoder" / "model.safetensors")
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed and all(name.startswith("encoder.layer.1.") for name in changed)


def test_low_rank_updates_alone_change_and_are_merged_in_the_end(tiny_manifest, tiny_bert, tmp_path):
    low = config(tiny_bert, lora_rank=2, encoder_lr_multiplier=1.0, frozen=1)
    out = tune_text(tiny_manifest, tmp_path / "out", low)
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_bert, out / "encoder"))
    update = {name: after[name] - before[name] for name in after}
    changed = {name for name, values in update.items() if values.abs().max() > 1e-5}
    assert changed == {name for name in after if "layer.1." in name and name.endswith("weight") and "Norm" not in name}
    assert all(torch.linalg.matrix_rank(update[name], atol=1e-4) <= 2 for name in changed)
    assert np.isfinite(embed(out)).all()


def test_a_tuning_can_go_on_from_an_earlier_one_and_keeps_its_history(tuned, tiny_manifest, tmp_path):
    out = tune_text(tiny_manifest, tmp_path / "out", config(tuned, epochs=1))
    assert read_description(out).tuned_on == "the tiny corpus; then the tiny corpus"
    assert read_description(out).source == read_description(tuned).source
    assert not np.array_equal(embed(out), embed(tuned))


def test_other_words_are_another_run(tuned, tiny_manifest, tiny_bert, tmp_path):
    folder = shutil.copytree(tuned, tmp_path / "out")
    other = tmp_path / "other.csv"
    other.write_text(tiny_manifest.read_text().replace("I feel so alone.", "I am alone.").replace("audio/", ""))
    with pytest.raises(TrainingError, match="holds a run with another configuration or other data"):
        tune_text(other, folder, config(tiny_bert))


def resign(folder: Path) -> None:
    """Make the digests true again, as somebody who swaps files would."""
    description = read_description(folder)
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in description.digests}
    (folder / DESCRIPTION).write_bytes(msgspec.json.encode(replace(description, digests=digests)))


def test_another_network_under_true_digests_does_not_reproduce_the_probe_and_is_refused(tuned, tmp_path):
    folder = shutil.copytree(tuned, tmp_path / "swapped")
    model = onnx.load(folder / MODEL)
    largest = max(model.graph.initializer, key=lambda item: len(item.raw_data))
    array = numpy_helper.to_array(largest)
    largest.CopyFrom(numpy_helper.from_array(np.roll(array, 1, axis=-1), largest.name))
    onnx.save(model, folder / MODEL)
    with pytest.raises(BackboneError, match="altered"):
        load_backbone(folder, verify=True)
    resign(folder)
    with pytest.raises(
        BackboneError, match=r"outputs differ from those of torch when it was built \(cosine .*build it again"
    ):
        load_backbone(folder, verify=True)


def test_a_tuned_backbone_without_its_probe_is_refused(tuned, tmp_path):
    folder = shutil.copytree(tuned, tmp_path / "bare")
    description = read_description(folder)
    digests = {name: value for name, value in description.digests.items() if name != PROBE}
    (folder / DESCRIPTION).write_bytes(msgspec.json.encode(replace(description, digests=digests)))
    (folder / PROBE).unlink()
    with pytest.raises(BackboneError, match=r"probe\.safetensors: missing, or no probe"):
        load_backbone(folder, verify=True)


def test_the_probe_does_not_decide_the_digest(tuned):
    description = read_description(tuned)
    assert replace(description, digests=dict(description.digests) | {PROBE: "0"}).digest == description.digest


def test_what_is_no_language_model_is_one_sentence(tiny_manifest, tmp_path):
    with pytest.raises(BackboneError, match="no encoder-type language model"):
        tune_text(tiny_manifest, tmp_path / "out", config(tmp_path))


def test_freezing_everything_is_refused():
    with pytest.raises(TrainingError, match="frozen is 2, but the encoder has 2 blocks"):
        layer_lr_multipliers(["e."], ["a.", "b."], TuneTextConfig(frozen=2))


def test_rows_of_several_labels_are_soft_targets(tiny_bert, tmp_path):
    rows = ["transcript,emotion,split"]
    rows += [f"words {n},{label},train" for n in range(8) for label in ("joy", "joy|surprise", "anger")]
    (tmp_path / "soft.csv").write_text("\n".join([*rows, "more,joy,dev", ""]))
    seen = []
    tune_text(tmp_path / "soft.csv", tmp_path / "out", config(tiny_bert, vocabulary="native"), seen.append)
    assert len(seen) == 3 and all(np.isfinite(entry["loss"]) for entry in seen)
    with pytest.raises(TrainingError, match="holds a run"):
        hard = config(tiny_bert, vocabulary="native", multiple_labels="drop")
        tune_text(tmp_path / "soft.csv", tmp_path / "out", hard)
