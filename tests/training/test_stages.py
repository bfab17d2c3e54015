"""The stages: fused evidence comes from networks that did not see it, and no group crosses the parts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bimodal.config import FusionConfig, HeadConfig, LossConfig
from bimodal.data.splits import Fold
from bimodal.errors import TrainingError
from bimodal.training.loop import RECORD, Run, fit, predict
from bimodal.training.sides import Side, _view_examples, columns_side
from bimodal.training.stages import (
    Evidence,
    RunContext,
    build_fusion,
    cross_fit,
    cross_fitting_folds,
    find_evidence,
    fit_experts,
    fusion_examples,
    parts_by_group,
    rotation,
    shuffle_words,
    train_fusion,
    train_side,
    uar_score,
)

SIZE, EMOTIONS = 36, 3
CONFIG = HeadConfig(
    epochs=15,
    min_steps=0,
    batch_size=12,
    learning_rate=2e-2,
    dropout=0.0,
    input_dropout=0.0,
    hidden_width=24,
    embedding_width=6,
)
PARTS = [list(range(first, SIZE, 3)) for first in range(3)]


def as_folds(parts: list[list[int]]) -> list[Fold]:
    rows = {row for part in parts for row in part}
    return [Fold(name="", train=tuple(sorted(rows - set(part))), test=tuple(part)) for part in parts]


FOLDS = as_folds(PARTS)


def noise(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Columns that say nothing about the targets, so many that any network learns them by heart."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(SIZE, 60)).astype(np.float32), np.arange(SIZE) // 3 % EMOTIONS


def side(columns: np.ndarray, targets: np.ndarray, config: HeadConfig = CONFIG) -> Side:
    return columns_side(columns, targets, [f"c{i}" for i in range(columns.shape[1])], config, EMOTIONS)


def hits(logits: np.ndarray, targets: np.ndarray) -> float:
    return float((logits.argmax(1) == targets).mean())


@pytest.fixture(scope="module")
def final() -> torch.nn.Module:
    return train_side(side(*noise()), range(SIZE), [], CONFIG, RunContext())[0]


def test_evidence_of_training_rows_is_what_unseen_rows_get_not_what_was_learned_by_heart(final):
    columns, targets = noise()
    by_heart = find_evidence(final, side(columns, targets))
    honest = cross_fit(side(columns, targets), final, FOLDS, CONFIG, RunContext())
    assert hits(by_heart.logits, targets) > 0.95
    assert hits(honest.logits, targets) < 0.65
    assert honest.embedding.shape == by_heart.embedding.shape
    assert np.linalg.norm(honest.embedding, axis=1) == pytest.approx(np.ones(SIZE), abs=1e-4)


def test_changing_a_row_changes_the_evidence_of_every_part_but_its_own(final):
    columns, targets = noise()
    before = cross_fit(side(columns, targets), final, FOLDS, CONFIG, RunContext())
    changed, relabelled, row = columns.copy(), targets.copy(), PARTS[1][4]
    changed[row] += 1.0
    relabelled[row] = (targets[row] + 1) % EMOTIONS
    after = cross_fit(side(changed, relabelled), final, FOLDS, CONFIG, RunContext())
    own = [other for other in PARTS[1] if other != row]
    assert np.array_equal(after.logits[own], before.logits[own])
    assert np.array_equal(after.embedding[own], before.embedding[own])
    for part in (PARTS[0], PARTS[2]):
        assert (after.logits[part] != before.logits[part]).any(axis=1).all()


def test_rows_in_no_part_get_their_evidence_from_the_final_network_and_absent_ones_none(final):
    columns, targets = noise()
    columns[5] = np.nan
    whole = side(columns, targets)
    parts = [[row for row in part if row < 30] for part in PARTS]
    evidence = cross_fit(whole, final, as_folds(parts), CONFIG, RunContext())
    assert np.array_equal(evidence.logits[30:], find_evidence(final, whole).logits[30:])
    assert not evidence.present[5]
    assert not evidence.logits[5].any()
    assert not evidence.embedding[5].any()
    assert evidence.present.sum() == SIZE - 1


def test_a_rotation_is_found_again_and_is_orthogonal():
    rng = np.random.default_rng(0)
    target = rng.normal(size=(40, 6)).astype(np.float32)
    turn, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    found = rotation((target @ turn.T).astype(np.float32), target)
    assert found == pytest.approx(turn, abs=1e-4)
    few = rotation(target[:3], rng.normal(size=(3, 6)).astype(np.float32))
    assert few @ few.T == pytest.approx(np.eye(6), abs=1e-5)


def test_cross_fitted_embeddings_are_turned_towards_those_of_the_final_network(final, monkeypatch):
    columns, targets = noise()
    whole = side(columns, targets)
    reference = find_evidence(final, whole).embedding
    turned = cross_fit(whole, final, FOLDS, CONFIG, RunContext(seed=7)).embedding
    monkeypatch.setattr("bimodal.training.stages.rotation", lambda one, other: np.eye(one.shape[1], dtype=np.float32))
    plain = cross_fit(whole, final, FOLDS, CONFIG, RunContext(seed=7)).embedding
    assert (turned * reference).sum(1).mean() > (plain * reference).sum(1).mean() + 0.1


@given(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=50), st.integers(2, 6), st.integers(0, 5))
def test_parts_hold_every_row_once_and_never_split_a_group(groups, count, seed):
    rows = list(range(0, len(groups), 2))
    parts = parts_by_group(groups, rows, count, seed)
    assert sorted(row for part in parts for row in part) == rows
    assert len(parts) == min(count, len({groups[row] for row in rows}))
    owners = [{groups[row] for row in part} for part in parts]
    assert sum(map(len, owners)) == len(set.union(*owners))


@pytest.mark.parametrize("patience", [0, 3])
def test_a_head_trained_on_what_it_sees_is_the_one_that_the_whole_network_would_train(patience):
    columns, targets = noise()
    columns[3, 2] = np.nan
    whole, rows, dev = side(columns, targets), list(range(4, 30)), list(range(30, 36))
    config = replace(CONFIG, patience=patience)
    network, record = train_side(whole, rows, dev, config, RunContext(seed=5))
    slow = whole.fresh_network(rows, 5)
    run = Run(
        train=whole.examples.subset(rows),
        dev=whole.examples.subset(dev) if patience else None,
        config=config,
        emotions=EMOTIONS,
        embedding_width=6,
        seed=5,
        score=uar_score,
    )
    expected = fit(slow, run)
    assert record.best_epoch == expected.best_epoch
    for (name, ours), theirs in zip(network.state_dict().items(), slow.state_dict().values(), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4), name


def test_views_stand_for_their_utterance_as_often_as_asked():
    views = [np.full((40, 2), float(number), np.float32) for number in range(3)]
    for view in views:
        view[:, 1] = np.arange(40)
    torch.manual_seed(0)
    drawn = _view_examples(views, np.zeros(40, np.int64), 0.6)
    read = np.stack([drawn.read(range(39, -1, -1))["features"] for _ in range(100)])
    assert (read[..., 1] == np.arange(39, -1, -1)).all()
    assert [(read[..., 0] == number).mean() for number in range(3)] == pytest.approx([0.4, 0.3, 0.3], abs=0.03)
    assert (_view_examples(views, np.zeros(40, np.int64), 0.0).read([1])["features"] == [0, 1]).all()


def test_a_side_stage_needs_two_emotions():
    columns, _ = noise()
    with pytest.raises(TrainingError, match=r"the speech stage has 4 training utterances .*fewer than two"):
        train_side(side(columns, np.zeros(SIZE, np.int64)), range(4), [], CONFIG, RunContext())


def test_the_same_labels_of_other_recordings_or_rows_are_another_run(tmp_path):
    columns, targets = noise()
    other, _ = noise(seed=1)
    rows = list(range(18))
    short = replace(CONFIG, epochs=2)
    network, record = train_side(side(columns, targets), rows, [], short, RunContext(folder=tmp_path))
    again, same = train_side(side(columns, targets), rows, [], short, RunContext(folder=tmp_path))
    assert same == record
    for ours, theirs in zip(network.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    with pytest.raises(TrainingError, match="other data"):
        train_side(side(other, targets), rows, [], short, RunContext(folder=tmp_path))
    moved = list(range(18, 36))
    assert np.array_equal(targets[rows], targets[moved])
    with pytest.raises(TrainingError, match="other data"):
        train_side(side(columns, targets), moved, [], short, RunContext(folder=tmp_path))


def test_each_part_of_the_cross_fitting_is_restartable_in_a_folder_of_its_own(tmp_path, final):
    short = replace(CONFIG, epochs=2)
    whole = side(*noise())
    first = cross_fit(whole, final, FOLDS, short, RunContext(folder=tmp_path))
    assert sorted(file.parent.name for file in tmp_path.rglob(RECORD)) == ["part1", "part2", "part3"]
    seen = []
    again = cross_fit(whole, final, FOLDS, short, RunContext(folder=tmp_path, on_epoch=seen.append))
    assert seen == []
    assert np.array_equal(first.logits, again.logits)


def evidence(signal: np.ndarray, present: np.ndarray, seed: int) -> Evidence:
    """Logits that follow a signal (N, C) more or less."""
    rng = np.random.default_rng(seed)
    embedding = rng.normal(size=(len(signal), 6)).astype(np.float32)
    return Evidence(
        embedding=embedding / np.linalg.norm(embedding, axis=1, keepdims=True) * present[:, None],
        logits=(signal * present[:, None]).astype(np.float32),
        present=present,
    )


def test_fusion_learns_which_side_to_trust():
    rng = np.random.default_rng(0)
    targets = np.arange(120) % EMOTIONS
    truth, everywhere = 2.0 * np.eye(EMOTIONS)[targets], np.ones(120, bool)
    text = evidence(truth + rng.normal(0, 0.5, truth.shape), everywhere, 1)
    speech = evidence(4.0 * rng.normal(size=truth.shape), everywhere, 2)
    config = FusionConfig(epochs=30, learning_rate=1e-2, modality_dropout=0.0, loss=LossConfig(affinity="none"))
    examples = fusion_examples(speech, text, targets)
    network, _ = train_fusion(examples, range(80), [], config, RunContext())
    fresh = build_fusion(6, 6, EMOTIONS, config, seed=0)
    _, logits, gate = predict(network, examples.subset(range(80, 120)))
    late = predict(fresh, examples.subset(range(80, 120)))[1]
    assert hits(logits, targets[80:]) > hits(late, targets[80:]) + 0.2
    assert gate.mean() < 0.4


@pytest.mark.parametrize("kind", ["concatenation", "experts", "late"])
def test_other_kinds_of_fusion_beat_the_better_side_where_both_know_something(kind):
    rng = np.random.default_rng(0)
    targets, everywhere = np.arange(300) % EMOTIONS, np.ones(300, bool)
    truth = 2.0 * np.eye(EMOTIONS)[targets]
    speech, text = (evidence(truth + rng.normal(0, 1.5, truth.shape), everywhere, seed) for seed in (1, 2))
    config = FusionConfig(kind=kind, epochs=40, learning_rate=1e-2, dropout=0.0)
    network, record = train_fusion(fusion_examples(speech, text, targets), range(200), [], config, RunContext())
    logits = predict(network, fusion_examples(speech, text, targets))[1][200:]
    better = max(hits(side.logits[200:], targets[200:]) for side in (speech, text))
    assert hits(logits, targets[200:]) > better + 0.03
    assert (record.parameters == 0) == (kind == "late") == (not record.history)


def test_fusion_without_paired_rows_is_refused():
    present = np.arange(12) % 2 == 0
    signal = np.zeros((12, EMOTIONS))
    examples = fusion_examples(evidence(signal, present, 0), evidence(signal, ~present, 1), np.arange(12) % EMOTIONS)
    with pytest.raises(TrainingError, match="no training utterance has both speech and words"):
        train_fusion(examples, range(12), [], FusionConfig(), RunContext())


def test_cross_fitting_holds_texts_out_without_crossing_where_hardly_any_is_shared():
    groups = [f"s{row // 6}" for row in range(24)]
    texts = [f"t{row}" for row in range(23)] + ["t0"]
    folds = cross_fitting_folds(groups, texts, range(24), 4, seed=0)
    assert len(folds) == 4
    assert sorted(row for fold in folds for row in fold.test) == list(range(24))
    assert sum(len(fold.train) for fold in folds) == 4 * 18 - 2
    assert cross_fitting_folds(groups, None, range(24), 4, seed=0) != folds


def test_cross_fitting_crosses_speakers_with_texts_where_everybody_says_the_same():
    groups, texts = [f"s{row // 6}" for row in range(24)], [f"t{row % 6}" for row in range(24)]
    rows = list(range(6, 24))
    folds = cross_fitting_folds(groups, texts, rows, 3, seed=0)
    assert len(folds) == 9 and sorted(row for fold in folds for row in fold.test) == rows
    for fold in folds:
        assert {groups[row] for row in fold.train}.isdisjoint(groups[row] for row in fold.test)
        assert {texts[row] for row in fold.train}.isdisjoint(texts[row] for row in fold.test)
        assert len(fold.train) == 8


def side_by_side(speech_noise: float, text_noise: float, size: int = 300) -> tuple:
    """Fusion examples of a speech and a text side that tell the emotion through more or less noise."""
    rng, targets = np.random.default_rng(0), np.arange(size) % EMOTIONS
    truth, everywhere = 2.0 * np.eye(EMOTIONS)[targets], np.ones(size, bool)
    speech = evidence(truth + rng.normal(0, speech_noise, truth.shape), everywhere, 1)
    text = evidence(truth * (text_noise < 9) + rng.normal(0, text_noise, truth.shape), everywhere, 2)
    return fusion_examples(speech, text, targets), np.full(EMOTIONS, -np.log(EMOTIONS), np.float32)


def test_an_expert_that_knows_nothing_new_hardly_counts_and_the_better_one_counts_more():
    speech, text = fit_experts(*side_by_side(1.0, 9.0), shuffled_words_prob=0.0, seed=0)
    assert speech > 0.4 and text < 0.1
    speech, text = fit_experts(*side_by_side(2.5, 1.0), shuffled_words_prob=0.0, seed=0)
    assert text > speech > 0


def test_shuffled_words_take_weight_from_the_text():
    examples, prior = side_by_side(1.0, 1.0)
    weights = [fit_experts(examples, prior, shuffled_words_prob=share, seed=0)[1] for share in (0.0, 0.3, 0.9)]
    assert weights == sorted(weights, reverse=True) and weights[0] > 2 * weights[2]


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
    sides = [evidence(truth + rng.normal(0, 1.5, truth.shape), everywhere, seed) for seed in (1, 2)]
    text_weight = rng.uniform(0.2, 1.0, 60).astype(np.float32)
    network = build_fusion(6, 6, EMOTIONS, FusionConfig(), seed=0)
    network.start_at(*weights)
    logits = predict(network, fusion_examples(*sides, targets, text_weight))[1]
    share, sharper = weights[0] / sum(weights), (sum(weights) / 2) ** text_weight
    above = [side.logits - np.logaddexp.reduce(side.logits, axis=1, keepdims=True) + np.log(EMOTIONS) for side in sides]
    speech, text = (1 + text_weight) * (1 - text_weight * (1 - share)), (1 + text_weight) * text_weight * (1 - share)
    expected = (sharper * speech)[:, None] * above[0] + (sharper * text)[:, None] * above[1]
    assert logits + np.log(EMOTIONS) == pytest.approx(expected, abs=1e-4)


def test_an_emotion_without_training_rows_gets_no_score(final):
    columns, targets = noise()
    known = side(columns, targets % 2)
    network, _ = train_side(known, range(SIZE), [], CONFIG, RunContext())
    scores = torch.softmax(torch.from_numpy(find_evidence(network, known).logits), 1)
    assert bool((scores[:, 2] < 1e-12).all())
    assert bool((scores[:, :2] > 1e-12).all())


def test_a_last_digit_of_the_evidence_makes_no_other_run_and_another_network_does(tmp_path):
    rng = np.random.default_rng(0)
    targets = np.arange(60) % EMOTIONS
    sides = [
        evidence(np.eye(EMOTIONS)[targets] + rng.normal(0, 1, (60, EMOTIONS)), np.ones(60, bool), n) for n in (1, 2)
    ]
    config, where = FusionConfig(epochs=1, min_steps=0), RunContext(folder=tmp_path)
    train_fusion(fusion_examples(*sides, targets), range(60), [], config, where, "made by these networks")
    shaken = replace(sides[0], logits=np.nextafter(sides[0].logits, np.float32(9)))
    train_fusion(fusion_examples(shaken, sides[1], targets), range(60), [], config, where, "made by these networks")
    with pytest.raises(TrainingError, match="holds a run with another configuration or other data"):
        train_fusion(fusion_examples(*sides, targets), range(60), [], config, where, "made by others")


def test_the_identity_of_evidence_is_that_of_the_networks_and_their_rows(final):
    columns, targets = noise()
    whole = side(columns, targets)
    first, again = (cross_fit(whole, final, FOLDS, CONFIG, RunContext()) for _ in range(2))
    assert first.identity == again.identity != find_evidence(final, whole).identity
    assert cross_fit(whole, final, FOLDS, CONFIG, RunContext(seed=1)).identity != first.identity
