"""Protocols: what is reported neither trains nor chooses."""

from pathlib import Path

import numpy as np
import pytest

from bimodal.config import SpeechConfig, TextConfig, TrainConfig
from bimodal.data.folds import make_folds
from bimodal.data.splits import Fold, speaker_folds
from bimodal.errors import SplitError
from bimodal.evaluation.protocols import cross_validate, predict_rows, train_fold
from bimodal.records import Utterance
from bimodal.training.prepare import Prepared
from bimodal.training.rows import LabelledRows, Parts
from bimodal.training.speech import columns_modality

EMOTIONS = ("anger", "joy", "neutral")
SPEAKERS, EACH = 4, 9
CONFIG = TrainConfig(
    dev_share=0.0,
    speech=SpeechConfig(
        epochs=3, min_steps=10, ensemble_size=1, pca_components=0, embedding_width=4, input_noise_std=0.0
    ),
    text=TextConfig(epochs=3, min_steps=10),
)


def corpus(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = np.arange(SPEAKERS * EACH) % len(EMOTIONS)
    columns = rng.normal(size=(len(targets), 5)) + 2 * np.eye(3, 5)[targets]
    return columns.astype(np.float32), targets


def prepared(columns: np.ndarray, targets: np.ndarray) -> Prepared:
    utterances = tuple(
        Utterance(id=f"u{row}", speaker=f"s{row // EACH}", emotion=EMOTIONS[target], extra={"fold": str(row // EACH)})
        for row, target in enumerate(targets)
    )
    rows = LabelledRows(utterances=utterances, targets=targets, emotions=EMOTIONS, dropped={})
    side = columns_modality(columns, targets, [f"c{i}" for i in range(5)], CONFIG.speech, len(EMOTIONS))
    return Prepared(rows=rows, folder=Path(), modalities={"speech": side})


def folds() -> tuple[Fold, ...]:
    return speaker_folds([f"s{row // EACH}" for row in range(SPEAKERS * EACH)], "loso")


def test_every_row_is_predicted_once_by_networks_that_never_saw_its_speaker():
    found = cross_validate(prepared(*corpus()), folds(), CONFIG)
    assert sorted(found.ids) == sorted(f"u{row}" for row in range(SPEAKERS * EACH))
    assert found.systems == ("speech",)
    assert (found.scores["speech"].argmax(1) == found.targets).mean() > 0.5


def test_a_speaker_in_train_and_test_is_refused():
    leaking = Fold(name="leak", train=tuple(range(3, 36)), test=(0, 1, 2))
    with pytest.raises(SplitError, match="speakers in train and test of fold leak"):
        cross_validate(prepared(*corpus()), [leaking], CONFIG)


def test_a_row_that_trains_or_chooses_is_not_reported():
    data = prepared(*corpus())
    trained, parts = train_fold(data, folds()[0], CONFIG)
    with pytest.raises(SplitError, match="also in train or dev"):
        predict_rows(trained, data, Parts(train=parts.train, dev=[0], overlaps=()), [0, 1], "speaker")


@pytest.mark.parametrize("dev_share", [0.0, 0.3])
def test_neither_features_nor_labels_of_test_rows_influence_training(dev_share):
    from dataclasses import replace

    config = replace(CONFIG, dev_share=dev_share)
    columns, targets = corpus()
    fold = folds()[0]
    before, _ = train_fold(prepared(columns, targets), fold, config)
    changed, other = columns.copy(), targets.copy()
    changed[list(fold.test)] = 40.0
    other[list(fold.test)] = (targets[list(fold.test)] + 1) % len(EMOTIONS)
    after, _ = train_fold(prepared(changed, other), fold, config)
    rest = list(fold.train)
    assert np.array_equal(before.logits["speech"][rest], after.logits["speech"][rest])
    assert before.temperatures == after.temperatures
    assert not np.array_equal(before.logits["speech"][list(fold.test)], after.logits["speech"][list(fold.test)])


def test_folds_may_stand_in_a_column():
    rows = prepared(*corpus()).rows
    emotions = rows.names(range(len(rows.utterances)))
    by_column, by_speaker = (make_folds(name, rows.utterances, emotions) for name in ("fold", "loso"))
    assert [fold.test for fold in by_column] == [fold.test for fold in by_speaker]


def test_what_decided_something_is_known_and_holds_no_test_row():
    from dataclasses import replace

    fold = folds()[0]
    trained, parts = train_fold(prepared(*corpus()), fold, replace(CONFIG, dev_share=0.3))
    assert {"speech weights", "speech epoch", "speech temperature", "prediction sets"} <= set(trained.used)
    assert set(trained.used["speech temperature"]) == set(trained.used["prediction sets"]) == set(parts.dev)
    for rows in trained.used.values():
        assert not set(rows) & set(fold.test)


@pytest.mark.parametrize("decided", ["speech temperature", "prediction sets", "fusion epoch"])
def test_a_test_row_that_calibrated_or_chose_is_not_reported(decided):
    from dataclasses import replace

    data, fold = prepared(*corpus()), folds()[0]
    trained, parts = train_fold(data, fold, CONFIG)
    spoilt = replace(trained, used={**trained.used, decided: [fold.test[0]]})
    with pytest.raises(SplitError, match=f"1 test rows are also in train or dev .{decided}., the first is row 0"):
        predict_rows(spoilt, data, parts, fold.test, "speaker")
