"""Vector scaling: what it finds, what it must leave alone, and that a model folder answers as training scored."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from bimodal.arrays import softmax
from bimodal.config import TrainConfig, read_config
from bimodal.errors import SplitError
from bimodal.evaluation.metrics import fit_temperature, negative_log_likelihood
from bimodal.inference.model_folder import load_model_config, read_json
from bimodal.inference.recognizer import Recognizer
from bimodal.records import UNKNOWN
from bimodal.training.package_model import TrainReport
from bimodal.training.train import train
from bimodal.training.vector_scaling import VectorScaling, fit_vector_scaling, scale_network, scaled

RNG = np.random.default_rng(0)
FACTOR, OFFSET = np.array([0.5, 1.0, 2.0]), np.array([-1.0, 0.0, 1.0])


def drawn(rows: int, divisors: np.ndarray | float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and emotions drawn from what known factors and offsets make of them."""
    logits = RNG.normal(size=(rows, 3)) * 2
    scores = softmax((logits * FACTOR + OFFSET) / divisors)
    return logits, np.array([RNG.choice(3, p=one) for one in scores])


@pytest.mark.parametrize("divisor", [1.0, 3.0])
def test_known_factors_and_offsets_are_found(divisor):
    logits, truth = drawn(20_000, divisor)
    factor, offset = fit_vector_scaling(logits, truth, np.full(len(truth), divisor))
    assert np.abs(factor / FACTOR - 1).max() < 0.15
    assert np.abs(offset - OFFSET).max() < 0.2


def test_scores_are_at_least_as_likely_as_with_a_temperature():
    logits, truth = drawn(500)
    factor, offset = fit_vector_scaling(logits, truth)
    vector = negative_log_likelihood(softmax(logits * factor + offset), truth)
    assert vector < negative_log_likelihood(softmax(logits, fit_temperature(logits, truth)), truth) - 0.05


def test_distributions_count_as_the_rows_that_they_stand_for():
    logits, truth = drawn(300)
    hard, soft = fit_vector_scaling(logits, truth), fit_vector_scaling(logits, np.eye(3)[truth])
    assert np.allclose(hard, soft)


def test_an_emotion_that_the_network_never_saw_stays_unknown_and_one_without_rows_stays_in_bounds():
    logits, truth = drawn(400)
    logits[:, 1], truth = UNKNOWN, np.where(truth == 1, 0, truth)
    factor, offset = fit_vector_scaling(logits, truth)
    assert (factor[1], offset[1]) == (1.0, 0.0)
    assert (scaled(logits, (factor, offset))[:, 1] == UNKNOWN).all()
    logits, truth = drawn(400)
    factor, offset = fit_vector_scaling(logits, np.where(truth == 1, 0, truth))
    assert np.isfinite(factor).all() and np.abs(offset).max() < 10


def test_no_rows_change_nothing():
    factor, offset = fit_vector_scaling(np.zeros((0, 3)), np.zeros(0, np.int64))
    assert factor.tolist() == [1, 1, 1] and offset.tolist() == [0, 0, 0]


def test_a_fusion_network_is_scaled_by_what_it_is_given():
    scalings = [(np.full(2, factor), np.full(2, offset)) for factor, offset in ((1.0, 1.0), (2.0, 0.0), (3.0, 0.0))]
    found = VectorScaling(scalings)(torch.tensor([[1.0, 2.0]] * 3), torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]]))
    assert torch.allclose(found, torch.log_softmax(torch.tensor([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]]), dim=1))
    network = torch.nn.Linear(2, 2)
    network.forward = lambda present: (present, torch.tensor([[1.0, 2.0]]))  # type: ignore[method-assign]
    scale_network(network, scalings)
    assert torch.equal(network(present=torch.tensor([[0.0, 1.0]]))[1], found[2:])


def test_a_scaled_logit_never_looks_like_that_of_an_emotion_the_network_never_saw():
    one = scaled(np.array([[-0.1, -30.0, UNKNOWN]], np.float32), (np.full(3, 20.0), np.zeros(3)))
    assert one[0, 1] > UNKNOWN / 2 > one[0, 2]


FAST = read_config(
    TrainConfig(),
    settings=[
        "speech.epochs=2", "speech.min_steps=10", "speech.pca_components=0", "speech.ensemble_size=1",
        "text.min_steps=10", "text.epochs=2", "text.ensemble_size=1",
        "fusion.epochs=2", "fusion.min_steps=5", "fusion.n_folds=2", "threads=1",
    ],
)  # fmt: skip
WORDS = "I am so happy to see you"


def some_wrong(manifest: Path, folder: Path) -> Path:
    """The tiny corpus, a third of its labels drawn anew, so that no network is right throughout."""
    shutil.copytree(manifest.parent, folder)
    rows = list(csv.DictReader(manifest.read_text().splitlines()))
    rng = np.random.default_rng(1)
    for row in rows[::3]:
        row["emotion"] = str(rng.choice([one["emotion"] for one in rows]))
    with (folder / manifest.name).open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / manifest.name


def test_a_model_folder_scores_as_its_logits_were_scaled(tiny_manifest, tmp_path):
    data = some_wrong(tiny_manifest, tmp_path / "data")
    plain = train(data, tmp_path / "plain", FAST, tmp_path / "cache")
    vector = train(data, tmp_path / "vector", replace(FAST, calibration="vector"), tmp_path / "cache")
    weights, config, before = load_file(vector / "weights.safetensors"), *map(load_model_config, (vector, plain))
    assert (config.speech.temperature, config.text.temperature, config.fusion_temperatures) == (1.0, 1.0, (1.0,) * 3)
    assert weights["fusion.vector_scaling.factor"].shape == (3, len(config.emotions))
    plain_scores, found = (
        Recognizer(one, threads=1).recognize(transcript=WORDS).text_scores for one in (plain, vector)
    )
    names = list(plain_scores)
    scores = np.array([plain_scores[name] for name in names])
    logits = np.log(softmax(before.text.temperature * np.log(scores)))
    columns = [config.emotions.index(name) for name in names]
    factor, offset = (weights[f"text.vector_scaling.{one}"][0, columns] for one in ("factor", "offset"))
    expected = softmax(logits * factor + offset)
    assert np.allclose([found[name] for name in names], expected, atol=1e-4)
    assert np.ptp(offset) > 0.01


def test_without_dev_rows_cross_fitted_rows_calibrate_and_none_of_them_is_reported(tiny_manifest, tmp_path):
    bare = replace(FAST, dev_share=0.0)
    with pytest.raises(SplitError, match="development share"):
        train(tiny_manifest, tmp_path / "bare", bare, tmp_path / "cache", stages=("speech",))
    crossed = replace(bare, calibrate_on="cross_fitted")
    data = some_wrong(tiny_manifest, tmp_path / "data")
    folder = train(data, tmp_path / "run", crossed, tmp_path / "cache", stages=("speech",))
    report = read_json(folder / "report.json", TrainReport)
    assert report.dev_rows == 0 and report.train_rows == 45
    assert load_model_config(folder).speech.temperature not in (1.0, 0.05, 20.0)
    assert (folder / "prediction_sets.json").is_file()
