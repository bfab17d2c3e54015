"""Plot of a recording: waveform, a lane for each speaker with the emotions over time, words (extra `plot`).

A lane of few results shows each score as a line. Many results would be confetti: they become smoothed bands.
"""

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
_LETTERS: Final = 170  # letters that fit across the picture
_LEAST_LETTERS: Final = 12  # in a line, even where a stretch is narrower
_LINES: Final = 4  # of words below one stretch
_LINES_UP_TO: Final = 20  # results of a lane; more become bands
_BINS: Final = 240  # of time, in bands
_SPREAD: Final = 2.0  # bins: standard deviation of the smoothing
_LEAST_SPEECH: Final = 0.02  # share of a bin below which a band has a gap
_SAME_WORDS: Final = 0.5  # seconds between results whose equal words are the same words
_STRIP: Final = (1.06, 0.12)  # foot and height of the strip above the scores that has the strongest emotion
_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)  # seconds between marks of time
_MARKS: Final = 12
_MINUTE: Final = 60.0
_HOUR: Final = 3600.0

Lane = tuple[str | None, Sequence[Recognition]]
"""A speaker with their results; None if nobody is named."""


def check_plot(path: Path) -> None:
    """Check that the plot can be drawn, before recognition starts.

    Raises:
        BimodalError: Unknown file type, or matplotlib is not installed.
    """
    if path.suffix.lower() not in KINDS:
        raise BimodalError(f"{path}: unknown file type of a plot, expected one of {', '.join(KINDS)}")
    _library()


