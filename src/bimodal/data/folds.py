"""Protocols: how the rows of a manifest are divided into folds. `PROTOCOLS` is the table of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from bimodal.data.similar_texts import text_groups
from bimodal.data.split_files import read_folds
from bimodal.data.splits import Fold, crossed_folds, deal, joined_groups, speaker_folds
from bimodal.errors import SplitError
from bimodal.records import Utterance

_PARTS: Final = 5  # folds of texts, where no number is given
_CROSSED_PARTS: Final = 4  # of speakers and of texts, which makes up to 16 folds


@dataclass(frozen=True, kw_only=True)
class FoldRequest:
    """What a protocol divides.

    Attributes:
        rows: The labelled utterances that are used.
        emotions: Emotion of each row.
        manifest: All utterances of the manifest.
        argument: What stands behind the protocol's name: a number, a column or a file; empty for none.
        seed: Decides between equal choices.
    """

    rows: Sequence[Utterance]
    emotions: Sequence[str]
    manifest: Sequence[Utterance]
    argument: str = ""
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A way to divide a manifest.

    Attributes:
        form: What to write behind `--folds`.
        summary: What it does, in one sentence.
        make: Makes the folds.
    """

    form: str
    summary: str
    make: Callable[[FoldRequest], tuple[Fold, ...]]


def _by_speaker(request: FoldRequest) -> tuple[Fold, ...]:
    return speaker_folds(_speakers(request.rows), int(request.argument), seed=request.seed)


def _one_speaker_out(request: FoldRequest) -> tuple[Fold, ...]:
    return speaker_folds(_speakers(request.rows), "loso", seed=request.seed)


def _one_group_out(request: FoldRequest) -> tuple[Fold, ...]:
    return group_folds(_column(request.rows, request.argument), request.argument)


def _by_text(request: FoldRequest) -> tuple[Fold, ...]:
    groups = text_groups(_texts(request.rows))
    count = _number(request, min(_PARTS, len(set(groups))))
    return _dealt_folds(groups, request, count, "texts")


def _by_text_and_speaker(request: FoldRequest) -> tuple[Fold, ...]:
    """Whole groups of speakers and texts where chains of shared ones fall apart; else the two are crossed."""
    speakers, texts = _speakers(request.rows), text_groups(_texts(request.rows))
    joined = joined_groups(speakers, texts)
    count = _number(request, min(_PARTS, len(set(joined))))
    if 2 <= count <= len(set(joined)):
        return _dealt_folds(joined, request, count, "groups of speakers and texts")
    count = _number(request, min(_CROSSED_PARTS, len(set(speakers)), len(set(texts))))
    return crossed_folds(speakers, texts, count, strata=request.emotions, seed=request.seed)


def _official(request: FoldRequest) -> tuple[Fold, ...]:
    parts = {name: _rows_of_split(request.rows, name) for name in ("train", "dev", "test")}
    for name in ("train", "test"):
        if not parts[name]:
            raise SplitError(f"no labelled row has the split {name!r}: fill the column split with train, dev and test")
    dev = parts["dev"] or None
    return (Fold(name="official", train=parts["train"], test=parts["test"], dev=dev),)


def _rows_of_split(rows: Sequence[Utterance], name: str) -> tuple[int, ...]:
    """A row without a split is for training, as in `bimodal train`."""
    return tuple(row for row, utterance in enumerate(rows) if (utterance.split or "train") == name)


def _from_file(request: FoldRequest) -> tuple[Fold, ...]:
    return read_folds(Path(request.argument), request.rows, request.manifest)


PROTOCOLS: Final[Mapping[str, Protocol]] = {
    "loso": Protocol(form="loso", summary="One speaker out: each speaker is a fold.", make=_one_speaker_out),
    "number": Protocol(form="5", summary="That number of folds of whole speakers.", make=_by_speaker),
    "column": Protocol(
        form="session",
        summary="Any column of the manifest, such as session or corpus: each of its values is a fold. Write "
        "column:NAME for a column that is named like a protocol.",
        make=_one_group_out,
    ),
    "script": Protocol(
        form="script",
        summary="Unseen texts: no text, and no near-duplicate of one, is in train and test. script:4 makes 4 folds.",
        make=_by_text,
    ),
    "script+speaker": Protocol(
        form="script+speaker",
        summary="Unseen texts and unseen speakers. Rows that share one of both with a test part are left out of its "
        "training part.",
        make=_by_text_and_speaker,
    ),
    "official": Protocol(
        form="official", summary="The manifest's own split: the column split with train, dev, test.", make=_official
    ),
    "file": Protocol(
        form="splits.json",
        summary="Splits from a file: splits.json of an earlier report, CSV with id and fold, or EmoBox.",
        make=_from_file,
    ),
}
"""All protocols by name; `read_protocol` says which one is meant."""


def describe_protocols() -> str:
    """What `--folds` takes, one form after the other."""
    return "; ".join(f"'{protocol.form}'" for protocol in PROTOCOLS.values())


