"""The picture of a recording: every kind is drawn, words with dollars are no formulas, the envelope is the signal's."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile

from bimodal import Recognition
from bimodal.errors import BimodalError
from bimodal.output.colours import emotion_colour
from bimodal.output.plot import KINDS, check_plot, envelope, plot_timeline, smoothed_shares, time_marks

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


def drawn(recording, tmp_path, results) -> str:
    """The text of the picture as SVG."""
    plot_timeline(tmp_path / "out.svg", recording, results, title="call")
    return (tmp_path / "out.svg").read_text()


def test_anger_has_its_one_colour_and_each_emotion_one_line_in_the_legend_whoever_speaks(recording, tmp_path):
    written = drawn(recording, tmp_path, [ONE, OTHER])
    assert emotion_colour("anger") in written and emotion_colour("sadness") in written
    assert written.count("<!-- anger -->") == written.count("<!-- sadness -->") == 1
    assert written.count("<!-- ann -->") == written.count("<!-- ben -->") == 1  # a lane each
    assert written.index("<!-- ann -->") < written.index("<!-- ben -->")


def test_the_same_words_of_another_time_are_not_the_same_words(recording, tmp_path):
    rows = [replace(ONE, start=start, end=start + 0.1, transcript="stop it") for start in (0.0, 0.1, 2.5)]
    assert drawn(recording, tmp_path, rows).count("<!-- stop it -->") == 2


def test_many_results_are_bands_and_not_confetti(recording, tmp_path):
    rows = [replace(ONE, start=at / 30, end=(at + 1) / 30, transcript=None) for at in range(90)]
    few, many = drawn(recording, tmp_path, rows[:20]), drawn(recording, tmp_path, rows)
    filled = re.compile(r'<g id="\w*PolyCollection_\d+">')
    assert len(filled.findall(few)) == 1 + 20  # the waveform, and the emotion of each result
    assert len(filled.findall(many)) == 1 + 2 + 1  # a band for each emotion, and one strip for ninety equal results


def test_bands_are_the_mean_of_the_scores_near_by_with_a_gap_where_nobody_speaks():
    rows = [replace(ONE, start=float(at), end=at + 1.0) for at in (*range(20), *range(60, 80))]
    rows = [replace(one, scores={"anger": float(one.start > 50), "sadness": float(one.start < 50)}) for one in rows]
    shares = smoothed_shares([*rows, replace(ABSTAINED, start=40.0, end=45.0)], np.linspace(0, 100, 101))
    speaks = ~np.isnan(shares[0])
    assert speaks.nonzero()[0].tolist() == [*range(20), *range(60, 80)]
    assert np.allclose(shares[:, speaks].sum(axis=0), 1)
    assert shares[0, 5] == 0 and shares[0, 70] == 1
    sharp = smoothed_shares(
        [replace(rows[0], end=10.0), replace(rows[-1], start=10.0, end=20.0)], np.linspace(0, 20, 21)
    )
    assert 0 < sharp[0, 9] < 0.5 < sharp[0, 10] < 1 and (np.diff(sharp[0]) >= 0).all()


@pytest.mark.parametrize(("seconds", "step"), [(5, 1), (95, 10), (600, 60), (3600, 300), (12 * 3600, 3600)])
def test_time_has_at_most_a_dozen_marks(seconds, step):
    marks = time_marks(seconds)
    assert len(marks) <= 14 and marks[1] - marks[0] == step and marks[-1] <= seconds


def test_the_envelope_is_the_signals(recording):
    peaks, seconds = envelope(recording, points=30)
    assert seconds == 3.0 and peaks.tolist() == [0.5] * 10 + [0.0] * 10 + [0.25] * 10


def test_another_kind_of_file_is_refused_before_the_work(tmp_path):
    with pytest.raises(BimodalError, match=r"unknown file type of a plot, expected one of \.png, \.svg, \.pdf"):
        check_plot(tmp_path / "a.docx")
