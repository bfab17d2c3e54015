"""Every direction, the diagonal by own speakers, all but one; finished cells are not trained again."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

import bimodal.evaluation.cross_corpus as cross
from bimodal.errors import SplitError
from bimodal.evaluation.corpora import read_corpora
from bimodal.evaluation.cross_corpus import evaluate_corpora, mean_across, plan_cells
from bimodal.evaluation.leaderboard import (
    as_csv,
    as_latex,
    as_markdown,
    describe_cross_corpus,
    leaderboard,
    write_cross_corpus,
)
from bimodal.evaluation.markdown import escaped
from bimodal.evaluation.metrics import METRICS
from bimodal.evaluation.predictions import read_predictions
from tests.evaluation.folded import QUICK, write_columns

NAMES = ("one", "two", "three")


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpora")
    speakers = dict(zip(NAMES, (6, 4, 5), strict=True))
    paths = [write_columns(folder / name / "m.csv", speakers=count, name=name) for name, count in speakers.items()]
    return read_corpora(paths, QUICK)


@pytest.fixture(scope="module")
def cells(corpora):
    return plan_cells(corpora, QUICK, inner=2)


@pytest.fixture(scope="module")
def found(corpora, cells, tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    return (*evaluate_corpora(corpora, cells, QUICK, None, store=store), store)


def test_the_cells_are_all_directions_the_diagonal_and_all_but_one(cells):
    pairs = [(cell.train, cell.test) for cell in cells]
    assert pairs[:9] == [(train, test) for train in NAMES for test in NAMES]
    assert pairs[9:] == [(f"all but {name}", name) for name in NAMES]
    assert [cell.kind for cell in cells].count("within") == 3


def test_no_test_row_trains_and_every_row_of_the_test_corpus_is_tested(corpora, cells):
    for cell in cells:
        assert sorted(row for fold in cell.folds for row in fold.test) == list(corpora.places[cell.test])
        for fold in cell.folds:
            used = {*fold.train, *(fold.dev or ())}
            speakers = {corpora.rows.utterances[row].speaker for row in used}
            assert fold.dev and not used & set(fold.test)
            assert not speakers & {corpora.rows.utterances[row].speaker for row in fold.test}
            if cell.kind != "within":
                assert not used & set(corpora.places[cell.test])


def test_two_corpora_have_no_all_but_one(corpora):
    two = replace(corpora, names=corpora.names[:2])
    assert len(plan_cells(two, QUICK, inner=2)) == 4


def test_systems_have_intervals_and_the_mean_is_over_other_corpora(found):
    result, predictions, _ = found
    for cell, one in zip(result.cells, predictions, strict=True):
        (system,) = cell.report.systems
        uar = system.metrics["uar"]
        assert system.system == "speech" and uar.low <= uar.value <= uar.high and system.rows == len(one.ids)
    across = [cell.report.systems[0].metrics["uar"].value for cell in result.cells if cell.kind == "across"]
    assert mean_across(result.cells)["speech"] == pytest.approx(np.mean(across)) and len(across) == 6


def test_finished_cells_are_not_trained_again(corpora, cells, found, monkeypatch):
    result, predictions, store = found
    trained = []
    monkeypatch.setattr(cross, "train_fold", lambda *given: trained.append(given))
    again, same = evaluate_corpora(corpora, cells, QUICK, None, store=store)
    assert again == result and not trained
    for one, other in zip(predictions, same, strict=True):
        assert one.ids == other.ids and np.array_equal(one.scores["speech"], other.scores["speech"])


def test_a_lost_cell_alone_comes_back_the_same(corpora, cells, found):
    result, _, store = found
    sorted(store.glob("*.safetensors"))[0].unlink()
    assert evaluate_corpora(corpora, cells, QUICK, None, store=store)[0] == result


def test_what_trains_on_the_same_rows_is_trained_once(corpora, cells, monkeypatch):
    seen = []
    known = cross.train_fold
    monkeypatch.setattr(cross, "train_fold", lambda *given: seen.append(given) or known(*given))
    evaluate_corpora(corpora, cells, QUICK, None)
    assert len(seen) == 3 + 3 + 3 * 2  # one a corpus, one all but each, two inner folds a corpus


def test_the_leaderboard_is_the_same_in_all_forms(found, tmp_path):
    result, predictions, _ = found
    table = leaderboard(result)
    assert table[0] == ["train", "test", "utterances", "speech UAR %"] and len(table) == 1 + 12 + 1
    assert table[1][:2] == ["one", "one (unseen speakers)"] and table[-1][:2] == ["mean", "another corpus"]
    write_cross_corpus(tmp_path, result, predictions)
    shown = describe_cross_corpus(result)
    for row in table[1:]:
        assert f"| {' | '.join(map(escaped, row))} |" in as_markdown(result)
        assert " & ".join(row) + r" \\" in as_latex(result)
        assert all(cell in shown for cell in row)
    lines = list(csv.DictReader(as_csv(result).splitlines()))
    assert len(lines) == 12 and set(METRICS) < set(lines[0])
    for line, cell in zip(lines, result.cells, strict=True):
        assert float(line["uar"]) == cell.report.systems[0].metrics["uar"].value
        assert float(line["uar_low"]) <= float(line["uar"]) <= float(line["uar_high"])
    stored = json.loads((tmp_path / "cross_corpus.json").read_text())
    assert [cell["test"] for cell in stored["cells"]] == [cell.test for cell in result.cells]
    assert read_predictions(tmp_path / "predictions" / "all but two to two.csv").ids == predictions[10].ids


def test_a_caveat_stands_first(found):
    result, *_ = found
    told = replace(result, caveat="WARNING: shared.")
    assert describe_cross_corpus(told).startswith("WARNING: shared.")
    assert as_markdown(told).startswith("**WARNING: shared.**")


def test_a_corpus_of_one_speaker_is_a_sentence_that_names_it(tmp_path):
    paths = [
        write_columns(tmp_path / "many" / "m.csv"),
        write_columns(tmp_path / "lone" / "m.csv", speakers=1, name="x"),
    ]
    with pytest.raises(SplitError, match=r"there is one speaker \('lone/x0'\)"):
        plan_cells(read_corpora(paths, QUICK), QUICK)


def test_a_corpus_without_words_trains_speech_alone(tmp_path):
    paths = [
        write_columns(tmp_path / "quiet" / "m.csv", speakers=4, name="q"),
        write_columns(tmp_path / "wordy" / "m.csv", speakers=4, name="w", words=True),
    ]
    found = read_corpora(paths, QUICK)
    chosen = plan_cells(found, QUICK, inner=2)[1:3]
    result, _ = evaluate_corpora(found, chosen, QUICK, None)
    systems = [[system.system for system in cell.report.systems] for cell in result.cells]
    assert systems == [["speech"], ["speech"]]  # trained without words; tested without words
