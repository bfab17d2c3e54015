"""Pairs by label: of one emotion but other rows, drawn anew, some mismatched; and what fusion learns from them."""

import numpy as np
import pytest
import torch

from bimodal.config import FusionConfig, LossConfig
from bimodal.errors import TrainingError
from bimodal.inference.outputs import ModalityOutputs
from bimodal.training.checkpoint import RECORD
from bimodal.training.fusion import fusion_examples
from bimodal.training.loop import predict
from bimodal.training.pairing import draw_once, pair_by_label, pairable, train_fusion_by_label
from bimodal.training.stage import RunContext

EMOTIONS, COUNT = 3, 240
CONFIG = FusionConfig(epochs=60, learning_rate=1e-2, mismatched=0.0, loss=LossConfig(affinity="none"))
TARGETS = np.arange(COUNT) % EMOTIONS
HEARD = np.arange(COUNT) % 2 == 0  # rows have speech only, or words only


def outputs(strength: float, present: np.ndarray, seed: int, targets: np.ndarray = TARGETS) -> ModalityOutputs:
    """Logits that know the target more or less; the first number of an embedding is the row, to find it again."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(len(targets), EMOTIONS)) + strength * np.eye(EMOTIONS)[targets]
    embedding = np.column_stack([np.arange(len(targets)) / len(targets), rng.normal(size=(len(targets), 3))])
    there = present[:, None]
    return ModalityOutputs(
        embedding=(embedding * there).astype(np.float32), logits=(logits * there).astype(np.float32), present=present
    )


def rows_of(inputs: dict, side: str) -> np.ndarray:
    return np.rint(inputs[side][:, 0] * COUNT).astype(int)


def paired(mismatched: float = 0.0, present=(HEARD, ~HEARD), targets: np.ndarray = TARGETS, rows=range(COUNT)):
    speech, text = outputs(2, present[0], 0), outputs(2, present[1], 1)
    return pair_by_label(speech, text, targets, list(rows), mismatched=mismatched)


def test_every_row_is_beside_another_one_of_its_emotion_and_another_one_at_each_reading():
    pairs = paired()
    one, other = (draw_once(pairs, seed).read(range(pairs.size)) for seed in (0, 1))
    assert pairs.size == COUNT and one["present"].all() and "targets" not in one
    assert (TARGETS[rows_of(one, "speech")] == TARGETS[rows_of(one, "text")]).all()
    assert (pairs.targets.argmax(1) == TARGETS[rows_of(one, "speech")]).all() and (pairs.targets.max(1) == 1).all()
    changed = (rows_of(one, "speech") != rows_of(other, "speech")) | (rows_of(one, "text") != rows_of(other, "text"))
    assert changed.mean() > 0.8
    again = draw_once(pairs, 0).read(range(pairs.size))
    assert all(np.array_equal(one[name], again[name]) for name in one)


def test_a_row_with_both_sides_is_never_beside_itself():
    everywhere = np.ones(COUNT, bool)
    inputs = draw_once(paired(present=(everywhere, everywhere)), 0).read(range(2 * COUNT))
    assert (rows_of(inputs, "speech") != rows_of(inputs, "text")).all()


def test_a_share_of_pairs_is_of_two_emotions_and_its_target_is_half_of_each():
    drawn = draw_once(paired(mismatched=0.3), 0)
    inputs = drawn.read(range(drawn.size))
    heard, said = TARGETS[rows_of(inputs, "speech")], TARGETS[rows_of(inputs, "text")]
    assert 0.2 < (heard != said).mean() < 0.4
    assert drawn.targets == pytest.approx((np.eye(EMOTIONS)[heard] + np.eye(EMOTIONS)[said]) / 2)


def test_the_expected_targets_are_the_mean_of_those_drawn():
    pairs = paired(mismatched=0.3)
    drawn = np.mean([draw_once(pairs, seed).targets for seed in range(200)], axis=0)
    assert np.abs(drawn.mean(0) - pairs.targets.mean(0)).max() < 0.01
    assert pairs.targets[0] == pytest.approx([0.85, 0.075, 0.075])


def test_an_emotion_without_words_stays_one_sided_and_is_told(caplog):
    said = ~HEARD & (TARGETS != 2)
    pairs = paired(present=(HEARD, said))
    inputs = draw_once(pairs, 0).read(range(pairs.size))
    lonely = pairs.targets[:, 2] == 1
    assert inputs["present"][lonely].tolist() == [[1.0, 0.0]] * int(lonely.sum()) and lonely.any()
    assert inputs["present"][~lonely].all()
    assert "40 rows of 1 emotions have no partner" in caplog.text


def test_rows_of_several_emotions_are_not_paired_and_nothing_in_common_is_refused():
    soft = np.eye(EMOTIONS, dtype=np.float32)[TARGETS]
    soft[:60] = [0.5, 0.5, 0]
    assert paired(targets=soft).size == COUNT - 60
    speech, text = outputs(2, HEARD & (TARGETS == 0), 0), outputs(2, ~HEARD & (TARGETS == 1), 1)
    assert not pairable(speech, text, TARGETS, range(COUNT))
    with pytest.raises(TrainingError, match="share no emotion"):
        pair_by_label(speech, text, TARGETS, range(COUNT), mismatched=0.0)


def fused(network, speech: ModalityOutputs, text: ModalityOutputs, targets: np.ndarray) -> tuple[float, np.ndarray]:
    _, logits, gate = predict(network, fusion_examples(speech, text, targets))
    return float((logits.argmax(1) == targets).mean()), gate


def learnt(speech: ModalityOutputs, text: ModalityOutputs, folder=None):
    return train_fusion_by_label(speech, text, TARGETS, (range(COUNT), []), CONFIG, RunContext(folder=folder))


def test_two_good_sides_are_better_together_and_a_silent_one_does_no_harm():
    network = learnt(outputs(2, HEARD, 0), outputs(2, ~HEARD, 1))
    both = np.ones(COUNT, bool)
    speech, text = outputs(2, both, 5), outputs(2, both, 6)
    alone = float((speech.logits.argmax(1) == TARGETS).mean())
    assert fused(network, speech, text, TARGETS)[0] > alone + 0.05
    flat = ModalityOutputs(embedding=text.embedding, logits=np.zeros_like(text.logits), present=both)
    assert fused(network, speech, flat, TARGETS)[0] > alone - 0.05
    absent = outputs(2, ~both, 6)
    assert fused(network, speech, absent, TARGETS)[0] > alone - 0.05


def test_fusion_does_not_trust_a_side_that_is_rubbish():
    both = np.ones(COUNT, bool)
    network = learnt(outputs(3, HEARD, 0), outputs(0, ~HEARD, 1))
    speech, rubbish = outputs(3, both, 5), outputs(0, both, 6)
    alone = float((speech.logits.argmax(1) == TARGETS).mean())
    accuracy, gate = fused(network, speech, rubbish, TARGETS)
    assert accuracy > alone - 0.05
    assert gate.mean() > 0.6
    late = torch.log_softmax(torch.from_numpy(speech.logits), 1) + torch.log_softmax(
        torch.from_numpy(rubbish.logits), 1
    )
    assert accuracy > float((late.argmax(1).numpy() == TARGETS).mean())


def test_a_finished_run_is_loaded_and_other_evidence_is_another_run(tmp_path):
    speech, text = outputs(2, HEARD, 0), outputs(2, ~HEARD, 1)
    first = learnt(speech, text, tmp_path)
    assert (tmp_path / RECORD).exists()
    again = learnt(speech, text, tmp_path)
    assert all(torch.equal(one, other) for one, other in zip(first.parameters(), again.parameters(), strict=True))
    with pytest.raises(TrainingError, match="another configuration or other data"):
        learnt(speech, outputs(2, ~HEARD, 2), tmp_path)
