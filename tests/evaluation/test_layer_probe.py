"""A linear probe of each layer: on unseen speakers, without the test split, with a choice that no test row makes."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from bimodal.data.splits import Fold
from bimodal.errors import BimodalError
from bimodal.evaluation import layer_probe
from bimodal.evaluation.layer_probe import (
    ProbeOptions,
    _answers,
    _picked,
    _summarise,
    _Task,
    describe_probe,
    next_layers,
    probe_layers,
    probe_markdown,
)
from bimodal.features.backbone import load_backbone

OPTIONS = ProbeOptions(folds=5, vocabulary="native", threads=1)


@pytest.fixture(scope="module")
def probe(tiny_manifest):
    return probe_layers(tiny_manifest, "whisper-base-4", OPTIONS)


def made_up(informative: int, speakers: int = 4, seed: int = 0):
    """Features (N, 3, 8) of which one layer tells two emotions apart, and the task."""
    rng = np.random.default_rng(seed)
    targets = np.tile([0, 1], speakers * 10)
    names = np.repeat([f"s{number}" for number in range(speakers)], 20)
    features = rng.normal(size=(len(targets), 3, 8))
    features[:, informative, 0] += 6 * targets
    folds = tuple(
        Fold(
            name=name,
            train=tuple(np.flatnonzero(names != name).tolist()),
            test=tuple(np.flatnonzero(names == name).tolist()),
        )
        for name in sorted(set(names))
    )
    return features, _Task(targets=targets, emotions=2, speakers=tuple(names), folds=folds, seed=0)


def summary(features, task):
    description = replace(load_backbone("whisper-base-4", threads=1).description, layers=(2, 3, 4))
    answers = [_answers(features[:, layer], task) for layer in range(3)]
    return _summarise(answers, task, description, ("anger", "joy"), ()), answers


@pytest.mark.parametrize("informative", [0, 2])
def test_the_layer_that_knows_the_emotion_is_found(informative):
    found, _ = summary(*made_up(informative))
    assert found.best == 2 + informative and set(found.chosen_layers) == {found.best}
    recalls = [one.uar.value for one in found.layers]
    assert recalls[informative] > 0.95 and max(recalls[:informative] + recalls[informative + 1 :]) < 0.7
    assert found.chosen.value == found.layers[informative].uar.value
    assert found.layers[informative].to_best.value == 0 and all(
        one.to_best.high < 0 for one in found.layers if one.layer != found.best
    )


def test_no_answer_to_a_held_out_speaker_depends_on_their_labels():
    features, task = made_up(1)
    rows = list(task.folds[0].test)
    flipped = replace(task, targets=task.targets.copy())
    flipped.targets[rows] = 1 - flipped.targets[rows]
    before, after = (_answers(features[:, 1], one) for one in (task, flipped))
    assert np.array_equal(before.predicted[rows], after.predicted[rows])
    assert before.inner[0] == after.inner[0]  # so neither penalty nor layer of this fold depends on them


def test_with_two_speakers_no_layer_can_be_chosen_inside():
    found, answers = summary(*made_up(1, speakers=2))
    assert _picked(answers) == [] and found.chosen is None and found.best == 3
    assert "chosen by inner folds" not in describe_probe(found)


def test_rows_of_the_test_split_are_left_out(probe):
    assert (probe.rows, probe.speakers, probe.folds) == (45, 5, 5)
    assert [one.layer for one in probe.layers] == [2, 3, 4]
    assert "9 rows of the split 'test' are left out." in probe.notes
    assert all(one.uar.low <= one.uar.value <= one.uar.high for one in probe.layers)
    assert probe.layers[probe.best - 2].uar.value > 0.9  # pitch tells the emotions of the tiny corpus apart


def test_each_recording_is_encoded_once(tiny_manifest, tmp_path, monkeypatch):
    from bimodal.features.backbone import SpeechBackbone

    encoded, extract = [], SpeechBackbone.extract
    monkeypatch.setattr(SpeechBackbone, "extract", lambda self, signal: encoded.append(1) or extract(self, signal))
    first = probe_layers(tiny_manifest, "whisper-base-4", OPTIONS, tmp_path)
    assert len(encoded) == 45
    assert probe_layers(tiny_manifest, "whisper-base-4", OPTIONS, tmp_path) == first and len(encoded) == 45


def test_words_are_probed_with_a_warning_where_speakers_share_them(tiny_manifest):
    found = probe_layers(tiny_manifest, "minilm-l6", OPTIONS)
    assert [one.layer for one in found.layers] == [4, 5, 6]
    assert "45 of 45 texts of held-out speakers are in training, too: figures are unsure." in found.notes


def test_the_table_is_told_as_text_and_markdown(probe):
    told, page = describe_probe(probe), probe_markdown(probe, "probe.png")
    assert f"{probe.best} (best)" in told and "chance is 33.3 %" in told and "chosen by inner folds" in told
    assert "| layer | UAR % |" in page and "(probe.png)" in page and probe.digest in page
    assert max(map(len, told.splitlines()[:5])) <= 80


@pytest.mark.parametrize(("best", "layers"), [(2, "2-3"), (3, "2-4"), (4, "3-4")])
def test_the_next_backbone_has_the_best_layer_and_its_neighbours(probe, best, layers):
    assert next_layers(replace(probe, best=best)) == layers


def test_neighbours_that_were_not_probed_are_not_named(probe):
    kept = tuple(replace(one, layer=number) for one, number in zip(probe.layers, (1, 6, 12), strict=True))
    assert next_layers(replace(probe, layers=kept, best=6)) == "1,6,12"


def write(path, rows):
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([["transcript", "emotion", "speaker", "split"], *rows])
    return path


@pytest.mark.parametrize(
    ("rows", "backbone", "complaint"),
    [
        ([["a", "anger", "x", ""], ["b", "joy", "y", ""]], "whisper-base-4", "no row with a recording outside"),
        ([["a", "anger", "x", "test"], ["b", "joy", "y", "test"]], "minilm-l6", "no row with words outside"),
        ([["a", "anger", "x", ""], ["b", "anger", "y", ""]], "minilm-l6", r"1 emotions \(anger\)"),
        ([["a", "anger", "x", ""], ["b", "joy", "x", ""]], "minilm-l6", "there is one speaker"),
        ([["a", "anger", "", ""], ["b", "joy", "x", ""]], "minilm-l6", "speaker"),
    ],
)
def test_what_cannot_be_probed_is_refused(tmp_path, rows, backbone, complaint):
    with pytest.raises(BimodalError, match=complaint):
        probe_layers(write(tmp_path / "manifest.csv", rows), backbone, OPTIONS)


def test_one_emotion_of_a_vocabulary_is_refused(tmp_path):
    file = write(tmp_path / "manifest.csv", [["a", "anger", "x", ""], ["b", "anger", "y", ""]])
    with pytest.raises(BimodalError, match=r"one emotion \(anger\); a probe needs two or more"):
        probe_layers(file, "minilm-l6", replace(OPTIONS, vocabulary="ekman7"))


def test_without_scikit_learn_it_says_what_to_install(tiny_manifest, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.linear_model", None)
    with pytest.raises(BimodalError, match=r"pip install 'bimodal-emotion\[baselines\]'"):
        layer_probe.probe_layers(tiny_manifest, "whisper-base-4", OPTIONS)
