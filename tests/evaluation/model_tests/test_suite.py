"""All tests together: verdict and systems, a guessing model, JUnit that others read, bad input."""

import datetime
import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from bimodal.errors import BimodalError
from bimodal.evaluation.model_tests import TESTS
from bimodal.evaluation.model_tests.describe import describe, describe_markdown
from bimodal.evaluation.model_tests.records import TestOptions, count
from bimodal.evaluation.model_tests.suite import NEEDS_MODEL, run_tests
from bimodal.evaluation.model_tests.writing import encode_junit, write_tests
from tests.evaluation.model_tests.made_up import right

OPTIONS = TestOptions(runs=500)
NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


@pytest.fixture
def report(make_material):
    return run_tests(make_material(right(0.45)), OPTIONS, title="a <model> & \x1b[31m", notes=["said"])


def test_the_verdict_is_that_of_the_chosen_system(make_material):
    material = make_material(right(0.9))
    fused, text = (run_tests(material, OPTIONS, system=name) for name in ("fused", "text"))
    assert fused.system == "fused" and set(fused.outcomes) == {"speech", "text", "fused"}
    assert fused.outcomes == text.outcomes
    assert count(fused.verdict, "correctness")[1] < count(text.verdict, "correctness")[1]


def test_robustness_without_a_model_is_skipped_and_not_passed(report):
    (one,) = [one for one in report.verdict if one.category == "robustness"]
    assert (one.status, one.sentence) == ("skipped", NEEDS_MODEL)


def test_a_guessing_model_is_fair_and_not_correct(report):
    passed, failed = report.random["fairness"]
    assert failed == 0 < passed
    passed, failed = report.random["correctness"]
    assert failed > passed


def test_junit_is_read_back(report, tmp_path):
    write_tests(tmp_path / "new" / "folder", report, now=NOW)
    root = ElementTree.parse(tmp_path / "new/folder/junit.xml").getroot()
    assert root.tag == "testsuites" and [suite.get("name") for suite in root] == list(TESTS)
    for suite in root:
        passed, failed, skips = count(report.verdict, suite.get("name"))
        cases = suite.findall("testcase")
        counts = [len(cases), len(suite.findall("testcase/failure")), len(suite.findall("testcase/skipped"))]
        assert counts == [passed + failed + skips, failed, skips]
        assert [suite.get(name) for name in ("tests", "failures", "skipped")] == list(map(str, counts))
        assert suite.get("timestamp") == "2026-01-02T03:04:05"
        names = [(case.get("classname"), case.get("name")) for case in cases]
        assert len(set(names)) == len(names)
        order = [child.tag for child in suite if child.tag != "testcase"]
        assert order == ["properties", "system-out", "system-err"]
    failure = root.find("testsuite/testcase/failure")
    assert failure is not None and "threshold 0.5000 (published suite" in failure.text


def test_text_of_strangers_does_not_break_junit(report):
    ElementTree.fromstring(encode_junit(report, NOW))
    assert b"\x1b" not in encode_junit(report, NOW)


def test_json_holds_rates_and_every_outcome(report, tmp_path):
    write_tests(tmp_path, report)
    told = json.loads((tmp_path / "tests.json").read_bytes())
    passed, failed, skips = count(report.verdict)
    expected = {"passed": passed, "failed": failed, "skipped": skips, "rate": passed / (passed + failed)}
    assert told["summary"]["fused"]["all"] == pytest.approx(expected)
    assert len(told["outcomes"]["fused"]) == passed + failed + skips
    assert told["published"]["rates_percent"] == [78.9, 79.5]


def test_every_failure_is_told_in_a_sentence(report):
    shown, pages = describe(report), describe_markdown(report)
    assert "78.9 and 79.5 % (audeering.github.io/ser-tests" in shown
    failed = [one for one in report.verdict if one.status == "failed"]
    assert failed and pages.count("- correctness, ") + pages.count("- consistency, ") + pages.count(
        "- fairness, "
    ) >= len(failed)
    assert all(one.sentence.endswith(".") and one.source for one in failed)


def test_what_does_not_exist_is_refused(make_material):
    material = make_material(right(0.9))
    for options, system, told in (
        (OPTIONS, "late", "--system: no system 'late', there is speech, text, fused"),
        (replace(OPTIONS, by=("height",)), "", "--by: the manifest has no column 'height'; others are age, gender"),
        (replace(OPTIONS, only=("speed",)), "", "--only: unknown category 'speed', expected one of correctness"),
    ):
        with pytest.raises(BimodalError, match=told):
            run_tests(material, options, system=system)


def test_one_category_alone(make_material):
    found = run_tests(make_material(right(0.9)), replace(OPTIONS, only=("fairness",)))
    assert {one.category for one in found.verdict} == {"fairness"}
