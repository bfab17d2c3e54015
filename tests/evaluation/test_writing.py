import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from bimodal.errors import BimodalError
from bimodal.evaluation.describe import describe
from bimodal.evaluation.html.material import ReportSources
from bimodal.evaluation.predictions import read_predictions
from bimodal.evaluation.report import evaluate
from bimodal.evaluation.writing import read_report, write_report


def test_a_report_reads_back_as_it_was_written_and_follows_from_the_written_predictions(tmp_path, by_hand):
    report = evaluate(by_hand, replicates=100, title="Übung")
    write_report(tmp_path / "new" / "folder", report, by_hand, plots=False)
    assert read_report(tmp_path / "new" / "folder" / "report.json") == report
    again = read_predictions(tmp_path / "new" / "folder" / "predictions.csv")
    assert evaluate(again, replicates=100, title="Übung") == report


def test_the_json_holds_null_and_no_nan(tmp_path, by_hand):
    predictions = replace(by_hand, clusters=("Ann",) * 6, targets=np.array([0, 0, 1, 1, 1, 1]))
    write_report(tmp_path, evaluate(predictions, replicates=100), predictions, plots=False)

    def refuse(constant):
        raise AssertionError(constant)

    found = json.loads((tmp_path / "report.json").read_text(), parse_constant=refuse)
    assert found["schema"] == 2
    assert found["systems"][0]["recalls"] == {"anger": 0.5, "fear": 1 / 3, "joy": None}
    assert found["systems"][0]["uar"]["low"] is None
    assert set(found["systems"][0]) == {
        "system", "rows", "clusters", "uar", "accuracy", "macro_f1", "weighted_f1", "mcc", "auroc", "recalls",
        "confusion", "nll", "brier", "ece", "adaptive_ece", "aurc", "sets", "dimensions", "reliability",
    }  # fmt: skip
    assert found["systems"][0]["nll"]["low"] is None  # one speaker


def test_a_report_of_version_1_still_reads(tmp_path, by_hand):
    write_report(tmp_path, evaluate(by_hand, replicates=100), by_hand, plots=False)
    old = json.loads((tmp_path / "report.json").read_text()) | {"schema": 1}
    for name in ("score_replicates", "subgroups", "abstention", "soft_truth"):
        del old[name]
    for system in old["systems"]:
        for name in ("mcc", "auroc", "adaptive_ece", "aurc", "reliability"):
            del system[name]
        system |= {name: system[name]["value"] for name in ("nll", "brier", "ece")}
    for comparison in old["comparisons"]:
        del comparison["uar_p_holm"], comparison["mcnemar"]
    (tmp_path / "report.json").write_text(json.dumps(old))
    found = read_report(tmp_path / "report.json")
    assert found.schema == 1 and found.systems[0].metrics["nll"].low is None
    assert "66.7" in describe(found)


PLAIN = ["eval_results.yaml", "model-card-section.md", "predictions.csv", "report.json", "report.md"]


def test_the_folder_holds_all_files_and_an_earlier_picture_never_stays(tmp_path, by_hand):
    report = evaluate(by_hand, replicates=100)
    write_report(tmp_path, report, by_hand)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([*PLAIN, "report.html", "report.png"])
    assert (tmp_path / "report.md").read_text().endswith("](report.png)\n")
    write_report(tmp_path, report, by_hand, plots=False)
    assert sorted(file.name for file in tmp_path.iterdir()) == PLAIN
    assert "report.png" not in (tmp_path / "report.md").read_text()


def test_without_matplotlib_all_but_the_picture_is_written_and_the_way_out_is_told(tmp_path, by_hand, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(BimodalError, match=r"pip install 'bimodal-emotion\[report\]'"):
        write_report(tmp_path, evaluate(by_hand, replicates=100), by_hand)
    assert sorted(file.name for file in tmp_path.iterdir()) == PLAIN


def test_sensitive_data_leave_no_words_in_any_file(tmp_path, by_hand):
    write_report(tmp_path, evaluate(by_hand, replicates=100), by_hand, sources=ReportSources(sound=False))
    assert "fold" in (tmp_path / "predictions.csv").read_text()
    assert not [file.name for file in tmp_path.iterdir() if "né".encode() in file.read_bytes()]


def test_a_folder_that_is_a_file_and_a_report_that_is_none_are_refused(tmp_path, by_hand):
    (tmp_path / "file").write_text("{}")
    with pytest.raises(BimodalError, match="cannot be written"):
        write_report(tmp_path / "file", evaluate(by_hand, replicates=100), by_hand)
    for content in ("{}", "[]", "3", '{"systems": 3}', '{"systems": [3]}', '{"systems": [[]]}', "{"):
        (tmp_path / "file").write_text(content)
        with pytest.raises(BimodalError, match="not a report"):
            read_report(tmp_path / "file")
    with pytest.raises(BimodalError, match="cannot be read"):
        read_report(tmp_path / "absent")
