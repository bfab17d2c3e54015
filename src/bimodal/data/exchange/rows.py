"""Cells of another format's rows, as a manifest: the manifest's own reader checks them."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bimodal.data.labels import join_labels, split_labels
from bimodal.data.manifest import inspect_bytes
from bimodal.errors import ManifestError
from bimodal.records import Manifest, Utterance, describe_problems

Cells = Mapping[str, str | float | None]
"""A row: names as in a manifest, or names of other programs that a manifest knows."""


def rows_as_manifest(rows: Iterable[Cells], folder: Path, source: Path, root: Path | None = None) -> Manifest:
    """A manifest of rows that were read elsewhere; all problems are reported at once, each with the number of its row.

    Args:
        rows: Cells of each row.
        folder: Folder that the paths are relative to.
        source: Where the rows come from, for messages.
        root: As in `read_manifest`.

    Raises:
        ManifestError: There are no rows, or anything in them is wrong.
    """
    content = "".join(json.dumps(dict(row)) + "\n" for row in rows)
    if not content:
        raise ManifestError(f"{source}: no utterances in it; copy or export it again")
    reading = inspect_bytes(content.encode(), folder / "rows.jsonl", ("pros_*", "feature_*"), root)
    if reading.problems:
        named = [
            replace(problem, where=f"{source}: row {problem.where.rpartition(':')[2]}") for problem in reading.problems
        ]
        raise ManifestError(describe_problems(named))
    return reading.manifest


def cell_text(value: Any) -> str:
    """A value of another format as the text of a cell: several labels with `|` between, nothing for no value.

    Example:
        >>> cell_text(["joy", "surprise"]), cell_text(None), cell_text(2.0), cell_text(True)
        ('joy|surprise', '', '2', 'true')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, list | tuple | set):
        return join_labels(cell_text(item) for item in value)
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def row_cells(utterance: Utterance) -> dict[str, str | float]:
    """The fields and other columns of an utterance that are not empty, by their names in a manifest."""
    fields = ("id", "path", "start", "end", "transcript", "emotion", "speaker", "split", "lang", "dialogue")
    found = {name: getattr(utterance, name) for name in fields}
    return {name: value for name, value in {**found, **utterance.extra}.items() if value is not None and value != ""}


def many(count: int, what: str = "row") -> str:
    """A count with its noun.

    Example:
        >>> many(1), many(2_000, "id")
        ('1 row', '2,000 ids')
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def most_frequent(cell: str) -> str:
    """The label that stands most often in a cell; the first of those that stand as often.

    Example:
        >>> most_frequent("joy|anger|anger"), most_frequent("joy|anger")
        ('anger', 'joy')
    """
    labels = split_labels(cell)
    return max(labels, key=labels.count)


def with_several_labels(utterances: Iterable[Utterance]) -> int:
    """How many utterances have several labels."""
    return sum(len(split_labels(row.emotion)) > 1 for row in utterances if row.emotion is not None)


def read_json(file: Path) -> Any:
    """Content of a JSON file.

    Raises:
        ManifestError: It cannot be read or is not JSON.
    """
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        raise ManifestError(f"{file}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{file}: not JSON ({str(error)[:200]}); copy or export it again") from error


def json_lines(file: Path, content: bytes | None = None) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file.

    Args:
        file: The file, for messages, and to read.
        content: What it holds, where it was read already.

    Raises:
        ManifestError: It cannot be read, or a line is no JSON object.
    """
    try:
        lines = (file.read_bytes() if content is None else content).splitlines()
    except OSError as error:
        raise ManifestError(f"{file}: cannot be read ({error.strerror})") from error
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ManifestError(f"{file}:{number}: not JSON ({str(error)[:100]}); copy the file again") from error
        if not isinstance(item, dict):
            raise ManifestError(f"{file}:{number}: found a {type(item).__name__}, expected an object")
        found.append(item)
    return found


def write_text(file: Path, text: str) -> None:
    """Write a text file as UTF-8 with line feeds, and its folders."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8", newline="\n")


def write_json_file(file: Path, content: Any) -> None:
    """Write readable JSON, and its folders."""
    write_text(file, json.dumps(content, ensure_ascii=False, indent=2) + "\n")
