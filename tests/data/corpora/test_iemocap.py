"""IEMOCAP: turns with words, votes and dimensions."""

from pathlib import Path

import pytest

from bimodal.data.corpora import CORPORA, prepare_corpus
from bimodal.data.labels import find_map
from bimodal.errors import ManifestError

EVALUATION = """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[14.8872 - 18.0175]\tSes01F_impro01_M000\tneu\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral;\t()
C-E3:\tNeutral;\t()
C-M1:\tFrustration; Anger;\t(annoyed)
A-E3:\tval 3; act 2; dom  2;\t()

[6.2901 - 8.2357]\tSes01F_impro01_F000\txxx\t[4.0000, 1.0000, 5.0000]
C-E2:\tSurprise;\t()
C-E3:\tExcited;\t()
A-E3:\tval 2; act 2; dom  2;\t()
"""
WORDS = """Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.
Ses01F_impro01_M000 [014.8872-018.0175]: Is there a problem?
"""


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def iemocap(folder: Path) -> Path:
    return write(
        folder,
        {
            "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt": EVALUATION,
            "Session1/dialog/EmoEvaluation/Categorical/Ses01F_impro01_e1_cat.txt": "other",
            "Session1/dialog/transcriptions/Ses01F_impro01.txt": WORDS,
            "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav": "",
        },
    )


def test_turns_of_iemocap_have_words_votes_and_dimensions(tmp_path):
    first, second = CORPORA["iemocap"].prepare(iemocap(tmp_path))  # in order of time
    assert (first.id, first.speaker, first.emotion, first.transcript) == (
        "Ses01F_impro01_F000", "01F", "xxx", "Excuse me.",
    )  # fmt: skip
    assert second.path == "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M000.wav"
    assert (second.speaker, second.emotion, second.dialogue) == ("01M", "neu", "Ses01F_impro01")
    assert second.extra == {
        "gender": "male", "session": "1", "script": "improvised", "votes": "neu|neu|fru|ang",
        "valence": "-0.25", "arousal": "-0.25", "dominance": "-0.25", "turn": "1",
    }  # fmt: skip
    assert (first.extra["valence"], first.extra["arousal"], first.extra["dominance"]) == ("0.5", "-1", "1")
    assert find_map("iemocap4").apply(str(second.emotion)) == "neutral"


def test_votes_are_soft_targets_and_a_part_of_the_corpus_is_told(tmp_path, caplog):
    recordings = iemocap(tmp_path / "whole") / "Session1" / "sentences" / "wav" / "Ses01F_impro01"
    (recordings / "Ses01F_impro01_M000.wav").touch()
    manifest = prepare_corpus("iemocap", tmp_path / "whole", tmp_path / "out", "votes")
    assert [row.emotion for row in manifest.utterances] == ["sur|exc", "neu|neu|fru|ang"]
    assert "2 of 10,039 published utterances found" in caplog.text


def test_a_folder_without_the_corpus_is_refused(tmp_path):
    with pytest.raises(ManifestError, match=r"no .*below"):
        CORPORA["iemocap"].prepare(tmp_path)
