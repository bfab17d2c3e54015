"""MUStARD++: the last lines of scenes, with and without clips."""

from pathlib import Path

import pytest

from bimodal.data.corpora import CORPORA
from bimodal.errors import ManifestError

HEAD = (
    "SCENE,KEY,SENTENCE,END_TIME,SPEAKER,SHOW,Sarcasm,Sarcasm_Type,Implicit_Emotion,Explicit_Emotion,Valence,Arousal\n"
)
ROWS = """1_10004,1_10004_c_00,"Well, I'm sure that, uh, you...
have a lot of questions.",0:06,PERSON,BBT,,,,,,
1_10004,1_10004_u,"So how long,
then?",0:07,SHELDON,BBT,1,PRO,Ridicule,Happiness,2,7
1_S11E03_067,Disgust,Not with Raj.,0:02.430000,-,BBT,0,NONE,Disgust,Disgust,4,5
"""


def mustard(folder: Path, table: str = HEAD + ROWS) -> Path:
    (folder / "mustard++_text.csv").write_text(table, encoding="utf-8")
    return folder


def test_last_lines_have_the_emotion_shown_and_the_one_meant(tmp_path, caplog):
    (tmp_path / "final_utterance_videos").mkdir()
    (tmp_path / "final_utterance_videos" / "1_10004_u.mp4").touch()
    first, second = CORPORA["mustard_pp"].prepare(mustard(tmp_path))
    assert (first.id, first.path, first.transcript) == (
        "1_10004_u", "final_utterance_videos/1_10004_u.mp4", "So how long, then?",
    )  # fmt: skip
    assert (first.emotion, first.speaker) == ("happiness", "BBT SHELDON")
    assert first.extra == {
        "show": "BBT", "sarcasm": "1", "sarcasm_type": "pro", "explicit": "happiness", "implicit": "ridicule",
        "valence": "-0.75", "arousal": "0.5",
    }  # fmt: skip
    assert (second.id, second.path, second.speaker) == ("1_S11E03_067_u", None, None)  # its key is mended
    assert "1 of 2 lines have no clip" in caplog.text
    assert [row.emotion for row in CORPORA["mustard_pp"].labels["implicit"](tmp_path)] == ["ridicule", "disgust"]


def test_a_table_of_mustard_without_emotions_and_a_broken_row_are_told(tmp_path):
    with pytest.raises(ManifestError, match=r"columns \['Arousal', 'Explicit_Emotion'"):
        CORPORA["mustard_pp"].prepare(mustard(tmp_path, "SCENE,KEY,SENTENCE,SPEAKER,SHOW,Sarcasm\n"))
    with pytest.raises(ManifestError, match=r"text\.csv:5: not a row of MUStARD\+\+"):
        CORPORA["mustard_pp"].prepare(mustard(tmp_path, HEAD + ROWS.replace("2,7", "much,7")))


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(ManifestError, match=r"no mustard\+\+_text\.csv below"):
        CORPORA["mustard_pp"].prepare(tmp_path)
