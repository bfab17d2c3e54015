"""The check finds what would spoil a training, and says where."""

import numpy as np
import pytest
import soundfile

from bimodal.data.check import check_manifest, describe
from bimodal.data.labels import emotion_map
from bimodal.errors import ManifestError


@pytest.fixture
def corpus(tmp_path):
    for name, seconds in {"a.wav": 2.0, "b.wav": 1.0}.items():
        soundfile.write(tmp_path / name, np.zeros(int(16_000 * seconds)), 16_000)
    return tmp_path


def check(folder, text, **options):
    (folder / "train.csv").write_text(text)
    return check_manifest(folder / "train.csv", **options)


def told(report) -> list[str]:
    return [str(problem).replace(f"{report.path.parent}/", "") for problem in report.problems]


def test_a_sound_manifest_is_counted(corpus):
    report = check(
        corpus,
        "id,path,start,end,transcript,emotion,speaker,split\n"
        "1,a.wav,,,hi,joy,s1,train\n2,a.wav,0.5,1.5,,happy,s1,train\n3,b.wav,0.5,,Bye!,sad,s2,test\n4,,,,bye,bored,s3,dev\n"
        "5,,,,so,,s3,dev\n",
    )
    assert report.problems == ()
    assert report.emotions["happiness"] == {"train": 2}
    assert report.emotions["sadness"] == {"test": 1}
    assert sum(report.emotions["fear"].values()) == 0
    assert (report.rows, report.splits, report.speakers) == (
        5, {"train": 2, "test": 1, "dev": 2}, {"s1": 2, "s2": 1, "s3": 2},
    )  # fmt: skip
    assert report.modalities == {"speech and text": 2, "speech": 1, "text": 2}
    assert report.hours == pytest.approx((2.0 + 1.0 + 0.5) / 3600)
    assert report.unlabelled == 1
    assert [str(dropped) for dropped in report.dropped] == [
        "1 rows drop, because 'bored' (boredom) has no place in ekman7"
    ]
    shared = {overlap.what: overlap.shared for overlap in report.overlaps}
    assert shared["texts in dev and test"] == 1
    assert shared["speakers in train and test"] == 0


def test_the_table_for_people_has_counts_drops_and_verdict(corpus):
    report = check(corpus, "path,transcript,emotion,split\na.wav,hi,joy,train\nb.wav,,calm,\n")
    lines = describe(report).splitlines()
    assert "2 utterances, 0 speakers, 0.00 hours known" in lines[0]
    assert lines[3].split() == ["ekman7", "train", "-", "all"]
    assert ["happiness", "1", "0", "1"] in [line.split() for line in lines]
    assert "1 rows drop, because 'calm' has no place in ekman7" in lines
    assert lines[-1] == "no problems"


def test_rows_of_several_labels_are_counted_by_what_they_mean(corpus):
    cells = ["joy|anger", "joy|happy", "joy|calm", "calm|bored", "bored|calm", "joy|anger|calm", "joy"]
    report = check(corpus, "transcript,emotion\n" + "".join(f"hi,{cell}\n" for cell in cells))
    assert (report.soft, report.trimmed) == (2, 2)
    assert report.emotions["happiness"] == {"-": 3} and not report.emotions["anger"]
    lines = describe(report).splitlines()
    assert "2 rows have several emotions: soft targets in training, left out of evaluations" in lines
    assert "2 rows have a label without a place in ekman7 beside others, which alone count" in lines
    assert "2 rows drop, because none of several labels has a place in ekman7" in lines
    assert "expected one of" in check(corpus, "transcript,emotion\nhi,joy|hapy\n").problems[0].message


def test_an_unknown_emotion_is_told_with_its_line_and_a_map_of_ones_own_knows_it(corpus):
    text = 'transcript,emotion\n"two\nlines",joy\nhi,hapy\n'
    report = check(corpus, text)
    assert told(report)[0].startswith("train.csv:4: unknown emotion 'hapy', expected one of ['happy'")
    assert len(report.problems) == 1
    report = check(corpus, text.replace("hapy", "excited"), emotion_map=emotion_map("iemocap4"))
    assert (report.problems, report.emotions["happiness"], report.vocabulary) == ((), {"-": 2}, "iemocap4")


