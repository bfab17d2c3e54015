"""Plot of a recording: waveform, emotions over time, words (extra `plot`)."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from textwrap import wrap
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bimodal.audio.decode import iterate_audio, read_header
from bimodal.audio.outline import Outline
from bimodal.errors import BimodalError
from bimodal.files import atomic_write
from bimodal.output.colours import emotion_colour
from bimodal.records import Recognition

KINDS: Final = (".png", ".svg", ".pdf")
_POINTS: Final = 2000
_WORDS_SHOWN: Final = 60  # stretches beyond which words would be a blot
_LETTERS: Final = 190  # letters that fit across the picture
_LEAST_LETTERS: Final = 12  # in a line, even where a stretch is narrower
_LINES: Final = 4  # of words below one stretch


def check_plot(path: Path) -> None:
    """Check that the plot can be drawn, before recognition starts.

    Raises:
        BimodalError: Unknown file type, or matplotlib is not installed.
    """
    if path.suffix.lower() not in KINDS:
        raise BimodalError(f"{path}: unknown file type of a plot, expected one of {', '.join(KINDS)}")
    _library()


def plot_timeline(path: Path, recording: Path, results: Sequence[Recognition], *, title: str) -> None:
    """Draw the waveform with the recognised emotions, the scores over time, and the words.

    Args:
        path: File to write, `.png`, `.svg` or `.pdf`.
        recording: The recording.
        results: Results of the recording, in order.
        title: Title of the plot.

    Raises:
        BimodalError: matplotlib is not installed.
        AudioError: The recording cannot be read.
    """
    figure_class, canvas_class = _library()
    figure = figure_class(figsize=(12, 5.5), layout="constrained")
    canvas_class(figure)
    wave, words, lines = figure.subplots(
        3, 1, sharex=True, height_ratios=[1, 0.4 if any(one.transcript for one in results) else 0.01, 1.3]
    )
    emotions = list(results[0].scores) if results else []
    colours = {emotion: emotion_colour(emotion) for emotion in emotions}
    figure.suptitle(_plain(title))
    _draw_wave(wave, recording, results, colours)
    _draw_scores(lines, results, colours)
    _draw_words(words, results)
    with atomic_write(path) as unfinished:
        figure.savefig(unfinished, dpi=150, format=path.suffix.lower().lstrip("."))


def _library() -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BimodalError("plots need matplotlib: pip install 'bimodal-emotion[plot]'") from error
    return Figure, FigureCanvasAgg


def envelope(recording: Path, points: int = _POINTS) -> tuple[npt.NDArray[np.float32], float]:
    """Peaks of about `points` equal intervals of a recording, and its duration in seconds."""
    header = read_header(recording)
    outline = Outline(header.duration * header.sampling_rate, points)
    for signal, _ in iterate_audio(recording):
        outline.add(signal)
    return outline.peaks(), outline.samples / header.sampling_rate


def _draw_wave(axes: Any, recording: Path, results: Sequence[Recognition], colours: dict[str, str]) -> None:
    peaks, seconds = envelope(recording)
    times = np.linspace(0, seconds, len(peaks))
    axes.fill_between(times, -peaks, peaks, color="#555555", linewidth=0)
    for result in results:
        if result.emotion is not None:
            axes.axvspan(result.start or 0.0, result.end or 0.0, color=colours[result.emotion], alpha=0.35, linewidth=0)
    axes.set(xlim=(0, seconds), ylabel="waveform", yticks=[])
    axes.spines[["top", "right", "left"]].set_visible(False)


def _draw_scores(axes: Any, results: Sequence[Recognition], colours: dict[str, str]) -> None:
    """Score of each emotion as steps, with gaps if there is no result; one line style per speaker."""
    speakers = list(dict.fromkeys(result.speaker for result in results))
    for speaker, style in zip(speakers, ["-", "--", ":", "-."] * (1 + len(speakers) // 4), strict=False):
        claimed = [one for one in results if one.speaker == speaker and not one.abstained]
        for emotion, colour in colours.items():
            times = [at for one in claimed for at in (one.start or 0.0, one.end or 0.0, one.end or 0.0)]
            scores = [value for one in claimed for value in (one.scores[emotion], one.scores[emotion], np.nan)]
            label = f"{emotion}, {_plain(speaker)}" if len(speakers) > 1 and speaker else emotion
            axes.plot(times, scores, color=colour, linestyle=style, linewidth=1.8, label=label)
    axes.set(ylim=(0, 1.02), xlabel="seconds", ylabel="score")
    axes.spines[["top", "right"]].set_visible(False)
    if results:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9)


def _draw_words(axes: Any, results: Sequence[Recognition]) -> None:
    """Words at their stretch, in lines that fit it; neighbours with the same words share them."""
    axes.axis("off")
    spoken = [one for one in results if one.transcript]
    groups = [list(group) for _, group in groupby(spoken, lambda one: (one.speaker, one.transcript))]
    for group in groups if len(groups) <= _WORDS_SHOWN else []:
        start, end = group[0].start or 0.0, group[-1].end or 0.0
        letters = max(_LEAST_LETTERS, int(_LETTERS * (end - start) / axes.get_xlim()[1]))
        text = wrap(group[0].transcript or "", letters, max_lines=_LINES, placeholder=" …")
        axes.text((start + end) / 2, 1, _plain("\n".join(text)), ha="center", va="top", fontsize=8)


def _plain(text: str | None) -> str:
    """Text in which matplotlib finds no formula."""
    return (text or "").replace("$", r"\$")