def read_protocol(folds: str, columns: Sequence[str]) -> tuple[str, str]:
    """The protocol that is meant, and its argument.

    Args:
        folds: What stands behind `--folds`.
        columns: Of the manifest.

    Raises:
        SplitError: It is no protocol, column or file.

    Example:
        >>> read_protocol("5", []), read_protocol("script:4", []), read_protocol("session", ["session"])
        (('number', '5'), ('script', '4'), ('column', 'session'))
    """
    name, _, argument = folds.partition(":")
    if folds.isdecimal() and folds.isascii():
        return "number", folds
    if name in ("loso", "official") and not argument:
        return name, ""
    if name in ("script", "script+speaker", "column") and (argument or name != "column"):
        return name, argument
    if folds in columns:
        return "column", folds
    if Path(folds).exists():
        return "file", folds
    raise SplitError(
        f"--folds {folds}: no protocol, no column of the manifest and no file, expected one of {describe_protocols()}; "
        f"the columns are {', '.join(columns)}"
    )


def make_folds(
    folds: str,
    rows: Sequence[Utterance],
    emotions: Sequence[str],
    manifest: Sequence[Utterance] | None = None,
    seed: int = 0,
) -> tuple[Fold, ...]:
    """Divide rows by a protocol.

    Args:
        folds: See `PROTOCOLS`.
        rows: The labelled utterances that are used.
        emotions: Emotion of each row.
        manifest: All utterances of the manifest; None for `rows`.
        seed: Decides between equal choices.

    Raises:
        SplitError: The protocol is unknown, or the rows cannot be divided in this way.

    Example:
        >>> rows = [Utterance(id=name, speaker=name[0], extra={"session": name[1]}) for name in ("a1", "b1", "c2")]
        >>> [fold.test for fold in make_folds("session", rows, ["joy", "fear", "joy"])]
        [(0, 1), (2,)]
    """
    everything = rows if manifest is None else manifest
    name, argument = read_protocol(folds, columns_of(everything))
    request = FoldRequest(rows=rows, emotions=emotions, manifest=everything, argument=argument, seed=seed)
    return PROTOCOLS[name].make(request)


def columns_of(utterances: Sequence[Utterance]) -> tuple[str, ...]:
    """Columns by whose values a manifest can be divided."""
    own = [name for name in _FIELDS if any(getattr(utterance, name) for utterance in utterances)]
    return (*own, *dict.fromkeys(name for utterance in utterances for name in utterance.extra))


_FIELDS: Final = ("speaker", "dialogue", "lang", "split", "emotion")


def group_folds(values: Sequence[str], column: str) -> tuple[Fold, ...]:
    """One fold for each value, which is tested by what was trained on all others.

    Args:
        values: One per utterance.
        column: Where they come from, for the error.

    Raises:
        SplitError: There is one value alone.

    Example:
        >>> [(fold.name, fold.test) for fold in group_folds(["b", "a", "b"], "corpus")]
        [('a', (1,)), ('b', (0, 2))]
    """
    names = sorted(set(values))
    if len(names) < 2:
        raise SplitError(f"column {column!r} has one value ({names[0] if names else None!r}), so none can be left out")
    places = {name: tuple(row for row, value in enumerate(values) if value == name) for name in names}
    return tuple(Fold(name=name, train=_others(len(values), test), test=test) for name, test in places.items())


def _others(count: int, test: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(set(range(count)) - set(test)))


def _dealt_folds(groups: Sequence[str], request: FoldRequest, count: int, what: str) -> tuple[Fold, ...]:
    """Folds of whole groups, the emotions as even as can be."""
    if not 2 <= count <= len(set(groups)):
        raise SplitError(f"{count} folds of {len(set(groups))} {what}: expected 2 to {len(set(groups))} folds")
    part = deal(groups, request.emotions, count, np.random.default_rng(request.seed))
    return group_folds([str(1 + part[group]) for group in groups], what)


def _number(request: FoldRequest, otherwise: int) -> int:
    """The number of folds that is asked for."""
    if request.argument and not (request.argument.isascii() and request.argument.isdecimal()):
        raise SplitError(f"--folds script:{request.argument}: expected a number behind the colon, such as script:4")
    return int(request.argument) if request.argument else otherwise


def _speakers(rows: Sequence[Utterance]) -> list[str | None]:
    return [utterance.speaker for utterance in rows]


def _texts(rows: Sequence[Utterance]) -> list[str]:
    """The words of each row.

    Raises:
        SplitError: Some rows have none.
    """
    without = [utterance.id for utterance in rows if not utterance.transcript]
    if without:
        raise SplitError(
            f"{len(without)} of {len(rows)} rows have no transcript, such as {without[0]!r}; folds of unseen texts "
            "need the words of all: add them ('bimodal transcribe' does), or leave these rows out"
        )
    return [utterance.transcript or "" for utterance in rows]


def _column(rows: Sequence[Utterance], name: str) -> list[str]:
    """The value of a column in each row.

    Raises:
        SplitError: Some rows have none.
    """
    values = [getattr(row, name) if name in _FIELDS else row.extra.get(name) for row in rows]
    empty = [row.id for row, value in zip(rows, values, strict=True) if not value]
    if empty:
        raise SplitError(
            f"{len(empty)} of {len(rows)} rows have no value in the column {name!r}, such as {empty[0]!r}: fill it, or "
            "leave these rows out"
        )
    return [str(value) for value in values]
