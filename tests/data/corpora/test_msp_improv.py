"""MSP-IMPROV: blocks of a turn and its raters."""

from pathlib import Path

import pytest

from bimodal.data.corpora import CORPORA
from bimodal.errors import ManifestError

TURNS = """UTD-IMPROV-S01A-F01-P-FM01.avi; N; A:3.000000; V:4.000000; D:2.000000 ; N:5.000000;
Rater_1; Neutral; Neutral; A:3.000000; V:4.000000; D:2.000000; N:5.000000;
Rater_1; Neutral; Neutral; A:3.000000; V:4.000000; D:2.000000; N:5.000000;
Rater-2; Happy; Happy,Excited; A:3.000000; V:4.000000; D:2.000000; N:5.000000;

UTD-IMPROV-S17H-M06-R-MM05.avi; X; A:NaN; V:1.000000; D:NaN ; N:NaN;
"""
RECORDINGS = (
    "session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav",
    "session6/S17H/R/MSP-IMPROV-S17H-M06-R-MM05.wav",
)


def improv(folder: Path, turns: str = TURNS, recordings: tuple[str, ...] = RECORDINGS) -> Path:
    for name in recordings:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "Evalution.txt").write_text(turns, encoding="utf-8")
    return folder


def test_turns_have_the_consensus_the_votes_and_the_dimensions(tmp_path):
    first, second = CORPORA["msp_improv"].prepare(improv(tmp_path))
    assert (first.id, first.path, first.emotion, first.speaker) == (
        "MSP-IMPROV-S01A-F01-P-FM01", RECORDINGS[0], "neutral", "F01",
    )  # fmt: skip
    assert first.extra == {
        "gender": "female", "session": "1", "intended": "anger", "scenario": "S01", "recording": "P",
        "votes": "neutral|happiness", "arousal": "0", "valence": "0.5", "dominance": "-0.5", "naturalness": "1",
    }  # fmt: skip
    assert (second.emotion, second.extra["intended"], second.extra["valence"]) == ("unknown", "happiness", "-1")
    assert "arousal" not in second.extra and second.extra["votes"] == ""


def test_votes_are_soft_targets_and_turns_without_any_are_counted(tmp_path, caplog):
    (row,) = CORPORA["msp_improv"].labels["votes"](improv(tmp_path))
    assert row.emotion == "neutral|happiness" and "1 of 2 turns have no votes" in caplog.text


@pytest.mark.parametrize(
    ("turns", "recordings", "told"),
    [
        (TURNS, RECORDINGS[:1], r"the recording MSP-IMPROV-S17H-M06-R-MM05\.wav is missing; unpack all sessions"),
        (TURNS.replace("; X;", "; Q;"), RECORDINGS, "has the emotion 'Q', expected one of"),
        ("no turns\n", RECORDINGS, "no line such as 'UTD-IMPROV"),
    ],
)
def test_parts_of_the_corpus_and_other_lines_are_refused(tmp_path, turns, recordings, told):
    with pytest.raises(ManifestError, match=told):
        CORPORA["msp_improv"].prepare(improv(tmp_path, turns, recordings))


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(ManifestError, match=r"no Evalution\.txt below"):
        CORPORA["msp_improv"].prepare(tmp_path)
