"""A report of tests as a folder: tests.json, tests.md, and junit.xml for continuous integration."""

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec

from bimodal.errors import BimodalError
from bimodal.evaluation.model_tests import PUBLISHED_RATES, PUBLISHED_SOURCE, TESTS
from bimodal.evaluation.model_tests.describe import describe_markdown
from bimodal.evaluation.model_tests.records import Outcome, TestReport, count, pass_rate
from bimodal.files import write_bytes
from bimodal.records import printable


def write_tests(folder: Path, report: TestReport, *, now: datetime.datetime | None = None) -> None:
    """Write tests.json, tests.md and junit.xml; earlier ones in the folder are replaced.

    Args:
        folder: Created if missing.
        report: What to write.
        now: Time that junit.xml names; None for the present.

    Raises:
        BimodalError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / "tests.json", encode_tests(report))
        write_bytes(folder / "tests.md", describe_markdown(report).encode())
        write_bytes(folder / "junit.xml", encode_junit(report, now or datetime.datetime.now(datetime.UTC)))
    except OSError as error:
        raise BimodalError(f"{folder}: the report cannot be written ({error.strerror})") from error


def encode_tests(report: TestReport) -> bytes:
    """The report as indented JSON in UTF-8, with the pass rates of each system."""
    plain = msgspec.to_builtins(report)
    rates = {
        system: {name or "all": _counted(outcomes, name) for name in (*TESTS, "")}
        for system, outcomes in report.outcomes.items()
    }
    published = {"rates_percent": PUBLISHED_RATES, "source": PUBLISHED_SOURCE}
    return (
        msgspec.json.format(msgspec.json.encode({"summary": rates, "published": published, **plain}), indent=1) + b"\n"
    )


def _counted(outcomes: Sequence[Outcome], category: str) -> dict[str, Any]:
    passed, failed, skips = count(outcomes, category)
    return {"passed": passed, "failed": failed, "skipped": skips, "rate": pass_rate(outcomes, category)}


def encode_junit(report: TestReport, now: datetime.datetime) -> bytes:
    """The verdict as JUnit XML: one test suite a category, valid against the schemas of Ant and Jenkins.

    Args:
        report: Of which the chosen system's outcomes are written.
        now: Time of the run.
    """
    root = ElementTree.Element("testsuites")
    stamp = now.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    for number, name in enumerate(TESTS):
        chosen = [one for one in report.verdict if one.category == name]
        if chosen:
            root.append(_suite(name, number, chosen, report, stamp))
    ElementTree.indent(root)
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _suite(name: str, number: int, outcomes: Sequence[Outcome], report: TestReport, stamp: str) -> ElementTree.Element:
    _, failed, skips = count(outcomes)
    counts = {"tests": len(outcomes), "failures": failed, "errors": 0, "skipped": skips}
    suite = ElementTree.Element(
        "testsuite",
        {
            "name": name,
            "package": "bimodal.test",
            "id": str(number),
            "timestamp": stamp,
            "hostname": "localhost",
            "time": "0",
            **{key: str(value) for key, value in counts.items()},
        },
    )
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in {"title": report.title, "system": report.system, "seed": str(report.seed)}.items():
        ElementTree.SubElement(properties, "property", {"name": key, "value": _safe(value)})
    suite.extend(_case(one) for one in outcomes)
    ElementTree.SubElement(suite, "system-out").text = _safe("\n".join(report.notes))
    ElementTree.SubElement(suite, "system-err").text = _safe(report.caveat)
    return suite


def _case(outcome: Outcome) -> ElementTree.Element:
    """One test; a failed one with value, threshold and their source."""
    names = {"name": _safe(outcome.name), "classname": f"bimodal.{outcome.category}", "time": "0"}
    case = ElementTree.Element("testcase", names)
    if outcome.status == "skipped":
        ElementTree.SubElement(case, "skipped", {"message": _safe(outcome.sentence)})
    elif outcome.status == "failed":
        told = {"message": _safe(outcome.sentence), "type": "threshold"}
        failure = ElementTree.SubElement(case, "failure", told)
        failure.text = f"value {outcome.value:.4f}, threshold {outcome.threshold:.4f} ({outcome.source})"
    return case


def _safe(text: str) -> str:
    """Text without characters that XML does not hold."""
    return printable(text)