def plot_timeline(path: Path, recording: Path, results: Sequence[Recognition], *, title: str) -> None:
    """Draw the waveform, and for each speaker the scores over time, the strongest emotion, and the words.

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
    lanes = lanes_of(results)
    spoken = [_word_groups(rows) for _, rows in lanes]
    heights = [0.8, *(height for words in spoken for height in (1.5, 0.45 if words else 0.01))]
    figure = figure_class(figsize=(12, 1.4 + 1.25 * sum(heights)), layout="constrained")
    canvas_class(figure)
    wave, *parts = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    figure.suptitle(_plain(title))
    seconds = _draw_wave(wave, recording)
    draw = _draw_lines if max((len(rows) for _, rows in lanes), default=0) <= _LINES_UP_TO else _draw_bands
    for number, (speaker, rows) in enumerate(lanes):
        scores, words = parts[2 * number], parts[2 * number + 1]
        draw(scores, rows, seconds)
        scores.set(ylim=(0, sum(_STRIP)), ylabel=_plain(speaker) or "score", yticks=[0, 0.5, 1])
        scores.spines[["top", "right"]].set_visible(False)
        scores.tick_params(labelbottom=not spoken[number])
        _draw_words(words, spoken[number], seconds)
    _mark_time(parts[-2] if lanes else wave, seconds)
    _draw_legend(figure, list(results[0].scores) if results else [])
    with atomic_write(path) as unfinished:
        figure.savefig(unfinished, dpi=150, format=path.suffix.lower().lstrip("."))


def lanes_of(results: Sequence[Recognition]) -> list[Lane]:
    """The results of each speaker, in the order in which they speak first."""
    speakers = list(dict.fromkeys(result.speaker for result in results))
    return [(speaker, [one for one in results if one.speaker == speaker]) for speaker in speakers]


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


def _draw_wave(axes: Any, recording: Path) -> float:
    """The waveform; gives the duration in seconds."""
    peaks, seconds = envelope(recording)
    times = np.linspace(0, seconds, len(peaks))
    axes.fill_between(times, -peaks, peaks, color="#555555", linewidth=0)
    axes.set(xlim=(0, seconds), ylabel="waveform", yticks=[])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(labelbottom=False)
    return seconds


def _draw_lines(axes: Any, results: Sequence[Recognition], seconds: float) -> None:
    """The score of each emotion as steps, with gaps where there is no result; above, the emotion of each result."""
    claimed = [one for one in results if not one.abstained]
    for emotion in claimed[0].scores if claimed else ():
        times = [at for one in claimed for at in (one.start or 0.0, _end(one, seconds), _end(one, seconds))]
        scores = [value for one in claimed for value in (one.scores[emotion], one.scores[emotion], np.nan)]
        axes.plot(times, scores, color=emotion_colour(emotion), linewidth=1.8, solid_capstyle="butt")
    for one in claimed:
        if one.emotion is not None:
            start = one.start or 0.0
            axes.broken_barh([(start, _end(one, seconds) - start)], _STRIP, facecolor=emotion_colour(one.emotion))


def _end(result: Recognition, seconds: float) -> float:
    return seconds if result.end is None else result.end


def _draw_bands(axes: Any, results: Sequence[Recognition], seconds: float) -> None:
    """Smoothed scores, stacked, with gaps where nobody speaks; above, the strongest of them."""
    edges = np.linspace(0, seconds, _BINS + 1)
    emotions = list(results[0].scores)
    shares = smoothed_shares(results, edges)
    colours = [emotion_colour(emotion) for emotion in emotions]
    steps = np.concatenate([shares, shares[:, -1:]], axis=1)
    axes.stackplot(edges, np.nan_to_num(steps), colors=colours, step="post", linewidth=0)
    for strongest, run in groupby(range(_BINS), lambda place: _strongest(shares[:, place])):
        places = list(run)
        if strongest is not None:
            left, right = edges[places[0]], edges[places[-1] + 1]
            axes.broken_barh([(left, right - left)], _STRIP, facecolor=colours[strongest])


def _strongest(shares: npt.NDArray[np.float64]) -> int | None:
    return None if np.isnan(shares[0]) else int(shares.argmax())


def smoothed_shares(results: Sequence[Recognition], edges: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mean score of each emotion in stretches of time, smoothed.

    Args:
        results: Of one speaker.
        edges: (B + 1,) of the stretches, in seconds, equally wide.

    Returns:
        (C, B), each column with sum 1; NaN where nobody speaks.

    Example:
        >>> scores = {"anger": 0.25, "joy": 0.75}
        >>> one = Recognition(
        ...     emotion="joy", scores=scores, speech_scores=None, text_scores=None, gate=None, start=0.0, end=5.0)
        >>> shares = smoothed_shares([one], np.linspace(0, 100, 101))
        >>> shares[:, 0].round(2).tolist(), bool(np.isnan(shares[:, 50]).all())
        ([0.25, 0.75], True)
    """
    width, emotions = edges[1] - edges[0], list(results[0].scores)
    mass = np.zeros((len(emotions), len(edges) - 1))
    for one in results:
        if not one.abstained:
            start, end = one.start or 0.0, _end(one, float(edges[-1]))
            overlap = np.clip(np.minimum(edges[1:], end) - np.maximum(edges[:-1], start), 0.0, None) / width
            mass += np.outer([one.scores[emotion] for emotion in emotions], overlap)
    reach = np.arange(-int(4 * _SPREAD), int(4 * _SPREAD) + 1)
    kernel = np.exp(-0.5 * (reach / _SPREAD) ** 2)
    spread = np.stack([np.convolve(row, kernel / kernel.sum(), mode="full") for row in mass])
    spread = spread[:, len(reach) // 2 : len(reach) // 2 + mass.shape[1]]
    whole = spread.sum(axis=0)
    speaks = mass.sum(axis=0) > _LEAST_SPEECH
    return np.where(speaks, spread / np.where(speaks, whole, 1.0), np.nan)


def _word_groups(results: Sequence[Recognition]) -> list[list[Recognition]]:
    """Neighbours with the same words; none where all words together would be a blot."""
    groups: list[list[Recognition]] = []
    for one in results:
        last = groups[-1][-1] if groups else None
        near = last is not None and (one.start or 0.0) - (last.end or 0.0) < _SAME_WORDS
        if last is not None and near and one.transcript == last.transcript:
            groups[-1].append(one)
        elif one.transcript:
            groups.append([one])
    return groups if len(groups) <= _LETTERS // _LEAST_LETTERS else []


def _draw_words(axes: Any, groups: Sequence[Sequence[Recognition]], seconds: float) -> None:
    """Words at their stretch, in lines that fit it."""
    axes.axis("off")
    for group in groups:
        start, end = group[0].start or 0.0, _end(group[-1], seconds)
        letters = max(_LEAST_LETTERS, int(_LETTERS * (end - start) / seconds))
        text = wrap(group[0].transcript or "", letters, max_lines=_LINES, placeholder=" …")
        axes.text((start + end) / 2, 1, _plain("\n".join(text)), ha="center", va="top", fontsize=8)


def _mark_time(axes: Any, seconds: float) -> None:
    """Marks of time below the lowest lane: seconds, minutes or hours."""
    marks = time_marks(seconds)
    axes.set_xticks(marks, [clock(mark, seconds) for mark in marks])
    axes.set_xlabel("seconds" if seconds < _MINUTE else "minutes:seconds" if seconds < _HOUR else "hours:minutes")
    axes.tick_params(labelbottom=True)


def time_marks(seconds: float) -> list[float]:
    """At most a dozen round times within a recording, and its beginning.

    Example:
        >>> time_marks(21)
        [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0]
    """
    step = next((step for step in _STEPS if seconds <= _MARKS * step), _STEPS[-1])
    found: list[float] = np.arange(0, seconds + 1e-9, step, dtype=np.float64).tolist()
    return found


def clock(seconds: float, longest: float) -> str:
    """A time as the axis of a recording shows it.

    Example:
        >>> clock(5, 20), clock(90, 600), clock(4500, 7200)
        ('5', '1:30', '1:15')
    """
    if longest < _MINUTE:
        return f"{seconds:g}"
    unit = 1 if longest < _HOUR else 60
    return f"{int(seconds // (60 * unit))}:{int(seconds // unit % 60):02d}"


def _draw_legend(figure: Any, emotions: Sequence[str]) -> None:
    """One line for each emotion."""
    from matplotlib.patches import Patch

    if emotions:
        handles = [Patch(color=emotion_colour(emotion), label=_plain(emotion)) for emotion in emotions]
        figure.legend(handles=handles, loc="outside right center", frameon=False, fontsize=9)


def _plain(text: str | None) -> str:
    """Text in which matplotlib finds no formula."""
    return (text or "").replace("$", r"\$")