def test_recordings_that_cannot_serve_are_told_with_their_line(corpus):
    (corpus / "empty.wav").touch()
    (corpus / "text.wav").write_text("this is not audio at all" * 20)
    soundfile.write(corpus / "silent.wav", np.zeros(0), 16_000)
    (corpus / "folder.wav").mkdir()
    report = check(
        corpus,
        "path,start,end\nnone.wav,,\nempty.wav,,\ntext.wav,,\nsilent.wav,,\nfolder.wav,,\n"
        "b.wav,,1.5\nb.wav,1.0,\nb.wav,0.2,1.005\n../out.wav,,\n",
    )
    problems = told(report)
    assert "may not leave" in problems[0]
    complaints = ["no recording", "is empty (0 bytes)", "is no recording that can be read", "holds no samples"]
    complaints += [
        "no recording",
        "end 1.5 is after the end of 'b.wav', which has 1.000 seconds",
        "start 1.0 is not before",
    ]
    assert len(problems) == 1 + len(complaints)
    for line, (problem, complaint) in enumerate(zip(problems[1:], complaints, strict=True), start=2):
        assert problem.startswith(f"train.csv:{line}: ")
        assert complaint in problem


def test_recordings_are_left_alone_when_asked_and_probed_once_each_with_progress(corpus):
    text = "path,start,end\nnone.wav,,\na.wav,0,1\na.wav,1,2\n"
    assert check(corpus, text, probe_audio=False).problems == ()
    seen = []
    check(corpus, text, progress=lambda paths: (seen.append(path) or path for path in paths))
    assert seen == ["none.wav", "a.wav"]


def test_splits_that_share_speakers_are_a_problem_unless_the_split_is_official(corpus):
    text = "transcript,speaker,split\nhi,s1,train\nhello,s2,train\nyes,s1,test\nno,s3,dev\n"
    report = check(corpus, text)
    (problem,) = told(report)
    assert "speakers in train and test: 1 shared, 100.0 % of the second part's rows" in problem
    report = check(corpus, text, official_split="MELD")
    assert report.problems == ()
    assert "accepted as the official split 'MELD'" in describe(report)


def test_problems_of_the_file_are_reported_and_the_rest_is_still_counted(corpus):
    report = check(corpus, "id,transcript,emotion,end\na,hi,joy,x\na,hi,sad,\nc,,fear,\n")
    assert len(report.problems) == 3
    assert (report.rows, report.modalities) == (3, {"text": 2, "nothing": 1})
    assert "3 problems:\n" in describe(report)
    (corpus / "bad.csv").write_bytes(b"transcript\ncaf\xe9\n")
    assert "0xe9" in describe(check_manifest(corpus / "bad.csv"))


def test_a_recording_that_two_splits_share_is_a_problem(corpus):
    rng = np.random.default_rng(0)
    for name in ("c.wav", "d.wav"):
        soundfile.write(corpus / name, rng.integers(-900, 900, 16_000).astype(np.int16), 16_000)
    soundfile.write(corpus / "c.flac", soundfile.read(corpus / "c.wav")[0], 16_000)
    (corpus / "copy.wav").write_bytes((corpus / "c.wav").read_bytes())
    for other in ("c.wav", "./c.wav", "copy.wav", "c.flac"):
        rows = f"id,path,split\n1,c.wav,train\n2,d.wav,train\n3,{other},test\n"
        report = check(corpus, rows)
        same = "in two rows" if other == "c.wav" else f"which is '{other}'"
        assert told(report) == [
            f"train.csv:4: train and test share 1 recording, such as 'c.wav', {same}: a model would be tested on what "
            "it learnt from"
        ]
        assert len(check(corpus, rows, probe_audio=False).problems) == (other in ("c.wav", "./c.wav"))
        report = check(corpus, rows, official_split="EmoX")
        assert report.problems == ()
        assert "recordings in train and test: 1 shared, 100.0 % of the second part's rows; accepted" in describe(report)
    assert check(corpus, "id,path,split\n1,c.wav,train\n2,d.wav,test\n").problems == ()


def test_a_recording_of_two_speakers_or_two_emotions_is_a_problem(corpus):
    soundfile.write(corpus / "noise.wav", np.random.default_rng(0).normal(size=2000), 16_000)
    head = "id,path,emotion,speaker\n"
    assert told(check(corpus, head + "1,noise.wav,joy,ann\n2,./noise.wav,happy,bob\n")) == [
        "train.csv:3: 1 recording has two speakers, such as 'noise.wav' and './noise.wav', the same recording, with "
        "'ann' and 'bob'"
    ]
    assert told(check(corpus, head + "1,noise.wav,joy,ann\n2,noise.wav,sad,ann\n")) == [
        "train.csv:3: 1 recording has two emotions, such as 'noise.wav' with 'happiness' and 'sadness'"
    ]
    assert check(corpus, head + "1,noise.wav,joy,ann\n2,noise.wav,,\n").problems == ()


