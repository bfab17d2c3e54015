"""CREMA-D: names, tables and votes become utterances; half a corpus is refused in one sentence."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from bimodal.data.corpora import crema_d, prepare_corpus
from bimodal.data.manifest import read_manifest
from bimodal.errors import ManifestError
from bimodal.training.rows import label_rows

CLIPS = ("1001_DFA_ANG_XX", "1001_IEO_HAP_LO", "1002_WSI_NEU_XX")
VOTES = {
    "1001_DFA_ANG_XX": (6, 2, 0, 0, 1, 0),
    "1001_IEO_HAP_LO": (0, 0, 0, 3, 6, 0),
    "1002_WSI_NEU_XX": (0,) * 4 + (9, 0),
}


def _write_table(file: Path, rows: list[list[object]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, quoting=csv.QUOTE_NONNUMERIC).writerows(rows)


def _vote_rows(votes: dict[str, tuple[int, ...]]) -> list[list[object]]:
    header: list[object] = ["", *"ADFHNS", "fileName", "numResponses", "agreement", "emoVote"]
    rows = [header]
    for kind in (1, 2, 3):  # voice, face, both; of the others all votes are for sadness
        for number, (name, counts) in enumerate(votes.items(), start=1):
            given = counts if kind == 1 else (0, 0, 0, 0, 0, sum(counts))
            rows.append([f"{kind}0000{number}", *given, name, sum(given), 1.0, "S"])
    return rows


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tree with the names and tables of the real one, and three clips."""
    root = tmp_path / "CREMA-D"
    (root / "AudioWAV").mkdir(parents=True)
    for name in CLIPS:
        (root / "AudioWAV" / f"{name}.wav").write_bytes(b"RIFF")
    _write_table(root / "SentenceFilenames.csv", [["Stimulus_Number", "Filename"], *([1, name] for name in CLIPS)])
    actors = [[1001, 51, "Male", "Caucasian", "Not Hispanic"], [1002, 21, "Female", "Asian", "Hispanic"]]
    _write_table(root / "VideoDemographics.csv", [["ActorID", "Age", "Sex", "Race", "Ethnicity"], *actors])
    _write_table(root / "processedResults" / "tabulatedVotes.csv", _vote_rows(VOTES))
    return root


def test_a_clip_is_read_as_a_row_with_all_that_the_tables_tell(source):
    row = crema_d.prepare(source)[0]
    assert (row.id, row.path) == ("1001_DFA_ANG_XX", "AudioWAV/1001_DFA_ANG_XX.wav")
    assert (row.emotion, row.speaker, row.transcript, row.lang) == ("anger", "1001", "Don't forget a jacket.", "en")
    assert row.extra == {
        "intended": "anger",
        "votes": "anger|anger|anger|anger|anger|anger|disgust|disgust|neutral",
        "agreement": "0.667",
        "level": "unspecified",
        "sentence": "DFA",
        "sex": "male",
        "age": "51",
        "race": "caucasian",
        "ethnicity": "not hispanic",
    }


def test_votes_are_those_of_the_voice_alone_and_become_soft_targets(source):
    rows = label_rows(crema_d.prepare_votes(source), "ekman7")
    assert rows.emotions == ("anger", "disgust", "happiness", "neutral")
    assert rows.targets[1] == pytest.approx([0, 0, 1 / 3, 2 / 3])
    assert rows.targets[2].tolist() == [0.0, 0.0, 0.0, 1.0]


def test_the_labels_are_chosen_when_the_corpus_is_prepared(source, tmp_path):
    for labels, expected in ((None, "happiness"), ("intended", "happiness"), ("votes", VOTES[CLIPS[1]])):
        manifest = prepare_corpus("crema_d", source, tmp_path / str(labels), labels)
        emotion = read_manifest(manifest.path).utterances[1].emotion
        assert emotion == (expected if isinstance(expected, str) else "|".join(["happiness"] * 3 + ["neutral"] * 6))
    with pytest.raises(ManifestError, match=r"'crema_d' has no labels 'face', expected one of \['intended', 'votes'\]"):
        prepare_corpus("crema_d", source, tmp_path / "face", "face")
    with pytest.raises(ManifestError, match="'emodb' has no labels 'votes', it has one kind; leave --labels out"):
        prepare_corpus("emodb", source, tmp_path / "emodb", "votes")


