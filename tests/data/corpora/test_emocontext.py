"""EmoContext: chats of three turns."""

from pathlib import Path

import pytest

from bimodal.data.corpora import CORPORA
from bimodal.errors import ManifestError


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_the_last_turn_of_a_chat_has_the_emotion(tmp_path):
    head = "id\tturn1\tturn2\tturn3\tlabel\n"
    write(tmp_path, {"train.txt": head + "0\tHi\tWho are you\tYou know me\tothers\n1\ta\tb\tI hate you\tangry\n"})
    rows = CORPORA["emocontext"].prepare(tmp_path)
    assert [row.emotion for row in rows] == [None, None, "other", None, None, "anger"]
    assert [row.speaker for row in rows[:3]] == ["train_0_a", "train_0_b", "train_0_a"]
    assert rows[5].transcript == "I hate you" and rows[5].dialogue == "train_1"
    write(tmp_path, {"train.txt": head + "0\tHi\tWho are you\tYou know me\tbored\n"})
    with pytest.raises(ManifestError, match=r"train\.txt:2: 5 cells ending in 'bored'"):
        CORPORA["emocontext"].prepare(tmp_path)


def test_a_folder_without_the_corpus_is_refused(tmp_path):
    with pytest.raises(ManifestError, match=r"no .*below"):
        CORPORA["emocontext"].prepare(tmp_path)
