"""Recognitions as a pandas data frame."""

from collections.abc import Iterable
from typing import Any

from bimodal.errors import BimodalError
from bimodal.output.formats import FIRST_COLUMNS, LAST_COLUMNS, column_value
from bimodal.records import Recognition


def to_frame(results: Iterable[Recognition]) -> Any:
    """Results as a `pandas.DataFrame`, one row for each.

    Args:
        results: Of one model; a generator is used up.

    Returns:
        The columns of the CSV format (times, speaker, emotion, one column for each emotion's score, ...) and `warnings`
        as text. Scores of a result with an error are missing.

    Raises:
        BimodalError: pandas is not installed.

    Example:
        >>> calm = Recognition(emotion="calm", scores={"calm": 1.0}, speech_scores=None, text_scores=None, gate=None)
        >>> to_frame([calm])[["emotion", "calm"]].values.tolist()  # doctest: +SKIP
        [['calm', 1.0]]
    """
    try:
        import pandas  # local: optional, and slow to import
    except ModuleNotFoundError as error:
        raise BimodalError("to_frame needs pandas: pip install pandas") from error
    rows = list(results)
    emotions = list(dict.fromkeys(emotion for result in rows for emotion in result.scores))
    columns = [*FIRST_COLUMNS, *emotions, *LAST_COLUMNS, "warnings"]
    return pandas.DataFrame([_row(result) for result in rows], columns=columns)


def _row(result: Recognition) -> dict[str, Any]:
    named = {name: column_value(result, name) for name in (*FIRST_COLUMNS, *LAST_COLUMNS)}
    return {**result.scores, **named, "warnings": "; ".join(result.warnings)}
