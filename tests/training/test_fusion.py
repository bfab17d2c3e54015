"""The fusion stage: it learns which modality to trust, and outputs of other networks are another run."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bimodal.config import FusionConfig, LossConfig
from bimodal.errors import TrainingError
from bimodal.inference.outputs import ModalityOutputs
from bimodal.training.fusion import build_fusion, fusion_examples, shuffle_words, train_fusion
from bimodal.training.loop import predict
from bimodal.training.stage import RunContext
from tests.training.noise import EMOTIONS, hits


def outputs(signal: np.ndarray, present: np.ndarray, seed: int) -> ModalityOutputs:
    """Logits that follow a signal (N, C) more or less."""
    rng = np.random.default_rng(seed)
    embedding = rng.normal(size=(len(signal), 6)).astype(np.float32)
    return ModalityOutputs(
        embedding=embedding / np.linalg.norm(embedding, axis=1, keepdims=True) * present[:, None],
        logits=(signal * present[:, None]).astype(np.float32),
        present=present,
    )


def test_fusion_learns_which_modality_to_trust():
    rng = np.random.default_rng(0)
    targets = np.arange(120) % EMOTIONS
    truth, everywhere = 2.0 * np.eye(EMOTIONS)[targets], np.ones(120, bool)
    text = outputs(truth + rng.normal(0, 0.5, truth.shape), everywhere, 1)
    speech = outputs(4.0 * rng.normal(size=truth.shape), everywhere, 2)
    config = FusionConfig(epochs=30, learning_rate=1e-2, modality_dropout=0.0, loss=LossConfig(affinity="none"))
    examples = fusion_examples(speech, text, targets)
    network, _ = train_fusion(examples, range(80), [], config, RunContext())
    fresh = build_fusion(6, 6, EMOTIONS, config, seed=0)
    _, logits, gate = predict(network, examples.subset(range(80, 120)))
    late = predict(fresh, examples.subset(range(80, 120)))[1]
    assert hits(logits, targets[80:]) > hits(late, targets[80:]) + 0.2
    assert gate.mean() < 0.4


@pytest.mark.parametrize("kind", ["concatenation", "experts", "late"])
def test_other_kinds_of_fusion_beat_the_better_modality_where_both_know_something(kind):
    rng = np.random.default_rng(0)
    targets, everywhere = np.arange(300) % EMOTIONS, np.ones(300, bool)
    truth = 2.0 * np.eye(EMOTIONS)[targets]
    speech, text = (outputs(truth + rng.normal(0, 1.5, truth.shape), everywhere, seed) for seed in (1, 2))
    config = FusionConfig(kind=kind, epochs=40, learning_rate=1e-2, dropout=0.0)
    network, record = train_fusion(fusion_examples(speech, text, targets), range(200), [], config, RunContext())
    logits = predict(network, fusion_examples(speech, text, targets))[1][200:]
    better = max(hits(side.logits[200:], targets[200:]) for side in (speech, text))
    assert hits(logits, targets[200:]) > better + 0.03
    assert (record.parameters == 0) == (kind == "late") == (not record.history)


def test_fusion_without_paired_rows_is_refused():
    present = np.arange(12) % 2 == 0
    signal = np.zeros((12, EMOTIONS))
    examples = fusion_examples(outputs(signal, present, 0), outputs(signal, ~present, 1), np.arange(12) % EMOTIONS)
    with pytest.raises(TrainingError, match="no training utterance has both speech and words"):
        train_fusion(examples, range(12), [], FusionConfig(), RunContext())


def side_by_side(speech_noise: float, text_noise: float, size: int = 300) -> tuple:
    """Fusion examples of a speech and a text side that tell the emotion through more or less noise."""
    rng, targets = np.random.default_rng(0), np.arange(size) % EMOTIONS
    truth, everywhere = 2.0 * np.eye(EMOTIONS)[targets], np.ones(size, bool)
    speech = outputs(truth + rng.normal(0, speech_noise, truth.shape), everywhere, 1)
    text = outputs(truth * (text_noise < 9) + rng.normal(0, text_noise, truth.shape), everywhere, 2)
    return fusion_examples(speech, text, targets), np.full(EMOTIONS, -np.log(EMOTIONS), np.float32)


def test_a_share_of_the_words_is_anothers_and_nothing_else_is_touched():
    examples, _ = side_by_side(1.0, 1.0)
    rows = list(range(300))
    before = examples.read(rows)
    torch.manual_seed(0)
    after = shuffle_words(examples, 0.3).read(rows)
    for name in ("speech", "speech_logits", "present"):
        assert np.array_equal(before[name], after[name])
    changed = (before["text_logits"] != after["text_logits"]).any(axis=1)
    assert 0.2 < changed.mean() < 0.4
    assert np.array_equal(changed, (before["text"] != after["text"]).any(axis=1))
    assert {row.tobytes() for row in after["text"]} <= {row.tobytes() for row in before["text"]}


def test_a_fusion_that_starts_at_fitted_experts_is_not_drawn_down_by_a_text_that_knows_nothing():
    examples, _ = side_by_side(1.0, 9.0)
    found = {}
    for start in ("equal", "fitted"):
        network, _ = train_fusion(examples, range(150), [], FusionConfig(init=start), RunContext())
        found[start] = hits(predict(network, examples.subset(range(150, 300)))[1], np.arange(150, 300) % EMOTIONS)
    alone = hits(examples.read(range(150, 300))["speech_logits"], np.arange(150, 300) % EMOTIONS)
    assert found["fitted"] >= alone - 0.03 > found["equal"] + 0.1


@pytest.mark.parametrize("weights", [(1.0, 0.3), (0.4, 0.4), (1.5, 0.05)])
def test_experts_are_weighed_in_the_fit_as_the_network_weighs_them_at_the_start(weights):
    rng, targets = np.random.default_rng(0), np.arange(60) % EMOTIONS
    truth, everywhere = 2.0 * np.eye(EMOTIONS)[targets], np.ones(60, bool)
    sides = [outputs(truth + rng.normal(0, 1.5, truth.shape), everywhere, seed) for seed in (1, 2)]
    text_weight = rng.uniform(0.2, 1.0, 60).astype(np.float32)
    network = build_fusion(6, 6, EMOTIONS, FusionConfig(), seed=0)
    network.start_at(*weights)
    logits = predict(network, fusion_examples(*sides, targets, text_weight))[1]
    share, sharper = weights[0] / sum(weights), (sum(weights) / 2) ** text_weight
    above = [side.logits - np.logaddexp.reduce(side.logits, axis=1, keepdims=True) + np.log(EMOTIONS) for side in sides]
    speech, text = (1 + text_weight) * (1 - text_weight * (1 - share)), (1 + text_weight) * text_weight * (1 - share)
    expected = (sharper * speech)[:, None] * above[0] + (sharper * text)[:, None] * above[1]
    assert logits + np.log(EMOTIONS) == pytest.approx(expected, abs=1e-4)


def test_a_last_digit_of_the_evidence_makes_no_other_run_and_another_network_does(tmp_path):
    rng = np.random.default_rng(0)
    targets = np.arange(60) % EMOTIONS
    sides = [
        outputs(np.eye(EMOTIONS)[targets] + rng.normal(0, 1, (60, EMOTIONS)), np.ones(60, bool), n) for n in (1, 2)
    ]
    config, where = FusionConfig(epochs=1, min_steps=0), RunContext(folder=tmp_path)
    train_fusion(fusion_examples(*sides, targets), range(60), [], config, where, "made by these networks")
    shaken = replace(sides[0], logits=np.nextafter(sides[0].logits, np.float32(9)))
    train_fusion(fusion_examples(shaken, sides[1], targets), range(60), [], config, where, "made by these networks")
    with pytest.raises(TrainingError, match="holds a run with another configuration or other data"):
        train_fusion(fusion_examples(*sides, targets), range(60), [], config, where, "made by others")
