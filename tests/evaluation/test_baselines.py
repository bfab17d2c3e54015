"""Baselines learn from other speakers alone, and say where they learnt."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sklearn.dummy import DummyClassifier

from bimodal.data.manifest import read_manifest
from bimodal.errors import BimodalError
from bimodal.evaluation import baselines
from bimodal.evaluation.baselines import BASELINES, BaselineInfo, add_baselines, logmel_statistics, reported_rows
from bimodal.evaluation.report import evaluate

RATE = 16000


def write_corpus(folder: Path, speakers=6, each=4, train=0) -> Path:
    """Tones of a pitch of its own for each emotion, with noise; the first `train` speakers are the train split."""
    rng = np.random.default_rng(0)
    rows = ["id,path,emotion,speaker,split"]
    for speaker in range(speakers):
        for emotion, pitch in (("angry", 900), ("sad", 200), ("neutral", 450)):
            for number in range(each):
                name = f"s{speaker}-{emotion}-{number}"
                time = np.arange(RATE // 2) / RATE
                tone = 0.3 * np.sin(2 * np.pi * (pitch + 10 * speaker) * time) + 0.02 * rng.normal(size=len(time))
                soundfile.write(folder / f"{name}.wav", tone.astype(np.float32), RATE)
                split = "" if not train else "train" if speaker < train else "test"
                rows.append(f"{name},{name}.wav,{emotion},s{speaker},{split}")
    (folder / "m.csv").write_text("\n".join(rows) + "\n")
    return folder / "m.csv"


def uar(predictions, name):
    (found,) = [one for one in evaluate(predictions, replicates=50).systems if one.system == name]
    return found.metrics["uar"].value


def test_log_mel_statistics_tell_tones_apart_on_unseen_speakers(tmp_path):
    read = read_manifest(write_corpus(tmp_path, train=3))
    found, notes = add_baselines(reported_rows(read)[0], read, ["logmel", "majority", "chance"])
    assert found.systems == ("logmel", "majority", "chance") and len(found.ids) == 36
    assert uar(found, "logmel") > 0.9
    assert uar(found, "majority") == pytest.approx(1 / 3)
    assert found.labels_only("chance") and not found.labels_only("majority")
    assert "are trained on 36 rows of the split 'train'" in notes[0]


def test_without_a_train_split_other_speakers_of_the_reported_rows_train(tmp_path):
    read = read_manifest(write_corpus(tmp_path))
    found, notes = add_baselines(reported_rows(read)[0], read, ["logmel"])
    assert uar(found, "logmel") > 0.9
    assert "the other speakers of these rows, 5 folds, as there is no split 'train'" in notes[0]


def test_no_speaker_is_trained_on_and_tested(tmp_path, monkeypatch):
    read = read_manifest(write_corpus(tmp_path, each=2))
    seen = []
    machine = baselines._machine

    def watched(features, task, train, test, seed):
        seen.append(({task.utterances[row].speaker for row in train}, {task.utterances[row].speaker for row in test}))
        return machine(features, task, train, test, seed)

    monkeypatch.setattr(baselines, "_machine", watched)
    add_baselines(reported_rows(read)[0], read, ["logmel"])
    assert len(seen) == 5 and all(not train & test for train, test in seen)
    assert set().union(*(test for _, test in seen)) == {f"s{number}" for number in range(6)}


def test_given_folds_are_kept(tmp_path):
    read = read_manifest(write_corpus(tmp_path, each=2))
    ids = [one.id for one in read.utterances]
    folds = [([one for one in ids if one[:2] != name], [one for one in ids if one[:2] == name]) for name in
             sorted({one[:2] for one in ids})]  # fmt: skip
    found, notes = add_baselines(reported_rows(read)[0], read, ["majority"], folds=folds)
    assert "are trained on the same folds" in notes[0]
    assert np.allclose(found.scores["majority"], 1 / 3)
    with pytest.raises(BimodalError, match="do not test each reported row once"):
        add_baselines(reported_rows(read)[0], read, ["majority"], folds=folds[1:])


def test_majority_agrees_with_scikit_learn(tmp_path):
    path = write_corpus(tmp_path, train=3, each=2)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line for line in lines if "s0-sad" not in line) + "\n")
    read = read_manifest(path)
    found, _ = add_baselines(reported_rows(read)[0], read, ["majority"])
    train = [one.emotion for one in read.utterances if one.split == "train"]
    theirs = DummyClassifier(strategy="prior").fit(np.zeros((len(train), 1)), train)
    assert np.allclose(found.scores["majority"], theirs.predict_proba(np.zeros((len(found.ids), 1)))[:, [0, 1, 2]])


def test_train_rows_of_reported_speakers_are_left_out_and_counted(tmp_path):
    path = write_corpus(tmp_path, train=3, each=2)
    text = path.read_text()
    path.write_text(text.replace("s0-sad-0,s0-sad-0.wav,sad,s0,train", "s0-sad-0,s0-sad-0.wav,sad,s5,train"))
    read = read_manifest(path)
    _, notes = add_baselines(reported_rows(read)[0], read, ["majority"])
    assert "1 rows of the split 'train' are by reported speakers: left out." in notes
    path.write_text(text.replace(",s0,", ",s5,").replace(",s1,", ",s5,").replace(",s2,", ",s5,"))
    with pytest.raises(BimodalError, match="all 18 rows of the split 'train' are by speakers of the reported rows"):
        read = read_manifest(path)
        add_baselines(reported_rows(read)[0], read, ["majority"])


def test_a_baseline_stands_beside_our_systems_on_our_rows(tmp_path):
    read = read_manifest(write_corpus(tmp_path, train=3, each=2))
    ours, _ = reported_rows(read)
    ours = replace(ours, scores={"fused": np.full((len(ours.ids), 3), 1 / 3)})
    found, _ = add_baselines(ours, read, ["logmel"])
    assert found.systems == ("fused", "logmel") and found.ids == ours.ids
    (comparison,) = evaluate(found, replicates=50).comparisons
    assert (comparison.system, comparison.other) == ("fused", "logmel") and comparison.uar.value < 0


def test_one_speaker_alone_cannot_train_a_baseline(tmp_path):
    read = read_manifest(write_corpus(tmp_path, speakers=1))
    with pytest.raises(BimodalError, match="one speaker"):
        add_baselines(reported_rows(read)[0], read, ["logmel"])


def test_missing_packages_and_unknown_names_are_told_with_the_way_out(tmp_path, monkeypatch):
    read = read_manifest(write_corpus(tmp_path, speakers=2, each=1))
    rows, _ = reported_rows(read)
    with pytest.raises(BimodalError, match=r"unknown baseline 'gemaps', expected one of \['egemaps', 'logmel'"):
        add_baselines(rows, read, ["gemaps"])
    monkeypatch.setitem(sys.modules, "opensmile", None)
    with pytest.raises(BimodalError, match=r"bimodal-emotion\[egemaps\]' \(its licence allows research"):
        add_baselines(rows, read, ["egemaps"])
    monkeypatch.setitem(sys.modules, "sklearn.pipeline", None)
    with pytest.raises(BimodalError, match=r"pip install 'bimodal-emotion\[baselines\]'"):
        add_baselines(rows, read, ["logmel"])


def test_egemaps_has_88_features_of_a_clip():
    pytest.importorskip("opensmile", reason="openSMILE, free for research alone, is not installed")
    signal = (0.3 * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)).astype(np.float32)
    features = BASELINES["egemaps"].features()(signal)
    assert features.shape == (88,) and np.isfinite(features).all()


def test_features_of_a_signal_shorter_than_a_window_are_finite():
    assert np.isfinite(logmel_statistics(np.zeros(10, np.float32))).all()


def test_a_baseline_of_the_table_is_taken_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setitem(BASELINES, "loudness", BaselineInfo(title="loudness", features=lambda: lambda s: s[:1] * 0.0))
    read = read_manifest(write_corpus(tmp_path, speakers=3, each=1))
    assert add_baselines(reported_rows(read)[0], read, ["loudness"])[0].systems == ("loudness",)


def test_rows_that_folds_train_on_without_testing_them_train_a_baseline_too(tmp_path):
    read = read_manifest(write_corpus(tmp_path, train=3, each=2))
    ids = {split: [one.id for one in read.utterances if one.split == split] for split in ("train", "test")}
    found, notes = add_baselines(reported_rows(read)[0], read, ["logmel"], folds=[(ids["train"], ids["test"])])
    assert "are trained on the same folds" in notes[0] and uar(found, "logmel") > 0.9