def test_names_that_may_be_one_speaker_are_a_hint(corpus):
    report = check(corpus, "transcript,speaker\nhi,Anna\nho,anna\nha,01\nhu,1\n")
    assert report.problems == () and report.similar_speakers == (("Anna", "anna"), ("01", "1"))
    hint = "speakers 'Anna' and 'anna' may be one person (1 other pairs likewise); if so, write the name in one way"
    assert hint in describe(report)


def test_words_for_an_empty_cell_are_one_problem_a_column(corpus):
    text = "transcript,emotion,speaker\nnan,joy,nan\nNone,joy,s1\nNone.,joy,NaN\nNancy,joy,nana\n"
    assert told(check(corpus, text)) == [
        "train.csv:2: transcript is 'nan', 'None' in 2 rows, as programs write empty cells; leave such cells empty",
        "train.csv:2: speaker is 'nan', 'NaN' in 2 rows, as programs write empty cells; leave such cells empty",
    ]


def test_unknown_labels_are_summed_up_and_said_once(corpus):
    rows = "hi,x\n" * 1200 + "ho,y\n" * 899 + "ha,joy\n"
    (problem,) = told(check(corpus, "transcript,emotion\n" + rows))
    assert problem.startswith(
        "train.csv:2: 2,099 rows have labels without a place in ekman7: 'x' 1,200, 'y' 899; expected anger, disgust,"
    )
    many = "".join(f"hi,label{number}\n" for number in range(30)) + "hi,joy\n"
    (problem,) = told(check(corpus, "transcript,emotion\n" + many))
    assert "'label9' 1 and 20 others; expected" in problem


def test_it_is_said_when_all_rows_drop(corpus):
    (problem,) = told(check(corpus, "transcript,emotion\nhi,calm\nho,bored\nha,\n"))
    assert problem == (
        "train.csv: all 2 rows with an emotion drop, so nothing is left to train on: choose another --vocabulary than "
        "ekman7"
    )
    (problem,) = told(check(corpus, "transcript,emotion\nhi,0\nho,1\n"))
    assert problem.startswith("train.csv:2: 2 rows have labels without a place in ekman7: '0' 1, '1' 1; expected")
    assert problem.endswith("all 2 rows with an emotion drop, so nothing is left to train on")
    assert check(corpus, "transcript,emotion\nhi,calm\nho,joy\n").problems == ()
    assert check(corpus, "transcript\nhi\n").problems == ()


def test_one_cause_is_one_sentence(corpus):
    text = "id,path,emotion\n" + "".join(f"{row},none{row}.wav,joy\n" for row in range(340)) + "x,a.wav,hapy\n"
    report = check(corpus, text)
    assert len(report.problems) == 341
    lines = describe(report).splitlines()
    first = lines.index("341 problems:")
    assert len(lines) == first + 3
    assert "unknown emotion 'hapy', expected one of ['happy'" in lines[first + 1]
    assert lines[first + 2].startswith(f"{corpus}/train.csv:2: no recording ") and lines[first + 2].endswith(
        "none0.wav' (and 339 more like this, in lines 3, 4, 5, ...)"
    )


def test_a_missing_manifest_is_an_error(tmp_path):
    with pytest.raises(ManifestError, match=r"none\.csv"):
        check_manifest(tmp_path / "none.csv")


def test_meld_passes_only_as_an_official_split(corpus_data):
    path = corpus_data / "meld_text_prosody" / "manifest.csv"
    assert len(check_manifest(path).problems) == 3
    report = check_manifest(path, official_split="MELD")
    assert report.problems == ()
    assert report.modalities == {"speech and text": 13_706, "text": 2}
    assert sum(report.emotions["neutral"].values()) == 6_436
    train_test = next(overlap for overlap in report.overlaps if overlap.what == "speakers in train and test")
    assert round(100 * train_test.share_of_rows) == 96


def test_ravdess_loses_its_calm_clips_in_ekman7_and_none_in_its_own_vocabulary(corpus_data):
    path = corpus_data / "ravdess" / "manifest.csv"
    report = check_manifest(path, probe_audio=False)
    assert [(dropped.label, dropped.rows) for dropped in report.dropped] == [("calm", 192)]
    assert check_manifest(path, emotion_map=emotion_map("ravdess8"), probe_audio=False).dropped == ()


def test_every_recording_of_emodb_has_a_sound_header(corpus_data):
    report = check_manifest(corpus_data / "emodb" / "manifest.csv")
    assert report.problems == ()
    assert report.hours == pytest.approx(0.41, abs=0.01)
