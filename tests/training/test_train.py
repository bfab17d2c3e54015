"""All three stages over a manifest: restartable, the same twice, and what cannot be trained is said in one sentence."""

import csv
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from bimodal.config import TrainConfig, read_config
from bimodal.data.manifest import read_manifest
from bimodal.errors import AudioError, BimodalError, ManifestError, SplitError, TrainingError
from bimodal.evaluation.predict import predict_model
from bimodal.inference.model_folder import load_model_config, read_json
from bimodal.inference.recognizer import Recognizer
from bimodal.training.package_model import TrainReport
from bimodal.training.train import train

FAST = [
    "speech.epochs=2", "speech.min_steps=10", "speech.pca_components=0", "speech.ensemble_size=1",
    "text.min_steps=10", "text.epochs=2",
    "fusion.epochs=2", "fusion.min_steps=5", "fusion.n_folds=2", "threads=1",
]  # fmt: skip
CONFIG = read_config(TrainConfig(), settings=FAST)


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


def copied(manifest: Path, folder: Path, change=lambda row: row) -> Path:
    """The tiny corpus in another folder, each row changed; a row that becomes None is left out."""
    shutil.copytree(manifest.parent, folder)
    with manifest.open(newline="") as stream:
        rows = [change(row) for row in csv.DictReader(stream)]
    with (folder / manifest.name).open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["path", "transcript", "emotion", "speaker", "split"])
        writer.writeheader()
        writer.writerows(row for row in rows if row is not None)
    return folder / manifest.name


def test_stage_by_stage_is_all_at_once(tiny_manifest, cache, tmp_path):
    whole = train(tiny_manifest, tmp_path / "whole", CONFIG, cache)
    for stage in ("speech", "text", "fusion"):
        stepwise = train(tiny_manifest, tmp_path / "steps", CONFIG, cache, stages=(stage,))
    one, other = (load_file(model / "weights.safetensors") for model in (whole, stepwise))
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_finished_run_is_returned_without_training(tiny_manifest, cache, tmp_path):
    epochs = []
    train(tiny_manifest, tmp_path / "run", CONFIG, cache, stages=("text",), on_epoch=epochs.append)
    trained = len(epochs)
    train(tiny_manifest, tmp_path / "run", CONFIG, cache, stages=("text",), on_epoch=epochs.append)
    assert trained > 0 and len(epochs) == trained


def test_each_epoch_is_told_with_its_stage_and_the_dev_figure(tiny_manifest, cache, tmp_path):
    epochs = []
    train(tiny_manifest, tmp_path / "run", CONFIG, cache, on_epoch=epochs.append)
    stages = list(dict.fromkeys(entry["stage"] for entry in epochs))
    parts = [f"fusion/{name}/part{number}" for name in ("speech", "text") for number in (1, 2)]
    assert stages == ["speech", *parts[:2], "text", *parts[2:], "fusion"]
    for entry in epochs:
        assert 1 <= entry["epoch"] <= entry["epochs"] and entry["loss"] > 0
        assert ("dev" in entry) == (entry["stage"] in ("speech", "text"))


def test_another_configuration_is_refused_in_the_same_folder(tiny_manifest, cache, tmp_path):
    train(tiny_manifest, tmp_path / "run", CONFIG, cache, stages=("text",))
    with pytest.raises(TrainingError, match="another configuration or other data"):
        train(tiny_manifest, tmp_path / "run", replace(CONFIG, seed=1), cache, stages=("text",))


def test_speech_alone_gives_a_model_without_words(tiny_manifest, cache, tmp_path):
    recognizer = Recognizer(train(tiny_manifest, tmp_path / "run", CONFIG, cache, stages=("speech",)))
    result = recognizer.recognize(tiny_manifest.parent / "audio" / "s0-anger-0.wav", transcript="ignored")
    assert result.text_scores is None and result.transcript is None


