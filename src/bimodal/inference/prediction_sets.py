"""Prediction sets: the emotions among which the right one is with a given coverage. The table lies beside the graphs.

`evaluation/metrics/conformal.py` says what is promised and how thresholds come about.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal, get_args

import msgspec

from bimodal.errors import BimodalError, ModelFolderError, tell
from bimodal.files import write_json
from bimodal.records import CoverageBy, PredictionSet, Recognition, printable

COVERAGES: Final = tuple(percent / 100 for percent in range(50, 100))
"""Coverages of a table: 0.50 to 0.99. One between two of them is answered by the greater one."""

Kind = Literal["speech", "text", "both"]
"""What a result is made of; each kind has thresholds of its own."""

_ROUNDING: Final = 1e-9
_NAMES: Final[Mapping[Kind, str]] = {"speech": "speech alone", "text": "words alone", "both": "speech and words"}


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Thresholds of the rows of all emotions, or of one.

    Attributes:
        clusters: Number of speakers (or dialogues, or texts) that the rows are of.
        rows: Number of rows; one with several labels counts by share.
        thresholds: Greatest nonconformity, one minus the score, that is in the set, for each coverage of the table;
            None where the clusters are too few for it.
    """

    clusters: int
    rows: float
    thresholds: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class KindSets:
    """What one kind of input was calibrated on.

    Attributes:
        unit: What the clusters are, in the plural.
        matched: Whether speech and words of a row are of two rows, paired by their label.
        marginal: Over the rows of all emotions.
        emotions: Over the rows of one emotion; those with too few rows or clusters are missing.
    """

    unit: str
    marginal: Thresholds
    matched: bool = False
    emotions: Mapping[str, Thresholds] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PredictionSets:
    """The table of a model folder.

    Attributes:
        coverages: In ascending order.
        kinds: By kind of input; those without calibration rows are missing.
        schema: Version of this layout.
    """

    coverages: tuple[float, ...]
    kinds: Mapping[Kind, KindSets]
    schema: int = 1


Chooser = Callable[[Recognition], Recognition]
"""Gives a result its prediction set."""


def save_prediction_sets(file: Path, table: PredictionSets) -> None:
    """Write a table as JSON.

    Raises:
        OSError: It cannot be written.
    """
    write_json(file, table)


def load_prediction_sets(file: Path) -> PredictionSets:
    """Read a table.

    Raises:
        ModelFolderError: It is damaged.
    """
    try:
        table = msgspec.json.decode(file.read_bytes(), type=PredictionSets)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ModelFolderError(f"{file}: damaged ({printable(str(error))}); copy the model folder again") from error
    if problem := _problem(table):
        raise ModelFolderError(f"{file}: {problem}; copy the model folder again, or run 'bimodal calibrate'")
    return table


def _problem(table: PredictionSets) -> str | None:
    """What is wrong with a table; None for nothing."""
    if table.schema != 1:
        return f"schema {table.schema}, expected 1"
    if not all(one < other for one, other in pairwise((0.0, *table.coverages, 1.0))):
        return "coverages that do not rise between 0 and 1"
    for kind in table.kinds.values():
        for group in (kind.marginal, *kind.emotions.values()):
            if len(group.thresholds) != len(table.coverages):
                return f"{len(group.thresholds)} thresholds for {len(table.coverages)} coverages"
            steps = [math.inf if one is None else one for one in group.thresholds]
            if not all(0 <= one <= other for one, other in pairwise([0.0, *steps])):
                return "thresholds that fall, or below 0"
    return None


def check_coverage(coverage: Any, by: Any = "emotion") -> None:
    """Refuse what is no coverage.

    Raises:
        BimodalError: Not a number above 0 and below 1, or an unknown way to count.

    Example:
        >>> check_coverage(0.9)
    """
    number = isinstance(coverage, int | float) and not isinstance(coverage, bool)
    if not number or not 0 < coverage < 1:
        found = f"'{printable(coverage)[:20]}'" if isinstance(coverage, str) else coverage
        raise BimodalError(f"coverage is {found}, expected a number above 0 and below 1, such as 0.9")
    if by not in (allowed := get_args(CoverageBy)):
        raise BimodalError(f"coverage by '{printable(str(by))[:20]}', expected one of {', '.join(allowed)}")


def choose_set(result: Recognition, table: PredictionSets, coverage: float, by: CoverageBy = "emotion") -> Recognition:
    """A result with its prediction set, ordered by score; its emotion always is in it. None if it abstained.

    Example:
        >>> group = Thresholds(clusters=9, rows=90, thresholds=(0.75,))
        >>> table = PredictionSets(coverages=(0.9,), kinds={"speech": KindSets(unit="speakers", marginal=group)})
        >>> scores = {"anger": 0.6, "fear": 0.3, "sadness": 0.1}
        >>> result = Recognition(emotion="anger", scores=scores, speech_scores=scores, text_scores=None, gate=None)
        >>> choose_set(result, table, 0.8).prediction_set.emotions
        ('anger', 'fear')
    """
    if result.emotion is None:
        return result
    order = sorted(result.scores, key=lambda name: (name != result.emotion, -result.scores[name]))
    kinds = [kind for kind in kinds_of(result) if kind in table.kinds]
    if not kinds:
        note = tell("set-no-rows", kind=_NAMES[kinds_of(result)[0]])
        return _with_set(result, order, coverage, "marginal", note)
    own = by == "emotion" and any(table.kinds[kind].emotions for kind in kinds)
    limits = [thresholds_of(table, kind, order, coverage, by) for kind in kinds]
    greatest = {name: max(one[name] for one in limits) + _ROUNDING for name in order}
    inside = [name for name in order if name == result.emotion or 1 - result.scores[name] <= greatest[name]]
    note = _note(table, kinds, order, coverage, by)
    return _with_set(result, inside, coverage, "emotion" if own else "marginal", note)


