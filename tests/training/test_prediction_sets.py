"""Training writes the table of prediction sets, and every way to recognise uses it."""

import csv
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bimodal.config import TrainConfig, read_config
from bimodal.data.dimensions import expected_position
from bimodal.data.manifest import read_manifest
from bimodal.errors import BimodalError, ModelFolderError, SplitError
from bimodal.evaluation.calibrate import calibrate_model, with_section
from bimodal.evaluation.predict import predict_model
from bimodal.evaluation.report import evaluate
from bimodal.evaluation.rows import rows_to_calibrate
from bimodal.inference.model_folder import CARD, PREDICTION_SETS, load_model_config, save_model_config
from bimodal.inference.prediction_sets import choose_set, load_prediction_sets
from bimodal.inference.recognizer import Recognizer
from bimodal.inference.seen_rows import load_seen_rows
from bimodal.inference.stream import TimelineConfig
from bimodal.inference.summary import summarise
from bimodal.records import Clip, Manifest, Utterance
from bimodal.training.prediction_sets import draw_labels
from bimodal.training.train import train
from tests.conftest import FAST, write_tiny_corpus


@pytest.fixture(scope="module")
def without(tiny_model, tmp_path_factory):
    """A folder as an older version wrote it."""
    folder = tmp_path_factory.mktemp("old") / "model"
    shutil.copytree(tiny_model, folder)
    (folder / PREDICTION_SETS).unlink()
    config = load_model_config(tiny_model)
    save_model_config(folder, replace(config, files={}))
    return folder


def clips(manifest):
    read = read_manifest(manifest)
    return [Clip(audio=read.folder / row.path, transcript=row.transcript) for row in read.utterances[:6]]


def test_training_writes_a_table_of_each_kind_of_input(tiny_model):
    table = load_prediction_sets(tiny_model / PREDICTION_SETS)
    assert set(table.kinds) == {"both", "speech", "text"} and not any(one.matched for one in table.kinds.values())
    assert table.kinds["speech"].unit == "speakers" and table.kinds["text"].unit == "texts"
    assert PREDICTION_SETS in load_model_config(tiny_model).files
    assert "Speech and words: " in (tiny_model / CARD).read_text()