def test_test_rows_decide_nothing(tiny_manifest, cache, tmp_path):
    def relabel(row):
        return row | {"emotion": "sadness"} if row["split"] == "test" else row

    one = train(tiny_manifest, tmp_path / "one", CONFIG, cache, stages=("text",))
    other = train(copied(tiny_manifest, tmp_path / "c", relabel), tmp_path / "two", CONFIG, cache, stages=("text",))
    weights = [load_file(model / "weights.safetensors") for model in (one, other)]
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize(
    ("change", "kind", "sentence"),
    [
        (lambda row: row | {"emotion": "hapy"}, ManifestError, "unknown emotion 'hapy'.*happy"),
        (lambda row: row | {"emotion": "anger"}, TrainingError, "fewer than 2 emotions"),
        (lambda row: row | {"emotion": ""}, TrainingError, "no labelled utterance"),
        (lambda row: row | {"speaker": "one"}, SplitError, "speaker"),
        (lambda row: row | {"split": "dev" if row["path"].endswith("2.wav") else "train"}, SplitError, "shared"),
        (lambda row: row | {"path": "audio/s0-anger-0.wav"}, ManifestError, "again, first in line 2"),
        (lambda row: row | ({"path": "audio/no.wav"} if "s3-anger-1" in row["path"] else {}), BimodalError, r"no\.wav"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_said(tiny_manifest, cache, tmp_path, change, kind, sentence):
    with pytest.raises(kind, match=f"(?s){sentence}"):
        train(copied(tiny_manifest, tmp_path / "c", change), tmp_path / "run", CONFIG, cache)


def test_a_recording_in_two_parts_is_refused_unless_the_split_is_official(tiny_manifest, cache, tmp_path):
    manifest = copied(tiny_manifest, tmp_path / "c")
    audio = manifest.parent / "audio"
    shutil.copy(audio / "s3-anger-1.wav", audio / "s0-anger-0.wav")
    told = "share 1 recording, such as 'audio/s0-anger-0.wav', which is 'audio/s3-anger-1.wav': a model would be tested"
    with pytest.raises(SplitError, match=told):
        train(manifest, tmp_path / "run", CONFIG, cache)
    assert not (tmp_path / "run").exists()
    model = train(manifest, tmp_path / "run", replace(CONFIG, official_split="Tiny"), cache, stages=("text",))
    card = (model / "README.md").read_text()
    assert re.search("recordings in (train|dev) and test: 1 shared, .* accepted as the official split 'Tiny'", card)


def test_a_second_training_without_a_licence_keeps_the_cards(tiny_manifest, cache, tmp_path):
    config = replace(CONFIG, licence="CC-BY-4.0", trained_on="Our calls")
    first = train(tiny_manifest, tmp_path / "run", config, cache, stages=("text",))
    before = {file.name: file.read_bytes() for file in first.iterdir()}
    train(tiny_manifest, tmp_path / "run", CONFIG, cache, stages=("text",))
    assert {file.name: file.read_bytes() for file in first.iterdir()} == before
    assert "CC-BY-4.0" in before["README.md"].decode() and "Our calls" in before["README.md"].decode()
    train(tiny_manifest, tmp_path / "run", replace(CONFIG, licence="CC0"), cache, stages=("text",))
    assert (load_model_config(first).licence, load_model_config(first).trained_on) == ("CC0", "Our calls")


def test_missing_words_are_said_where_words_are_needed(tiny_manifest, cache, tmp_path):
    silent = copied(tiny_manifest, tmp_path / "c", lambda row: row | {"transcript": ""})
    with pytest.raises(TrainingError, match="transcripts for text"):
        train(silent, tmp_path / "run", CONFIG, cache, stages=("text",))


@pytest.mark.parametrize("content", [b"", b"RIFF", b"this is no audio at all" * 40])
def test_a_bad_recording_is_named_and_the_rest_is_kept(tiny_manifest, tmp_path, content):
    manifest = copied(tiny_manifest, tmp_path / "c")
    (manifest.parent / "audio" / "s5-sadness-2.wav").write_bytes(content)
    with pytest.raises(AudioError, match=r"s5-sadness-2\.wav"):
        train(manifest, tmp_path / "run", CONFIG, tmp_path / "cache", stages=("speech",))
    assert list((tmp_path / "cache").glob("*.safetensors"))


def test_rows_of_several_emotions_train_as_soft_targets_and_the_card_counts_them(tiny_manifest, cache, tmp_path):
    def soften(row):
        chosen = row["path"].endswith("anger-0.wav")
        return row | {"emotion": "anger|sad" if chosen else row["emotion"]}

    manifest = copied(tiny_manifest, tmp_path / "c", soften)
    model = train(manifest, tmp_path / "run", CONFIG, cache)
    report = read_json(model / "report.json", TrainReport)
    assert (report.soft_rows, report.counts["anger"], report.counts["sadness"]) == (4, 4 * 2.5, 4 * 3.5)
    assert f"{report.soft_rows} of them have several emotions" in (model / "README.md").read_text()
    assert sum(load_model_config(model).priors) == pytest.approx(1)
    found, notes = predict_model(Recognizer(model, threads=1), read_manifest(manifest))
    assert len(found.ids) == 8 and "1 rows left out: several emotions" in notes
    dropped = train(manifest, tmp_path / "hard", replace(CONFIG, multiple_labels="drop"), cache, stages=("text",))
    assert read_json(dropped / "report.json", TrainReport).dropped == {"several emotions": 6}


def test_a_map_of_ones_own_travels_with_the_model(tiny_manifest, cache, tmp_path):
    entries = '[map]\nanger="tense"\nhappiness="good"\nsadness="tense"\n'
    (tmp_path / "own.toml").write_text(f'name="own"\nversion=1\nemotions=["good", "tense"]\n{entries}')
    config = replace(CONFIG, vocabulary=str(tmp_path / "own.toml"))
    model = train(tiny_manifest, tmp_path / "run", config, cache, stages=("text",))
    (tmp_path / "own.toml").unlink()
    found, _ = predict_model(Recognizer(model, threads=1), read_manifest(tiny_manifest))
    assert found.emotions == ("good", "tense") and len(found.ids) == 9


def one_sided(row):
    """Rows of odd speakers keep their speech, the others their words; speaker 0 and 1 are for testing."""
    number = int(row["speaker"][1:])
    lacking = {"transcript": ""} if number % 2 else {"path": ""}
    return row | lacking | {"split": "test" if number < 2 else ""}


def test_pairing_by_label_is_said_in_card_and_report_and_no_pair_is_counted(tiny_manifest, cache, tmp_path):
    manifest = copied(tiny_manifest, tmp_path / "c", one_sided)
    with pytest.raises(TrainingError, match=r"no training utterance has both.*fusion\.pairing=label_matched"):
        train(manifest, tmp_path / "given", CONFIG, cache)
    config = replace(CONFIG, fusion=replace(CONFIG.fusion, pairing="label_matched"), split_by="utterance")
    model = train(manifest, tmp_path / "run", config, cache)
    assert load_model_config(model).pairing == "label_matched"
    assert "by construction" in (model / "README.md").read_text()
    report = read_json(model / "report.json", TrainReport)
    assert "by construction" in report.remarks[0] and set(report.dev_uar) == {"speech", "text"}
    recognizer = Recognizer(model, threads=1)
    found, notes = predict_model(recognizer, read_manifest(manifest))
    assert found.systems == ("speech", "text") and any("by construction" in note for note in notes)
    whole, _ = predict_model(recognizer, read_manifest(tiny_manifest))
    assert whole.systems == ("speech", "text", "late", "fused")


def test_rows_that_say_they_are_paired_by_label_are_left_out_of_every_figure(tiny_model, tiny_manifest, tmp_path):
    rows = tiny_manifest.read_text().splitlines()
    marks = ["pairing"] + ["label_matched" if "-anger-" in row else "" for row in rows[1:]]
    shutil.copytree(tiny_manifest.parent, tmp_path / "c")
    marked = tmp_path / "c" / "manifest.csv"
    marked.write_text("\n".join(f"{row},{mark}" for row, mark in zip(rows, marks, strict=True)))
    found, notes = predict_model(Recognizer(tiny_model, threads=1), read_manifest(marked))
    assert len(found.ids) == 6 and "3 rows left out: their speech and text were paired by label" in notes
    marked.write_text("\n".join(f"{row},{'label_matched' if number else 'pairing'}" for number, row in enumerate(rows)))
    with pytest.raises(BimodalError, match="all 9 test rows have speech and text paired by label"):
        predict_model(Recognizer(tiny_model, threads=1), read_manifest(marked))


def test_words_of_another_language_are_warned_of_once(tiny_manifest, cache, tmp_path, caplog):
    rows = [row | {"lang": "ko-KR" if row["speaker"] == "s1" else "en"} for row in csv.DictReader(tiny_manifest.open())]
    with (tmp_path / "words.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["transcript", "emotion", "speaker", "lang"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    model = train(tmp_path / "words.csv", tmp_path / "run", CONFIG, cache, stages=("text",))
    told = [record.message for record in caplog.records if "backbone" in record.message]
    assert len(told) == 1 and told[0].startswith(
        "9 of 54 transcripts are in ko, but the text backbone 'minilm-l6' reads en"
    )
    assert Recognizer(model, threads=1).recognize(transcript="왜 그래?").emotion is not None
    assert [record.message for record in caplog.records if "backbone" in record.message] == told


def test_one_speaker_may_be_trained_on_by_utterance_and_the_fusion_says_what_it_needs(tiny_manifest, cache, tmp_path):
    one = copied(tiny_manifest, tmp_path / "c", lambda row: row | {"speaker": "ann", "split": ""})
    with pytest.raises(SplitError, match=r"there is one speaker \('ann'\).*split_by=utterance"):
        train(one, tmp_path / "run", CONFIG, cache)
    assert load_model_config(train(one, tmp_path / "run", replace(CONFIG, split_by="utterance"), cache)).speech
    two = copied(tiny_manifest, tmp_path / "d", lambda row: row | {"speaker": row["split"], "split": ""})
    with pytest.raises(SplitError, match=r"only '(train|test)' is left to train on; give recordings of more speakers"):
        train(two, tmp_path / "two", CONFIG, cache)


def test_a_closed_fusion_trains_nothing_and_takes_what_it_needs_from_the_stages(tiny_manifest, cache, tmp_path):
    config = replace(CONFIG, fusion=replace(CONFIG.fusion, kind="plain_words"))
    model = train(tiny_manifest, tmp_path / "run", config, cache)
    packed, report = load_model_config(model), read_json(model / "report.json", TrainReport)
    assert packed.fusion_temperatures == (1.0, 1.0, 1.0) and report.parameters["fusion"] == 0
    weights = load_file(model / "weights.safetensors")
    found = [round(one, 5) for one in weights["fusion.temperatures"].tolist()]
    assert found == [round(packed.speech.temperature, 5), round(packed.text.temperature, 5)]
    known = [name for name, one in zip(packed.emotions, weights["fusion.neutral"].tolist(), strict=True) if one]
    assert known == [name for name in packed.emotions if name == "neutral"]