def test_half_a_corpus_is_refused_with_what_is_missing(source):
    clips = source / "AudioWAV"
    (clips / f"{CLIPS[2]}.wav").rename(clips / f"{CLIPS[2]}.mp3")
    with pytest.raises(ManifestError, match=r"1 of 3 clips that SentenceFilenames\.csv lists .* is 1002_WSI_NEU_XX"):
        crema_d.prepare(source)
    (source / "VideoDemographics.csv").unlink()
    with pytest.raises(ManifestError, match=r"tables VideoDemographics\.csv are missing"):
        crema_d.prepare(source)
    with pytest.raises(ManifestError, match=r"expected files such as AudioWAV/1001_DFA_ANG_XX\.wav"):
        crema_d.prepare(source / "processedResults")


def test_clips_that_git_lfs_did_not_fetch_are_refused(source):
    for name in CLIPS[:2]:
        pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 72766\n"
        (source / "AudioWAV" / f"{name}.wav").write_bytes(pointer)
    with pytest.raises(ManifestError, match=r"ANG_XX\.wav: this and 1 other clips are pointers .*git lfs pull"):
        crema_d.prepare(source)


@pytest.mark.parametrize("change", [{5: 0}, {5: -1}, {5: "nine"}, {8: 12}, {5: 0, 8: 0}])
def test_votes_that_do_not_sum_up_are_refused_with_their_line(source, change):
    rows = _vote_rows(VOTES)
    for column, value in change.items():
        rows[3][column] = value
    _write_table(source / "processedResults" / "tabulatedVotes.csv", rows)
    with pytest.raises(ManifestError, match=r"tabulatedVotes\.csv:4: the votes .* 1002_WSI_NEU_XX do not sum up"):
        crema_d.prepare(source)


def test_a_clip_that_a_table_does_not_know_is_refused(source):
    (source / "AudioWAV" / "1003_DFA_ANG_XX.wav").write_bytes(b"RIFF")
    with pytest.raises(ManifestError, match=r"1003_DFA_ANG_XX\.wav: SentenceFilenames\.csv does not list this clip"):
        crema_d.prepare(source)
    listed = [["Stimulus_Number", "Filename"], *([1, name] for name in (*CLIPS, "1003_DFA_ANG_XX"))]
    _write_table(source / "SentenceFilenames.csv", listed)
    with pytest.raises(ManifestError, match=r"actor 1003 of 1003_DFA_ANG_XX\.wav is missing"):
        crema_d.prepare(source)
    actors = [
        ["ActorID", "Age", "Sex", "Race", "Ethnicity"],
        *([actor, 30, "Male", "Asian", ""] for actor in range(1001, 1004)),
    ]
    _write_table(source / "VideoDemographics.csv", actors)
    with pytest.raises(ManifestError, match="1003_DFA_ANG_XX has no votes of the voice"):
        crema_d.prepare(source)


def test_the_real_corpus_is_complete(corpus_data):
    folder = corpus_data / "crema_d"
    if not folder.is_dir():  # 600 MB: not among the corpora that CI brings along
        pytest.skip(f"no CREMA-D in {folder}")
    rows = crema_d.prepare(folder)
    others = dict.fromkeys(("anger", "disgust", "fear", "happiness", "sadness"), 1_271)
    assert Counter(row.emotion for row in rows) == {**others, "neutral": 1_087}
    assert len({row.speaker for row in rows}) == 91
    assert Counter(row.extra["level"] for row in rows) == {"unspecified": 6_077, "low": 455, "medium": 455, "high": 455}
    voted = [row.extra["votes"].split("|") for row in rows]
    assert round(sum(map(len, voted)) / len(voted), 1) == 9.2
    assert sum(votes.count("neutral") for votes in voted) == 30_152
