"""DailyDialog: a number for each turn."""

from pathlib import Path

import pytest

from bimodal.data.corpora import CORPORA
from bimodal.errors import ManifestError


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_dialogues_have_a_number_for_each_turn(tmp_path):
    texts = "Hello . __eou__ Go away ! __eou__\nThanks . __eou__\n"
    write(tmp_path, {"train/dialogues_train.txt": texts, "train/dialogues_emotion_train.txt": "0 1\n4\n"})
    rows = CORPORA["dailydialog"].prepare(tmp_path)
    assert [(row.id, row.transcript, row.emotion, row.dialogue, row.split) for row in rows] == [
        ("train_1_0", "Hello .", "neutral", "train_1", "train"),
        ("train_1_1", "Go away !", "anger", "train_1", "train"),
        ("train_2_0", "Thanks .", "happiness", "train_2", "train"),
    ]
    assert rows[0].speaker != rows[1].speaker
    whole = write(tmp_path / "whole", {"dialogues_text.txt": texts, "dialogues_emotion.txt": "0 1 \n4 \n"})
    assert [row.split for row in CORPORA["dailydialog"].prepare(whole)] == [None] * 3
    for wrong, told in (("0\n4\n", "1 emotions for 2 turns"), ("0 9\n4\n", "emotion '9'"), ("0 1\n", "1 dialogues")):
        write(whole, {"dialogues_emotion.txt": wrong})
        with pytest.raises(ManifestError, match=told):
            CORPORA["dailydialog"].prepare(whole)


def test_a_folder_without_the_corpus_is_refused(tmp_path):
    with pytest.raises(ManifestError, match=r"no .*below"):
        CORPORA["dailydialog"].prepare(tmp_path)
