"""Reports of made-up predictions, and the page of one as a browser would read it."""

import os
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bimodal.data.manifest import open_manifest, write_manifest
from bimodal.evaluation.html.material import ReportSources, gather
from bimodal.evaluation.metrics import softmax
from bimodal.evaluation.predictions import Predictions
from bimodal.evaluation.report import evaluate
from bimodal.records import Utterance

EMOTIONS = ("anger", "fear", "joy")


@pytest.fixture
def scored() -> Callable[..., Predictions]:
    """Predictions whose speech and fused systems know something, and whose text knows little."""

    def make(rows=300, emotions=EMOTIONS, speakers=25, seed=0, signals=None, **columns) -> Predictions:
        rng = np.random.default_rng(seed)
        targets = np.arange(rows) % len(emotions)
        truth = np.eye(len(emotions))[targets]
        known = signals or {"speech": 1.0, "text": 0.3, "late": 1.0, "fused": 1.5}
        return Predictions(
            ids=tuple(f"u{row}" for row in range(rows)),
            targets=targets,
            emotions=tuple(emotions),
            clusters=tuple(f"s{row % speakers}" for row in range(rows)),
            cluster_name="speaker",
            scores={name: softmax(rng.normal(size=truth.shape) + signal * truth) for name, signal in known.items()},
            extra={
                "speaker": tuple(f"s{row % speakers}" for row in range(rows)),
                "transcript": tuple(f"Sentence number {row}." for row in range(rows)),
            }
            | columns,
        )

    return make


@pytest.fixture
def material(tmp_path):
    """What sections are made of, from predictions."""

    def make(predictions: Predictions, sources=None, **options):
        report = evaluate(predictions, replicates=50, **options)
        return gather(report, predictions, sources or ReportSources(), tmp_path)

    return make


@pytest.fixture
def recorded(tmp_path) -> Callable[[Predictions], ReportSources]:
    """A manifest with a short recording for each of some predictions; the second recording is missing."""

    def make(predictions: Predictions, count: int | None = None) -> ReportSources:
        folder = tmp_path / "corpus"
        folder.mkdir()
        rng = np.random.default_rng(0)
        names = predictions.ids[:count]
        for number, name in enumerate(names):
            if number != 1:
                soundfile.write(folder / f"{name}.wav", 0.1 * rng.normal(size=8000).astype(np.float32), 16_000)
        rows = [
            Utterance(id=name, path=f"{name}.wav", emotion=predictions.emotions[target], transcript="Yes.")
            for name, target in zip(names, predictions.targets, strict=False)
        ]
        write_manifest(folder / "manifest.csv", rows)
        return ReportSources(command="bimodal evaluate manifest.csv", manifest=open_manifest(folder / "manifest.csv"))

    return make


class Outline(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attributes]

    def handle_data(self, data):
        self.text.append(data)

    def values(self, name: str) -> list[str]:
        return [value for _, found, value in self.attributes if found == name]


@pytest.fixture
def outline() -> Callable[[bytes], Outline]:
    return lambda page: Outline(page.decode())


@pytest.fixture(scope="session")
def chromium() -> str:
    """The machine's Chromium; skips where there is none, but never in CI."""
    names = (os.environ.get("BIMODAL_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None and os.environ.get("CI", "").lower() == "true":
        pytest.fail("no Chromium for the tests of the page: install it or set BIMODAL_CHROMIUM")
    return found or pytest.skip("no Chromium for the tests of the page")


@pytest.fixture
def written(tmp_path) -> Callable[[bytes], Path]:
    """A page as a file."""

    def write(page: bytes) -> Path:
        file = tmp_path / "report.html"
        file.write_bytes(page)
        return file

    return write
