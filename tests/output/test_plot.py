"""The picture of a recording: every kind is drawn, words with dollars are no formulas, the envelope is the signal's."""

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile

from bimodal import Recognition
from bimodal.errors import BimodalError
from bimodal.output.plot import KINDS, check_plot, envelope, plot_timeline

ONE = Recognition(
    emotion="anger", scores={"anger": 0.75, "sadness": 0.25}, speech_scores=None, text_scores=None, gate=None,
    start=0.0, end=2.0, speaker="ann", transcript="it is $5 <b> _x^2 & so on", model="tiny", revision="0",
)  # fmt: skip
ABSTAINED = replace(ONE, emotion=None, abstained=True, reason="silent", start=2.0, end=2.5, transcript=None)
OTHER = replace(ONE, emotion="sadness", speaker="ben", start=2.5, end=3.0, transcript="泣")


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "a.wav"
    signal = np.concatenate([np.full(16_000, 0.5), np.zeros(16_000), np.full(16_000, -0.25)])
    soundfile.write(path, signal.astype(np.float32), 16_000, subtype="FLOAT")
    return path


@pytest.mark.filterwarnings("ignore:Glyph:UserWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("results", [[ONE, ABSTAINED, OTHER], [ABSTAINED], []])
def test_a_picture_is_drawn(recording, tmp_path, kind, results):
    path = tmp_path / f"out{kind}"
    plot_timeline(path, recording, results, title="my $ call")
    starts = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    assert path.read_bytes().startswith(starts[kind]) and path.stat().st_size > 3000
    if kind == ".svg":
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
        assert ("sadness" in path.read_text()) == bool(results)


def test_neighbours_with_the_same_words_share_them_and_long_words_are_broken(recording, tmp_path):
    long = "one two three four five six seven eight nine ten eleven twelve"
    rows = [replace(ONE, start=0.0, end=0.1, transcript=long), replace(ONE, start=0.1, end=0.2, transcript=long)]
    plot_timeline(tmp_path / "out.svg", recording, rows, title="call")
    written = (tmp_path / "out.svg").read_text()
    assert written.count("<!-- one two") == 1 and "three four" in written and "twelve" not in written


def test_the_envelope_is_the_signals(recording):
    peaks, seconds = envelope(recording, points=30)
    assert seconds == 3.0 and peaks.tolist() == [0.5] * 10 + [0.0] * 10 + [0.25] * 10


def test_another_kind_of_file_is_refused_before_the_work(tmp_path):
    with pytest.raises(BimodalError, match=r"unknown file type of a plot, expected one of \.png, \.svg, \.pdf"):
        check_plot(tmp_path / "a.docx")
