"""Figures in tables and bars are those of the report; libraries agree."""

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score

from bimodal.evaluation.html.blocks import LeftOut
from bimodal.evaluation.html.tables import (
    conflict_tables,
    confusion_section,
    main_table,
    recall_intervals,
    recall_section,
)


def test_chance_and_majority_stand_beside_the_systems_as_scikit_learn_has_them(scored, material):
    predictions = scored(rows=300)
    table = main_table(material(predictions)).blocks[0]
    assert list(table.header) == ["metric", "fused", "speech", "text", "late", "chance", "majority"]
    assert table.marked == 1
    cells = {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}
    truth = predictions.targets
    majority = DummyClassifier(strategy="most_frequent").fit(truth[:, None], truth).predict(truth[:, None])
    assert cells["UAR %"][4:] == ["33.3", f"{100 * balanced_accuracy_score(truth, majority):.1f}"]
    assert cells["macro F1 %"][5] == f"{100 * f1_score(truth, majority, average='macro', zero_division=0):.1f}"
    assert cells["ECE %"][4:] == ["-", "-"]


def test_a_confusion_matrix_has_recalls_on_its_diagonal(scored, material):
    predictions = scored()
    heat = confusion_section(material(predictions)).blocks[0]
    recalls = recall_score(predictions.targets, predictions.scores["speech"].argmax(axis=1), average=None)
    assert [row[place].text for place, row in enumerate(heat.rows)] == [f"{100 * value:.0f}" for value in recalls]
    assert all(row[place].right for place, row in enumerate(heat.rows))


def test_intervals_of_recalls_hold_them_and_are_absent_for_one_speaker(scored, material):
    found = material(scored())
    low, high = recall_intervals(found, "speech")
    values = np.array(list(next(one for one in found.report.systems if one.system == "speech").recalls.values()))
    assert (low <= values).all()
    assert (values <= high).all()
    assert np.isnan(recall_intervals(material(scored(speakers=1)), "speech")).all()


def test_many_emotions_have_no_bars(scored, material):
    assert isinstance(recall_section(material(scored(rows=100, emotions=[str(one) for one in range(41)]))), LeftOut)


def test_conflicts_are_counted_and_the_surest_come_first(scored, material):
    predictions = scored()
    tables, order = conflict_tables(material(predictions))
    answers = {name: predictions.scores[name].argmax(axis=1) for name in ("speech", "text", "fused")}
    differ = answers["speech"] != answers["text"]
    assert tables[0].rows[1][1].text == str(differ.sum())
    right = (answers["fused"] == predictions.targets)[differ].mean()
    assert tables[0].rows[1][4].text == f"{100 * right:.1f}"
    assert set(order.tolist()) == set(np.flatnonzero(differ).tolist())
    sure = predictions.scores["speech"].max(axis=1) + predictions.scores["text"].max(axis=1)
    assert (np.diff(sure[order]) <= 1e-12).all()
    assert sum(int(row[1].text) for row in tables[1].rows) == differ.sum()


def test_one_modality_has_no_conflicts(scored, material):
    found = conflict_tables(material(scored(signals={"speech": 1.0})))
    assert isinstance(found, LeftOut)
