"""Corpora whose file names say all: a small tree with their real names becomes rows; other folders are refused."""

from pathlib import Path

import pytest

from bimodal.data.corpora import CORPORA
from bimodal.data.labels import find_map
from bimodal.errors import ManifestError
from bimodal.records import Utterance

TREES = {
    "aesdd": {
        "anger/a01 (1).wav": ("anger", "1", None, {"sentence": "01"}),
        "sadness/s20 (5).wav": ("sadness", "5", None, {"sentence": "20"}),
    },
    "ased": {
        "05Angry/a5-03-01-02-50.wav": (
            "anger", "50", None, {"gender": "male", "sentence": "a03", "repetition": "1"},
        ),
        "04Sad/S4-02-02-01-29.wav": (
            "sadness", "29", None, {"gender": "female", "sentence": "02", "repetition": "2"},
        ),
    },
    "baved": {
        "0/0-m-21-0-1-105.wav": ("neutral", "0", "اعجبني", {"gender": "male", "age": "21"}),
        "6/102-F-40-6-2-5.wav": ("high", "102", "سيئ", {"gender": "female", "age": "40"}),
    },
    "cafe": {
        "Colère/Faible/01-C-1-1.wav": ("anger", "01", None, {"intensity": "normal", "sentence": "1"}),
        "Neutre/12-N-1-6.wav": ("neutral", "12", None, {"intensity": "normal", "sentence": "6"}),
        "Peur/Fort/07-P-2-3.wav": ("fear", "07", None, {"intensity": "strong", "sentence": "3"}),
    },
    "emogator": {
        "data/mp3/000001-03-1.mp3": ("anger", "000001", None, {"repetition": "1"}),
        "data/mp3/000357-28-3.mp3": ("positive_surprise", "000357", None, {"repetition": "3"}),
    },
    "emov_db": {
        "bea/Angry/anger_1-28_0011.wav": (
            "anger", "bea", "Not at this particular case.", {"gender": "female", "sentence": "0011"},
        ),
        "sam_Disgusted/Disgust_169_196_0178.wav": (
            "disgust", "sam", None, {"gender": "male", "sentence": "0178"},
        ),
    },
    "emovo": {
        "EMOVO/f1/dis-f1-b1.wav": ("disgust", "f1", None, {"gender": "female", "sentence": "b1"}),
        "EMOVO/m3/gio-m3-n5.wav": ("happiness", "m3", None, {"gender": "male", "sentence": "n5"}),
    },
    "esd": {
        "0001/Neutral/0001_000001.wav": ("neutral", "0001", None, {}),
        "0011/Angry/train/0011_000351.wav": ("anger", "0011", "The nine the eggs, I keep.", {}),
        "0011/Surprise/evaluation/0011_001401.wav": ("surprise", "0011", None, {}),
    },
    "jl_corpus": {
        "JL(wav+txt)/female1_angry_10a_1.wav": (
            "angry", "female1", "Tom beats that farmer.", {"gender": "female", "sentence": "10a", "repetition": "1"},
        ),
        "JL(wav+txt)/male2_apologetic_3b_2.wav": (
            "apologetic", "male2", None, {"gender": "male", "sentence": "3b", "repetition": "2"},
        ),
    },
    "mesd": {
        "Anger_C_A_abajo.wav": ("anger", None, "abajo", {"voice": "child", "list": "A"}),
        "Sadness_M_B_buenas_noches.wav": ("sadness", None, "buenas noches", {"voice": "male", "list": "B"}),
    },
    "ravdess_song": {
        "Actor_01/03-02-03-01-02-01-01.wav": (
            "happy", "01", "Dogs are sitting by the door.",
            {"gender": "male", "intensity": "normal", "repetition": "1", "fold": "1"},
        ),
    },
    "savee": {
        "AudioData/DC/a01.wav": ("anger", "DC", None, {"gender": "male", "sentence": "a01"}),
        "AudioData/JE/a01.wav": ("anger", "JE", None, {"gender": "male", "sentence": "a01"}),
        "ALL/KL_su15.wav": ("surprise", "KL", None, {"gender": "male", "sentence": "su15"}),
        "ALL/KL_sa15.wav": ("sadness", "KL", None, {"gender": "male", "sentence": "sa15"}),
    },
    "shemo": {
        "female/F03S02.wav": ("sadness", "F03", None, {"gender": "female"}),
        "male/M02F01.wav": ("fear", "M02", None, {"gender": "male"}),
        "male/M02W110.wav": ("surprise", "M02", None, {"gender": "male"}),
    },
    "subesco": {
        "F_01_OISHI_S_1_ANGRY_1.wav": ("anger", "F01", None, {"gender": "female", "sentence": "1", "take": "1"}),
        "M_10_TAHSAN_S_10_SURPRISE_5.wav": ("surprise", "M10", None, {"gender": "male", "sentence": "10", "take": "5"}),
    },
    "tess": {
        "OAF_angry/OAF_back_angry.wav": (
            "anger", "older", "Say the word back.", {"gender": "female", "age": "64", "word": "back"},
        ),
        "OAF_neutral/OA_bite_neutral.wav": (
            "neutral", "older", "Say the word bite.", {"gender": "female", "age": "64", "word": "bite"},
        ),
        "YAF_pleasant_surprised/YAF_dog_ps.wav": (
            "surprise", "younger", "Say the word dog.", {"gender": "female", "age": "26", "word": "dog"},
        ),
    },
    "urdu": {
        "Angry/SM1_F10_A010.wav": ("anger", "SM1", None, {"gender": "male"}),
        "Sad/SF10_F1_S01.wav": ("sadness", "SF10", None, {"gender": "female"}),
    },
}  # fmt: skip
"""What each path means: emotion, speaker, transcript, further columns."""