def kinds_of(result: Recognition) -> list[Kind]:
    """What a result is made of: the kinds whose thresholds count, the greatest of them for each emotion."""
    return kinds_of_modalities(
        result.speech_scores is not None, result.text_scores is not None, result.transcript_confidence
    )


def kinds_of_modalities(speech: bool, text: bool, confidence: float | None = None) -> list[Kind]:
    """As `kinds_of`. Unsure words, those of speech recognition, may mislead, so speech alone counts beside both.

    Args:
        speech: Whether there is speech.
        text: Whether there are words.
        confidence: Of speech recognition in the words, 0 to 1; None if they were given.

    Example:
        >>> kinds_of_modalities(True, True), kinds_of_modalities(True, True, 0.5), kinds_of_modalities(True, True, 0.0)
        (['both'], ['both', 'speech'], ['speech'])
    """
    if not speech:
        return ["text"]
    if not text or confidence == 0:
        return ["speech"]
    return ["both"] if confidence in (None, 1) else ["both", "speech"]


def thresholds_of(
    table: PredictionSets, kind: Kind, emotions: Sequence[str], coverage: float, by: CoverageBy
) -> dict[str, float]:
    """The threshold of each emotion at a coverage; infinite where the calibration cannot support it.

    Where the clusters of an emotion alone are too few, that of all emotions stands in, but never a smaller one than the
    emotion has at a lower coverage: a higher coverage takes no emotion away.
    """
    found = table.kinds[kind]
    place = _place(table, coverage)
    marginal = _at(found.marginal, place)
    limit = math.inf if marginal is None else marginal
    limits = dict.fromkeys(emotions, limit)
    for name, group in found.emotions.items() if by == "emotion" else ():
        mine = _at(group, place)
        known = [one for one in group.thresholds if one is not None]
        limits[name] = max(limit, *known[-1:]) if mine is None and known else limit if mine is None else mine
    return limits


def _place(table: PredictionSets, coverage: float) -> int | None:
    """Where the least coverage of the table stands that is not below the one asked for; None if there is none."""
    return next((place for place, one in enumerate(table.coverages) if one >= coverage - _ROUNDING), None)


def _at(group: Thresholds, place: int | None) -> float | None:
    return None if place is None else group.thresholds[place]


def _note(table: PredictionSets, kinds: Sequence[Kind], emotions: Sequence[str], coverage: float, by: str) -> str:
    """Why a set holds all emotions, or which emotions cannot have the coverage alone; empty if neither is so."""
    place = _place(table, coverage)
    for found in (table.kinds[kind] for kind in kinds):
        if _at(found.marginal, place) is None:
            most = f"{_most(table, found.marginal):g}"
            return tell("set-coverage", clusters=found.marginal.clusters, unit=found.unit, most=most)
    own = [table.kinds[kind].emotions for kind in kinds if by == "emotion"]
    few = [name for name in emotions if any(name in one and _at(one[name], place) is None for one in own)]
    if not few:
        return ""
    return tell("set-few", coverage=f"{coverage:g}", emotions=", ".join(few))


def _most(table: PredictionSets, group: Thresholds) -> float:
    """The greatest coverage that the clusters support; 0 for none."""
    known = (one for one, limit in zip(table.coverages, group.thresholds, strict=True) if limit is not None)
    return max(known, default=0.0)


def _with_set(result: Recognition, emotions: Sequence[str], coverage: float, by: CoverageBy, note: str) -> Recognition:
    found = PredictionSet(emotions=tuple(emotions), coverage=float(coverage), by=by, note=note or None)
    return replace(result, prediction_set=found)


def describe_sets(table: PredictionSets) -> Iterator[str]:
    """What a table was calibrated on, a sentence for each kind of input, for the model card."""
    for kind, found in table.kinds.items():
        matched = " The pairs were matched by label." if found.matched else ""
        alone = ", ".join(f"{name} ({one.clusters} {found.unit})" for name, one in found.emotions.items())
        rows = f"{found.marginal.rows:,.0f} rows of {found.marginal.clusters:,} {found.unit}"
        upto = f"coverage up to {_most(table, found.marginal):g}"
        yield f"{_NAMES[kind].capitalize()}: {rows}, {upto}. With thresholds of their own: {alone or 'none'}.{matched}"


SECTION: Final = "## Prediction sets"


def sets_section(sentences: Sequence[str]) -> str:
    """What the model card says of prediction sets; nothing without sentences."""
    if not sentences:
        return ""
    listed = "\n".join(f"- {sentence}" for sentence in sentences)
    return f"""{SECTION}
`--coverage 0.9` gives the emotions among which the right one is in 90 % of the utterances. That is promised for new
speakers like those below, not for other corpora, and was calibrated on rows that did not train what scored them:

{listed}

An emotion without thresholds of its own has those of all emotions together.

"""
