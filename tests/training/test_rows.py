"""Rows of several emotions: soft in training, never counted in an evaluation; maps by name or file, native labels."""

import numpy as np
import pytest

from bimodal.config import TrainConfig
from bimodal.errors import TrainingError
from bimodal.records import Utterance
from bimodal.training.rows import label_rows, split_rows


def rows(*cells, splits=()):
    return [
        Utterance(id=f"u{row}", transcript="hi", emotion=cell, speaker=f"s{row}", split=splits[row] if splits else None)
        for row, cell in enumerate(cells)
    ]


def test_rows_of_one_emotion_keep_whole_targets():
    labelled = label_rows(rows("joy", "mad|anger", "calm|sad"), "ekman7")
    assert labelled.emotions == ("anger", "happiness", "sadness")
    assert labelled.targets.tolist() == [1, 0, 2] and labelled.targets.dtype == np.int64


def test_one_row_of_several_emotions_makes_all_targets_distributions():
    labelled = label_rows(rows("joy", "joy|sad|sad|calm", "calm|bored", None), "ekman7")
    assert labelled.emotions == ("happiness", "sadness")
    assert labelled.targets == pytest.approx(np.array([[1, 0], [1 / 3, 2 / 3]]), abs=1e-6)
    assert labelled.targets.dtype == np.float32
    assert labelled.dropped == {"none of several labels has a place in ekman7": 1, "no emotion": 1}
    assert (labelled.single([0, 1]), labelled.names([0, 1])) == ([0], ["happiness", "sadness"])
    assert labelled.counts([0, 1]) == pytest.approx([4 / 3, 2 / 3])


def test_rows_of_several_emotions_are_dropped_on_request_and_their_emotions_with_them():
    labelled = label_rows(rows("joy", "sad", "joy|fear"), "ekman7", multiple_labels="drop")
    assert labelled.emotions == ("happiness", "sadness") and labelled.targets.tolist() == [0, 1]
    assert labelled.dropped == {"several emotions": 1}
    with pytest.raises(TrainingError, match="no labelled utterance is left: 1 rows: several emotions"):
        label_rows(rows("joy|fear"), "ekman7", multiple_labels="drop")


def test_the_emotions_of_a_model_take_the_mass_of_those_it_does_not_know():
    labelled = label_rows(rows("joy|fear", "fear", "joy|sad"), "ekman7", ("sadness", "happiness"))
    assert labelled.targets.tolist() == [[0, 1], [0.5, 0.5]]
    assert labelled.dropped == {"an emotion that the model does not know": 1}


def test_native_labels_are_those_of_all_cells_and_a_map_may_be_a_grouping_or_a_file(tmp_path):
    given = rows("annoyance", "annoyance|love", "zest")
    assert label_rows(given, "native").emotions == ("annoyance", "love", "zest")
    assert label_rows(given[:2], "goemotions-ekman7").emotions == ("anger", "happiness")
    entries = '[map]\nannoyance="down"\nlove="up"\nzest="up"\n'
    (tmp_path / "own.toml").write_text(f'name="own"\nversion=1\nemotions=["up", "down"]\n{entries}')
    assert label_rows(given, str(tmp_path / "own.toml")).targets.tolist() == [[0, 1], [0.5, 0.5], [1, 0]]
    assert label_rows(given, "own.toml", folder=tmp_path).emotions == ("up", "down")


def test_inner_parts_hold_rows_of_several_emotions_and_need_two_emotions():
    given = rows(*["joy", "sad", "joy|sad"] * 8)
    parts = split_rows(label_rows(given, "ekman7"), TrainConfig())
    assert parts.dev and sorted(parts.train + parts.dev) == list(range(24))
    lonely = label_rows(rows("joy", "joy", "sad", splits=("train", "train", "dev")), "ekman7")
    with pytest.raises(TrainingError, match="fewer than 2 emotions"):
        split_rows(lonely, TrainConfig())