BESIDE = {
    "emov_db": {"cmuarctic.data": '( arctic_a0011 "Not at this particular case." )\n'},
    "esd": {"0011/0011.txt": "0011_000351\tThe nine the eggs, I keep.\tAngry\n0011_000352\t\tAngry\n"},
    "jl_corpus": {"JL(wav+txt)/female1_angry_10a_1.txt": "Tom beats that farmer.\n"},
}
"""Text files of a corpus."""

NO_RECORDINGS = ("readme.txt", "Actor_01/notes.wav", "a1.wav", "._03a01Fa.wav", "Angry/SM1_F10_A010.mp4")


def tree(folder: Path, name: str) -> Path:
    for path in (*TREES[name], *NO_RECORDINGS):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    for path, text in BESIDE.get(name, {}).items():
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def read(name: str, source: Path) -> dict[str, Utterance]:
    rows = CORPORA[name].prepare(source)
    assert len({row.id for row in rows}) == len(rows)
    return {str(row.path): row for row in rows}


@pytest.mark.parametrize("name", TREES)
def test_names_are_read_as_rows(name, tmp_path):
    rows = read(name, tree(tmp_path, name))
    assert rows.keys() == TREES[name].keys()
    for path, (emotion, speaker, transcript, extra) in TREES[name].items():
        row = rows[path]
        assert (row.emotion, row.speaker, row.transcript, dict(row.extra)) == (emotion, speaker, transcript, extra)
        assert row.lang in (CORPORA[name].languages or (None,))
        find_map("ekman7").apply(str(row.emotion))  # a known word, with or without a place


@pytest.mark.parametrize("name", TREES)
def test_copies_as_flac_are_read_and_second_copies_are_counted(name, tmp_path, caplog):
    path = next(iter(TREES[name]))
    for parent in ("a", "b"):
        copy = (tmp_path / parent / path).with_suffix(".flac")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.touch()
    (row,) = read(name, tmp_path).values()
    assert row.path == Path("a", path).with_suffix(".flac").as_posix()
    assert "1 second copies skipped" in caplog.text or "second copy" in caplog.text


@pytest.mark.parametrize("name", TREES)
def test_another_folder_is_refused_with_the_files_expected(name, tmp_path):
    (tmp_path / "song.wav").touch()
    with pytest.raises(ManifestError, match=r"expected files such as .*\.(wav|mp3)") as told:
        CORPORA[name].prepare(tmp_path)
    example = str(told.value).rpartition("such as ")[2]
    (tmp_path / example).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / example).touch()
    assert len(CORPORA[name].prepare(tmp_path)) == 1  # the example is a true one


def test_official_parts_of_esd_are_splits(tmp_path):
    rows = read("esd", tree(tmp_path, "esd"))
    assert {path.split("/")[-2]: row.split for path, row in rows.items()} == {
        "Neutral": None, "train": "train", "evaluation": "dev",
    }  # fmt: skip


COUNTS = {
    "urdu": (400, {"anger": 100, "happiness": 100, "neutral": 100, "sadness": 100}, 29),  # the paper says 38 speakers
    "nemo": (4_481, {"neutral": 809, "anger": 749, "happiness": 749, "sadness": 769, "fear": 736, "surprise": 669}, 9),
}
"""Recordings, recordings of each emotion, speakers, as published."""


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_those_published(name, corpus_data):
    folder = corpus_data / name
    if not folder.is_dir():
        pytest.skip(f"no {name} in {folder}")
    rows = CORPORA[name].prepare(folder)
    count, emotions, speakers = COUNTS[name]
    assert len(rows) == count and len({row.speaker for row in rows}) == speakers
    assert {emotion: sum(row.emotion == emotion for row in rows) for emotion in emotions} == emotions
    assert all((folder / str(row.path)).is_file() for row in rows)
