"""CMU-MOSI: clips of a table with the sentiment."""

import pytest

from bimodal.data.corpora import CORPORA
from bimodal.data.labels import find_map
from bimodal.errors import ManifestError

HEAD = "video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode\n"
ROW = "03bSnISJMiM,1,ANYHOW IT WAS REALLY GOOD,2.4,,,,Positive,valid\n"


def test_clips_have_their_sentiment_and_the_official_part(tmp_path):
    (tmp_path / "label.csv").write_text(HEAD + ROW, encoding="utf-8")
    (row,) = CORPORA["cmu_mosi"].prepare(tmp_path)
    assert (row.id, row.path, row.split) == ("03bSnISJMiM_1", "Raw/03bSnISJMiM/1.mp4", "dev")
    assert (row.emotion, row.speaker, row.dialogue) == ("positive", "03bSnISJMiM", "03bSnISJMiM")
    assert row.extra == {"sentiment": "2.4", "utterance": "1"}
    assert find_map("sentiment3").apply(str(row.emotion)) == "positive"
    (tmp_path / "Raw" / "03bSnISJMiM").mkdir(parents=True)
    (tmp_path / "Raw" / "03bSnISJMiM" / "1.wav").touch()
    assert CORPORA["cmu_mosi"].prepare(tmp_path)[0].path == "Raw/03bSnISJMiM/1.wav"


@pytest.mark.parametrize(("old", "new"), [("Positive", "Great"), ("valid", "extra"), ("2.4", "24"), ("2.4", "")])
def test_a_wrong_row_is_told_with_its_line(tmp_path, old, new):
    (tmp_path / "label.csv").write_text(HEAD + ROW.replace(old, new), encoding="utf-8")
    with pytest.raises(ManifestError, match=r"label\.csv:2: annotation .*; expected one of"):
        CORPORA["cmu_mosi"].prepare(tmp_path)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(ManifestError, match=r"no label\.csv of CMU-MOSI below"):
        CORPORA["cmu_mosi"].prepare(tmp_path)
