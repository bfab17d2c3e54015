"""Notebooks: results drawn as HTML, and the magic `%bimodal FILE` of IPython (`%load_ext bimodal`)."""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any, Final

from bimodal.audio.decode import read_header
from bimodal.errors import BimodalError
from bimodal.inference.batch import WHOLE_SECONDS
from bimodal.inference.recognizer import Recognizer
from bimodal.inference.summary import summarise
from bimodal.output.colours import emotion_colour
from bimodal.records import Recognition

USAGE: Final = "usage: %bimodal FILE [WORDS...]; quote a file whose name has spaces"


@lru_cache(maxsize=1)
def _recognizer() -> Recognizer:
    """The recogniser of this notebook, opened once."""
    return Recognizer()


class Timeline(Sequence[Recognition]):
    """Results over time that a notebook draws: bars of time, shares, and the moments worth hearing.

    Args:
        results: Of one recording, in order of time.

    Example:
        >>> one = Recognition(emotion="anger", scores={"anger": 1.0}, speech_scores=None, text_scores=None, gate=None,
        ...                   start=0.0, end=2.0)
        >>> timeline = Timeline([one])
        >>> len(timeline), timeline[0].emotion, "anger" in timeline._repr_html_()
        (1, 'anger', True)
    """

    def __init__(self, results: Iterable[Recognition]) -> None:
        self._results = tuple(results)

    def __getitem__(self, place: Any) -> Any:
        return self._results[place]

    def __len__(self) -> int:
        return len(self._results)

    def __repr__(self) -> str:
        return "\n".join(map(repr, self._results))

    def _repr_html_(self) -> str:
        return f"<div>{''.join(_drawn(self._results))}</div>"


def _drawn(results: Sequence[Recognition]) -> Iterator[str]:
    """The parts of the picture; all text of others is escaped."""
    summary = summarise(results)
    end = summary.duration or 1.0
    bars = (
        f'<rect x="{1000 * (one.start or 0) / end:.1f}" width="{1000 * ((one.end or 0) - (one.start or 0)) / end:.1f}" '
        f'height="30" fill="{emotion_colour(one.emotion)}"><title>{escape(str(one))}</title></rect>'
        for one in results
        if one.emotion is not None
    )
    yield f'<svg viewBox="0 0 1000 30" width="100%" height="30" role="img" aria-label="timeline">{"".join(bars)}</svg>'
    shares = sorted(summary.shares.items(), key=lambda pair: -pair[1])
    told = ", ".join(f"{escape(emotion)} {100 * share:.0f} %" for emotion, share in shares if share > 0)
    yield f"<p>{summary.duration:.1f} s; {told or 'no emotion recognised'}</p>"
    rows = "".join(
        f"<tr><td>{one.start:.1f} s</td><td>{escape(one.emotion)} {one.score:.2f}</td>"
        f"<td>{escape(one.transcript or '')}</td></tr>"
        for one in summary.highlights
    )
    yield f"<table>{rows}</table>" if rows else ""


def recognize_line(line: str) -> Recognition | Timeline:
    """What `%bimodal` gives for a line: one result, or a timeline of a recording longer than 30 s.

    Args:
        line: A file, and the words if they are known.

    Raises:
        BimodalError: No file is named, or it cannot be used.
    """
    try:
        name, *words = shlex.split(line)
    except ValueError as error:
        raise BimodalError(USAGE) from error
    recognizer, path = _recognizer(), Path(name).expanduser()
    if not words and read_header(path).duration > WHOLE_SECONDS:
        return Timeline(recognizer.recognize_long(path))
    return recognizer.recognize(path, transcript=" ".join(words) or None)


def load_ipython_extension(shell: Any) -> None:
    """Add the magic `%bimodal`; IPython calls this for `%load_ext bimodal`."""

    def magic(line: str) -> Recognition | Timeline | None:
        """Recognise the emotion of a recording: `%bimodal FILE [WORDS...]`."""
        try:
            return recognize_line(line)
        except BimodalError as error:
            print(error)  # noqa: T201  # one sentence in the cell, and no traceback
            return None

    shell.register_magic_function(magic, magic_kind="line", magic_name="bimodal")