def test_pairs_matched_by_label_calibrate_what_never_came_together(tiny_manifest, tmp_path):
    def apart(row):
        number = int(row["path"].split("-")[-1][0])
        return row | ({"path": ""} if number == 0 else {"transcript": ""} if number == 1 else {"split": "unused"})

    with tiny_manifest.open(newline="") as stream:
        rows = [apart(row) for row in csv.DictReader(stream)]
    shutil.copytree(tiny_manifest.parent, tmp_path / "data")
    with (tmp_path / "data" / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(row for row in rows if row["split"] != "unused")
    config = read_config(TrainConfig(), settings=[
        *FAST, "fusion.n_folds=2", "threads=1", "fusion.pairing=label_matched", "fusion.kind=plain_words",
    ])  # fmt: skip
    model = train(tmp_path / "data" / "manifest.csv", tmp_path / "run", config, tmp_path / "cache")
    table = load_prediction_sets(model / PREDICTION_SETS)
    assert table.kinds["both"].matched and not table.kinds["speech"].matched
    # nothing of this fusion is trained, so that every speaker who is not a test speaker counts
    assert table.kinds["both"].marginal.clusters == table.kinds["speech"].marginal.clusters == 5
    assert "The pairs were matched by label." in (model / CARD).read_text()


def test_python_gives_sets_with_single_calls_and_batches(tiny_model, tiny_manifest):
    recognizer = Recognizer(tiny_model)
    plain, found = (recognizer.recognize_batch(clips(tiny_manifest), coverage=one) for one in (None, 0.5))
    for one, other in zip(plain, found, strict=True):
        assert one.prediction_set is None and replace(other, prediction_set=None) == one
        assert other.prediction_set.emotions[0] == other.emotion
    single = recognizer.recognize(clips(tiny_manifest)[0].audio, coverage=0.5, coverage_by="marginal")
    assert single.prediction_set.by == "marginal"


def test_a_table_of_few_speakers_says_so(tiny_model, tiny_manifest):
    (found,) = Recognizer(tiny_model).recognize_batch(clips(tiny_manifest)[:1], coverage=0.99)
    assert "supports a coverage of at most" in found.prediction_set.note and len(found.prediction_set.emotions) == 3


def test_an_older_folder_loads_and_refuses_sets_in_one_sentence(without, tiny_manifest):
    recognizer = Recognizer(without)
    assert recognizer.recognize_batch(clips(tiny_manifest)[:1])[0].prediction_set is None
    with pytest.raises(ModelFolderError, match="'tiny' was not calibrated for prediction sets"):
        recognizer.recognize_batch(clips(tiny_manifest)[:1], coverage=0.9)
    assert not predict_model(recognizer, read_manifest(tiny_manifest))[0].sets


@pytest.mark.parametrize("value", [0, 1, float("nan"), "a"])
def test_python_refuses_what_is_no_coverage(tiny_model, value):
    with pytest.raises(BimodalError, match="expected a number above 0 and below 1"):
        Recognizer(tiny_model).recognize_batch([Clip(transcript="Hello.")], coverage=value)


def test_a_stream_gives_sets_of_the_scores_that_it_tells(tiny_model, tiny_manifest):
    recognizer = Recognizer(tiny_model)
    rng = np.random.default_rng(0)
    signal = (0.2 * np.sin(np.arange(64_000) * 0.05) + 0.02 * rng.normal(size=64_000)).astype(np.float32)
    stream = recognizer.stream(16_000, config=TimelineConfig(coverage=0.5, smoothing=3.0))
    results = [*stream.push(signal), *stream.finish()]
    table = recognizer.model.prediction_sets
    for one in results:
        assert one == choose_set(replace(one, prediction_set=None), table, 0.5)


def test_arousal_and_valence_are_those_of_the_scores(tiny_model, tiny_manifest):
    recognizer = Recognizer(tiny_model)
    for one in recognizer.recognize_batch(clips(tiny_manifest)):
        if not one.abstained:
            assert (one.arousal, one.valence) == expected_position(one.scores)
    silent = recognizer.recognize(np.zeros(16_000, np.float32), sampling_rate=16_000)
    assert silent.abstained and silent.arousal is None and silent.valence is None
    rng = np.random.default_rng(0)
    signal = (0.2 * np.sin(np.arange(64_000) * 0.05) + 0.02 * rng.normal(size=64_000)).astype(np.float32)
    stream = recognizer.stream(16_000, config=TimelineConfig(smoothing=3.0))
    results = [*stream.push(signal), *stream.finish()]
    spoken = [one for one in results if not one.abstained]
    assert all((one.arousal, one.valence) == expected_position(one.scores) for one in spoken)
    summary = summarise(results)
    assert (summary.arousal, summary.valence) == (expected_position(summary.scores) or (None, None))


def test_an_evaluation_tells_coverage_and_size(tiny_model, tiny_manifest):
    predictions, _ = predict_model(Recognizer(tiny_model), read_manifest(tiny_manifest))
    report = evaluate(predictions, replicates=10)
    sets = {one.system: one.sets for one in report.systems}
    assert sets["late"] is None
    for system in ("speech", "text", "fused"):
        chosen, truth = predictions.sets[system], predictions.targets
        assert sets[system].coverage == chosen[np.arange(len(truth)), truth].mean()
        assert sets[system].mean_size == chosen.sum(axis=1).mean() and sets[system].asked == 0.9
    assert any("prediction sets" in note for note in report.notes)


def test_calibrate_gives_a_folder_the_table_of_its_rows(without, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(without, folder)
    manifest = write_tiny_corpus(tmp_path / "new", speakers=12)
    text = re.sub(r",s(\d+)", r",new-s\1", manifest.read_text().replace("audio/s", "audio/new-s"))
    manifest.write_text(text.replace(",test", ",train"))
    rng = np.random.default_rng(1)
    for file in sorted((manifest.parent / "audio").iterdir()):
        signal, rate = soundfile.read(file)
        noisy = (signal + 0.01 * rng.normal(size=len(signal))).astype(np.float32)
        soundfile.write(file.with_name(f"new-{file.name}"), noisy, rate, subtype="FLOAT")
    before, seen = load_model_config(folder), load_seen_rows(folder)
    table = calibrate_model(folder, manifest)
    after = load_model_config(folder)
    assert table == load_prediction_sets(folder / PREDICTION_SETS)
    assert {kind: one.marginal.clusters for kind, one in table.kinds.items()} == {"both": 12, "speech": 12, "text": 9}
    assert set(table.kinds["speech"].emotions) == set(after.emotions)  # 12 speakers, 36 rows of each
    assert before.revision != after.revision
    assert len(load_seen_rows(folder).recordings) == len(seen.recordings) + 108
    assert (folder / CARD).read_text().count("## Prediction sets") == 1
    with pytest.raises(BimodalError, match="the model was trained or calibrated on"):
        calibrate_model(folder, manifest)
    recognizer = Recognizer(folder)
    read = read_manifest(manifest)
    results = recognizer.recognize_batch(
        [Clip(audio=read.folder / row.path, transcript=row.transcript) for row in read.utterances], coverage=0.9
    )
    hits = [row.emotion in one.prediction_set.emotions for row, one in zip(read.utterances, results, strict=True)]
    assert np.mean(hits) >= 0.9


@pytest.mark.parametrize(
    ("splits", "asked", "used"),
    [
        (("train", "dev", "test"), "", ("dev",)),
        (("train", "dev", "test"), "test", ("test",)),
        (("train", "test"), "", ("train",)),
        ((None, None), "", (None, None)),
    ],
)
def test_no_test_row_calibrates_a_model_unless_it_is_named(splits, asked, used):
    rows = [Utterance(id=str(number), transcript="yes", split=split) for number, split in enumerate(splits)]
    manifest = Manifest(path=Path("m.csv"), utterances=tuple(rows), columns=())
    assert tuple(row.split for row in rows_to_calibrate(manifest, asked)) == used


def test_a_manifest_of_test_rows_alone_calibrates_nothing():
    rows = [Utterance(id="a", transcript="yes", split="test")]
    with pytest.raises(SplitError, match="all rows are in the split 'test'"):
        rows_to_calibrate(Manifest(path=Path("m.csv"), utterances=tuple(rows), columns=()), "")


def test_rows_that_trained_the_model_calibrate_nothing(tiny_model, tiny_manifest, tmp_path):
    shutil.copytree(tiny_model, tmp_path / "model")
    with pytest.raises(BimodalError, match="the model was trained or calibrated on"):
        calibrate_model(tmp_path / "model", tiny_manifest, split="train")


def test_a_card_says_it_once():
    card = with_section(with_section("# a\n\n## Limits\nfew\n", ["one"]), ["two"])
    assert card.count("## Prediction sets") == 1 and "- two" in card and "- one" not in card
    assert "## Limits\nfew" in card


def test_one_label_of_several_is_drawn_by_its_share():
    soft = np.tile(np.array([[0.25, 0.0, 0.75]], np.float32), (4000, 1))
    drawn = draw_labels(soft, 0)
    assert np.bincount(drawn, minlength=3)[1] == 0 and np.mean(drawn == 2) == pytest.approx(0.75, abs=0.03)
    assert draw_labels(np.array([1, 2]), 0).tolist() == [1, 2]
