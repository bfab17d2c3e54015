"""Outputs: those of a training row come from networks that did not see it, and no group crosses the parts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bimodal.data.splits import Fold
from bimodal.training.checkpoint import RECORD
from bimodal.training.outputs import compute_outputs, cross_fit, cross_fitting_folds, parts_by_group, rotation
from bimodal.training.stage import RunContext, train_modality
from tests.training.noise import CONFIG, EMOTIONS, SIZE, hits, noise, noise_modality

PARTS = [list(range(first, SIZE, 3)) for first in range(3)]


def as_folds(parts: list[list[int]]) -> list[Fold]:
    rows = {row for part in parts for row in part}
    return [Fold(name="", train=tuple(sorted(rows - set(part))), test=tuple(part)) for part in parts]


FOLDS = as_folds(PARTS)


@pytest.fixture(scope="module")
def final() -> torch.nn.Module:
    return train_modality(noise_modality(*noise()), range(SIZE), [], CONFIG, RunContext())[0]


def test_evidence_of_training_rows_is_what_unseen_rows_get_not_what_was_learned_by_heart(final):
    columns, targets = noise()
    by_heart = compute_outputs(final, noise_modality(columns, targets))
    honest = cross_fit(noise_modality(columns, targets), final, FOLDS, CONFIG, RunContext())
    assert hits(by_heart.logits, targets) > 0.95
    assert hits(honest.logits, targets) < 0.65
    assert honest.embedding.shape == by_heart.embedding.shape
    assert np.linalg.norm(honest.embedding, axis=1) == pytest.approx(np.ones(SIZE), abs=1e-4)


def test_changing_a_row_changes_the_evidence_of_every_part_but_its_own(final):
    columns, targets = noise()
    before = cross_fit(noise_modality(columns, targets), final, FOLDS, CONFIG, RunContext())
    changed, relabelled, row = columns.copy(), targets.copy(), PARTS[1][4]
    changed[row] += 1.0
    relabelled[row] = (targets[row] + 1) % EMOTIONS
    after = cross_fit(noise_modality(changed, relabelled), final, FOLDS, CONFIG, RunContext())
    own = [other for other in PARTS[1] if other != row]
    assert np.array_equal(after.logits[own], before.logits[own])
    assert np.array_equal(after.embedding[own], before.embedding[own])
    for part in (PARTS[0], PARTS[2]):
        assert (after.logits[part] != before.logits[part]).any(axis=1).all()


def test_rows_in_no_part_get_their_evidence_from_the_final_network_and_absent_ones_none(final):
    columns, targets = noise()
    columns[5] = np.nan
    whole = noise_modality(columns, targets)
    parts = [[row for row in part if row < 30] for part in PARTS]
    outputs = cross_fit(whole, final, as_folds(parts), CONFIG, RunContext())
    assert np.array_equal(outputs.logits[30:], compute_outputs(final, whole).logits[30:])
    assert not outputs.present[5]
    assert not outputs.logits[5].any()
    assert not outputs.embedding[5].any()
    assert outputs.present.sum() == SIZE - 1


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
    whole = noise_modality(columns, targets)
    reference = compute_outputs(final, whole).embedding
    turned = cross_fit(whole, final, FOLDS, CONFIG, RunContext(seed=7)).embedding
    monkeypatch.setattr("bimodal.training.outputs.rotation", lambda one, other: np.eye(one.shape[1], dtype=np.float32))
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


def test_each_part_of_the_cross_fitting_is_restartable_in_a_folder_of_its_own(tmp_path, final):
    short = replace(CONFIG, epochs=2)
    whole = noise_modality(*noise())
    first = cross_fit(whole, final, FOLDS, short, RunContext(folder=tmp_path))
    assert sorted(file.parent.name for file in tmp_path.rglob(RECORD)) == ["part1", "part2", "part3"]
    seen = []
    again = cross_fit(whole, final, FOLDS, short, RunContext(folder=tmp_path, on_epoch=seen.append))
    assert seen == []
    assert np.array_equal(first.logits, again.logits)


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


def test_the_identity_of_evidence_is_that_of_the_networks_and_their_rows(final):
    columns, targets = noise()
    whole = noise_modality(columns, targets)
    first, again = (cross_fit(whole, final, FOLDS, CONFIG, RunContext()) for _ in range(2))
    assert first.identity == again.identity != compute_outputs(final, whole).identity
    assert cross_fit(whole, final, FOLDS, CONFIG, RunContext(seed=1)).identity != first.identity
