"""Which rows a model is evaluated on, and whether it was trained or calibrated on them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bimodal.data.manifest import ManifestSource, open_manifest
from bimodal.errors import BimodalError, SplitError
from bimodal.inference.installed import find_model
from bimodal.inference.seen_rows import SEEN_ROWS, RowsFound, SeenRows, find_seen_rows, load_seen_rows
from bimodal.records import Manifest, Utterance

_MOST_WORDS: Final = 0.5  # of the rows without a recording: short texts such as "Yes." occur in any two corpora


def choose_rows(read: Manifest, split: str) -> tuple[list[Utterance], list[str]]:
    """The utterances of a split (see `evaluate_model`), and a note that names it.

    Raises:
        SplitError: There is no such split.
    """
    known = {utterance.split for utterance in read.utterances}
    wanted = split or ("test" if "test" in known else "")
    if not wanted:
        return list(read.utterances), ["there is no split 'test', so all rows are tested"]
    if wanted not in known:
        there = sorted(name for name in known if name)
        expected = f"expected one of {there}" if there else "the manifest has no splits"
        raise SplitError(f"{read.path}: no split '{wanted}'; {expected}")
    return [utterance for utterance in read.utterances if utterance.split == wanted], [f"split '{wanted}'"]


def rows_to_calibrate(read: Manifest, split: str) -> list[Utterance]:
    """The utterances of a split; by default `dev` if there is one, else all but `test`, which is kept for figures.

    Raises:
        SplitError: There is no such split, or nothing but `test`.
    """
    known = {utterance.split for utterance in read.utterances}
    if split or "dev" in known:
        return choose_rows(read, split or "dev")[0]
    rows = [utterance for utterance in read.utterances if utterance.split != "test"]
    if not rows:
        raise SplitError(
            f"{read.path}: all rows are in the split 'test'; no figure on rows that calibrated a model counts. Name "
            "other recordings, or say --split test"
        )
    return rows


def check_seen_rows(model: str | Path, manifest: ManifestSource, *, split: str = "", allow: bool = False) -> str:
    """Refuse to evaluate a model on rows that it was trained or calibrated on.

    Args:
        model: Model folder.
        manifest: As in `evaluate_model`.
        split: As in `evaluate_model`.
        allow: Do not refuse.

    Returns:
        What stands in front of the report: that it has such rows; empty if it has none.

    Raises:
        BimodalError: There are such rows, and `allow` is False.
    """
    read = open_manifest(manifest)
    sentence = _seen(find_model(str(model)), read, split) or ""
    if sentence and not allow:
        raise BimodalError(
            f"{read.path}: {sentence}; figures on them say nothing about new recordings. Evaluate on other rows, or "
            "with --folds, which trains a new model for each fold; --seen-rows evaluates on these rows anyway"
        )
    return f"WARNING: {sentence}. The figures are too good." if sentence else ""


def describe_seen(found: RowsFound, rows: Sequence[Utterance]) -> str:
    """A sentence on rows that a model has seen; empty if there are none, or so few as any two corpora share words.

    Example:
        >>> rows = [Utterance(id=name, path=f"{name}.wav") for name in "abc"]
        >>> describe_seen(RowsFound(recordings=("b",), words=(), without_recording=0), rows)
        "the model was trained or calibrated on 1 of 3 rows, such as 'b'"
    """
    words = found.words if len(found.words) > _MOST_WORDS * found.without_recording else ()
    seen = (*found.recordings, *words)
    if not seen:
        return ""
    return f"the model was trained or calibrated on {len(seen):,} of {len(rows):,} rows, such as {seen[0]!r}"


def describe_seen_rows(seen: SeenRows, rows: Sequence[Utterance], folder: Path) -> str:
    """As `describe_seen`, for the labelled ones among rows of a manifest in a folder."""
    labelled = [row for row in rows if row.emotion is not None]
    return describe_seen(find_seen_rows(seen, labelled, folder), labelled)


def note_on_seen(model: Path, read: Manifest, split: str) -> list[str]:
    """A note for a report: that a model has seen rows of a manifest, or that its folder does not say."""
    sentence = _seen(model, read, split)
    if sentence is None:
        return [f"It is unknown whether the model was trained on these rows: its folder has no {SEEN_ROWS}."]
    return [f"{sentence[0].upper()}{sentence[1:]}."] if sentence else []


def _seen(model: Path, read: Manifest, split: str) -> str | None:
    """As `describe_seen`, for the labelled rows of a split; None if the model's folder does not say."""
    seen = load_seen_rows(model)
    if seen is None:
        return None
    return describe_seen_rows(seen, choose_rows(read, split)[0], read.folder)
