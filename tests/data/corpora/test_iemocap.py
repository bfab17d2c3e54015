"""IEMOCAP: turns with words, votes and dimensions."""

from pathlib import Path

import pytest

from bimodal.data.corpora import CORPORA
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


def test_turns_of_iemocap_have_words_votes_and_dimensions(tmp_path, caplog):
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
    assert find_map("iemocap4").apply(str(second.emotion)) == "neutral" and "2 of 10039" in caplog.text


def test_a_folder_without_the_corpus_is_refused(tmp_path):
    with pytest.raises(ManifestError, match=r"no .*below"):
        CORPORA["iemocap"].prepare(tmp_path)
