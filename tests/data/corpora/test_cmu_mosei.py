"""CMU-MOSEI: texts, ratings and official parts of the raw corpus."""

from pathlib import Path

import pytest

from bimodal.data.corpora import CORPORA
from bimodal.errors import ManifestError

RATED = ("sentiment", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
HEAD = ",".join(("WorkerId", "Input.VIDEO_ID", "Input.CLIP", *(f"Answer.{name}" for name in RATED))) + "\n"
RATINGS = HEAD + "w1,x/-3g5yACwYnA,0,1,1,0,0,2,0,0\nw2,-3g5yACwYnA,0,2,0,0,0,1,0,0\nw1,-3g5yACwYnA,1,0,0,0,0,0,0,0\n"
TEXT = "-3g5yACwYnA___0___-0.457___4.1___Key is part of the people.___Yes.\n-3g5yACwYnA___1___4.1___9___And so on\n"
TEXT += "-3g5yACwYnA___2___9___12___nobody rated this\n-3g5yACwYnA___3___12___12___no time\n"
FOLDS = "standard_train_fold = ['a']\nstandard_valid_fold = ['-3g5yACwYnA', '81406']\nstandard_test_fold = []\n"


def mosei(folder: Path, text: str = TEXT, ratings: str = RATINGS, folds: str = FOLDS) -> Path:
    files = {
        "Raw/Transcript/Segmented/Combined/-3g5yACwYnA.txt": text,
        "Raw/Labels/5000_batch_raw.csv": ratings,
        "cmu_mosei_std_folds.py": folds,
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def test_clips_are_soft_targets_of_all_points_of_intensity(tmp_path, caplog):
    first, second = CORPORA["cmu_mosei"].prepare(mosei(tmp_path))
    assert (first.id, first.path) == ("-3g5yACwYnA_0", "Raw/Audio/Full/WAV_16000/-3g5yACwYnA.wav")
    assert (first.start, first.end, first.transcript) == (0.0, 4.1, "Key is part of the people.___Yes.")
    assert (first.emotion, first.split, first.speaker) == (
        "anger|happiness|happiness|happiness", "dev", "-3g5yACwYnA",
    )  # fmt: skip
    assert (first.extra["sentiment"], first.extra["happiness"], first.extra["utterance"]) == ("1.5", "1.5", "0")
    assert second.emotion == "neutral" and "1 of 3 clips have no ratings" in caplog.text
    assert CORPORA["cmu_mosei"].prepare(tmp_path / "Raw")[0].split is None  # the lists are not below


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"text": "only___two\n"}, r"-3g5yACwYnA\.txt:1: 2 cells"),
        ({"ratings": "a,b\n1,2\n"}, r"5000_batch_raw\.csv:1: columns \['Answer.anger'"),
        ({"ratings": RATINGS.replace("w1,x/-3g5yACwYnA,0,1", "w1,x,0,much")}, r"5000_batch_raw\.csv:2: .*as numbers"),
        ({"ratings": HEAD}, "none of the 3 clips"),
        ({"folds": "standard_train_fold = open('x')\n"}, "no lists of videos"),
    ],
)
def test_other_files_are_told_with_their_line(tmp_path, changed, told):
    with pytest.raises(ManifestError, match=told):
        CORPORA["cmu_mosei"].prepare(mosei(tmp_path, **changed))


def test_sentiment_is_read_from_the_table_of_clips(tmp_path):
    head = "video_id,clip_id,text,label,annotation,mode\n"
    (tmp_path / "label.csv").write_text(f"{head}-3g5yACwYnA,3,Key,0,Neutral,train\n", encoding="utf-8")
    (row,) = CORPORA["cmu_mosei"].labels["sentiment"](tmp_path)
    assert (row.emotion, row.split) == ("neutral", "train")


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="no Transcript/Segmented/Combined below"):
        CORPORA["cmu_mosei"].prepare(tmp_path)
