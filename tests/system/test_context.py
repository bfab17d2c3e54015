"""Text with what was said before: trained, exported, recognised and evaluated with the same turns."""

import csv
from pathlib import Path

import numpy as np
import pytest

from bimodal import Clip, Recognizer, Turn
from bimodal.config import TrainConfig, read_config
from bimodal.data.text import preceding_rows
from bimodal.evaluation.predict import evaluate_model
from bimodal.records import Utterance
from bimodal.training.train import train

OPENINGS = {"anger": ["Stop that at once!", "Get out of my house!"], "happiness": ["We won!", "What a lovely day!"]}


@pytest.fixture(scope="module")
def talk(tmp_path_factory) -> Path:
    """Dialogues whose answer is always "Well.": its emotion is that of the opening. Lines stand out of order."""
    file = tmp_path_factory.mktemp("talk") / "manifest.csv"
    lines = []
    for number in range(48):
        emotion = "anger" if number % 2 else "happiness"
        split = "train" if number < 32 else "dev" if number < 40 else "test"
        opening = OPENINGS[emotion][number // 2 % 2]
        for place, words in reversed(list(enumerate(["Hello.", opening, "Well."]))):
            speaker = f"{split}{number % 4}{'ab'[place % 2]}"
            lines.append([words, emotion if place else "neutral", speaker, split, f"d{number}", place])
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["transcript", "emotion", "speaker", "split", "dialogue", "utterance"], *lines])
    return file


@pytest.fixture(scope="module")
def model(talk, tmp_path_factory) -> Path:
    settings = ["text.context=2", "text.context_width=16", "text.epochs=30", "text.learning_rate=0.003", "threads=1"]
    config = read_config(TrainConfig(), None, settings)
    run = tmp_path_factory.mktemp("run")
    return train(talk, run, config, tmp_path_factory.mktemp("cache"), stages=["text"])


def test_the_same_word_means_what_was_said_before_it(model):
    recognizer = Recognizer(model, threads=1)
    for emotion, openings in OPENINGS.items():
        before = [Turn(transcript="Hello.", speaker="a"), Turn(transcript=openings[0], speaker="b")]
        clip = Clip(transcript="Well.", speaker="a", before=before)
        assert recognizer.recognize_batch([clip])[0].emotion == emotion


def test_turns_beyond_the_models_context_and_turns_without_words_change_nothing(model):
    recognizer = Recognizer(model, threads=1)
    near = [Turn(transcript="Hello.", speaker="a"), Turn(transcript="We won!", speaker="b")]
    far = [Turn(transcript="Get out!", speaker="b"), near[0], Turn(transcript=" "), near[1], Turn(transcript=None)]
    clips = [Clip(transcript="Well.", speaker="a", before=turns) for turns in (near, far)]
    first, second = (list(result.scores.values()) for result in recognizer.recognize_batch(clips))
    assert second == pytest.approx(first, abs=1e-5)


def test_a_batch_of_clips_with_different_pasts_gives_what_single_calls_give(model):
    recognizer = Recognizer(model, threads=1)
    before = [Turn(transcript=words, speaker="b") for words in ("Hello.", "We won!")]
    clips = [Clip(transcript="Well.", speaker="a", before=before[:count]) for count in range(3)]
    for clip, together in zip(clips, recognizer.recognize_batch(clips), strict=True):
        alone = recognizer.recognize_batch([clip])[0]
        assert list(together.scores.values()) == pytest.approx(list(alone.scores.values()), abs=1e-4)


def test_a_manifest_is_evaluated_with_its_dialogues(model, talk):
    predictions, _ = evaluate_model(model, talk, cluster="dialogue", threads=1)
    answers = np.array([words == "Well." for words in predictions.extra["transcript"]])
    right = predictions.scores["text"].argmax(axis=1) == predictions.targets
    assert right[answers].mean() > 0.9  # by the word alone: a half


def said(*dialogues: str, **columns: list[str]) -> list[Utterance]:
    return [
        Utterance(
            id=str(row),
            dialogue=name.strip() or None,
            transcript="words",
            extra={column: values[row] for column, values in columns.items()},
        )
        for row, name in enumerate(dialogues)
    ]


def test_only_what_came_before_in_the_same_dialogue_precedes():
    assert preceding_rows(said("a", "b", "a", "", "a", ""), 8) == [[], [], [0], [], [0, 2], []]
    assert preceding_rows(said("a", "a", "a"), 1) == [[], [0], [1]]
    assert preceding_rows(said("a", "a", "a"), 0) == [[], [], []]


def test_the_column_utterance_decides_the_order_where_it_numbers_all():
    assert preceding_rows(said("a", "a", "a", utterance=["10", "9", "2"]), 8) == [[2, 1], [2], []]
    assert preceding_rows(said("a", "a", "a", utterance=["10", "", "2"]), 8) == [[], [0], [0, 1]]
