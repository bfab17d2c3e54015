"""audformat: `db.yaml` with schemes and tables, a CSV or Parquet file for each table (audEERING).

The package `audformat` reads and writes it. Tables are by file or by stretch of a file; the emotion is the column
`emotion` of one table or several, and tables by file say the speaker, the words and more of each file. Splits belong to
tables. Source: https://audeering.github.io/audformat.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bimodal.data.exchange.info import ExchangeInfo, Outgoing, ReadOptions
from bimodal.data.exchange.recordings import link_below, spoken
from bimodal.data.exchange.rows import cell_text, many, row_cells, rows_as_manifest, with_several_labels
from bimodal.data.manifest import SPLITS
from bimodal.errors import ManifestError
from bimodal.records import Manifest, Utterance

HEADER = "db.yaml"
FIELDS: Final = {"transcription": "transcript", "text": "transcript", "language": "lang"}
TABLE = "utterances"
_SCHEMES: Final = {"transcript": "transcription", "lang": "language"}  # names that audformat's corpora use

Stretch = tuple[str, float | None, float | None]
"""File, start and end in seconds."""


def read(source: Path, options: ReadOptions) -> Manifest:
    """Utterances of the tables with emotions, with what the other tables say of them.

    Args:
        source: Folder with `db.yaml`.
        options: `table` names the table with the emotions, where several differ.

    Raises:
        ManifestError: The header or a table is missing or damaged, a table is a pickle, or two tables give a recording
            another emotion.
    """
    database = _load(source)
    tables = {name: database[name] for name in database.tables}
    if options.table and options.table not in tables:
        raise ManifestError(f"{source}: no table {options.table!r}, expected one of {sorted(tables)}")
    main = [name for name in tables if "emotion" in tables[name].columns] or list(tables)
    main = [options.table] if options.table else main
    rows: dict[Stretch, dict[str, str]] = {}
    for name in main:
        for place, cells in _table(database, name, source).items():
            _add(rows.setdefault(place, {}), cells, name, source)
    others = [_table(database, name, source) for name in tables if name not in main]
    return rows_as_manifest(_completed(rows, others), source, source, options.root)


def _load(source: Path) -> Any:
    try:
        import audformat  # an extra; loads pandas
    except ModuleNotFoundError as error:
        raise ManifestError("audformat needs its package: pip install 'bimodal-emotion[exchange]'") from error
    if not (source / HEADER).is_file():
        raise ManifestError(f"{source}: no {HEADER} in this folder, expected a database of audformat")
    if pickles := sorted(source.glob("db.*.pkl")):
        raise ManifestError(f"{pickles[0]}: a pickle may run code and is never read; delete it, keep .csv or .parquet")
    try:
        return audformat.Database.load(str(source), load_data=True)
    except Exception as error:  # whatever YAML, pandas or pyarrow say of a damaged database
        raise ManifestError(f"{source}: not a database that audformat can read ({_shown(error)})") from error


def _shown(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _table(database: Any, name: str, source: Path) -> dict[Stretch, dict[str, str]]:
    """Cells of each stretch of a table."""
    table = database[name]
    frame = table.get()
    columns = [(column, _labels(database, table.columns[column])) for column in frame.columns]
    split = _split(database, table)
    found: dict[Stretch, dict[str, str]] = {}
    for index, values in zip(frame.index, frame.itertuples(index=False, name=None), strict=True):
        place = index if isinstance(index, tuple) else (index, None, None)
        cells = dict(split)
        for (column, labels), value in zip(columns, values, strict=True):
            cells |= _cells(column, _text(value), labels)
        found[(str(place[0]), _seconds(place[1]), _seconds(place[2]))] = cells
    if not found:
        raise ManifestError(
            f"{source}: the table {name!r} has no rows; export it again, or name another one with --table"
        )
    return found


def _labels(database: Any, column: Any) -> Mapping[str, Any]:
    """What the scheme of a column says of each of its labels; empty for a scheme without more to say."""
    labels = database.schemes[column.scheme_id].labels if column.scheme_id else None
    return labels if isinstance(labels, Mapping) else {}


def _split(database: Any, table: Any) -> dict[str, str]:
    if table.split_id is None:
        return {}
    kind = SPLITS.get(str(database.splits[table.split_id].type))
    return {"split": kind} if kind else {}


def _text(value: Any) -> str:
    import pandas  # with audformat

    return "" if pandas.isna(value) else cell_text(value.item() if hasattr(value, "item") else value)


def _seconds(value: Any) -> float | None:
    import pandas  # with audformat

    return None if value is None or pandas.isna(value) else float(value.total_seconds())


def _cells(column: str, value: str, labels: Mapping[str, Any]) -> dict[str, str]:
    """A cell with what its scheme says of the label: the words of a transcript, age and gender of a speaker."""
    field, about = FIELDS.get(column, column), labels.get(value)
    if not value:
        return {}
    if isinstance(about, str):
        return {field: about}
    if not isinstance(about, Mapping):
        return {field: value}
    if field == "transcript" and about:
        return {field: cell_text(next(iter(about.values()))), column: value}
    return {field: value, **{str(name): cell_text(told) for name, told in about.items()}}


def _add(row: dict[str, str], cells: Mapping[str, str], name: str, source: Path) -> None:
    if row.get("emotion", cells.get("emotion")) != cells.get("emotion"):
        raise ManifestError(
            f"{source}: the table {name!r} gives the emotion {cells.get('emotion')!r} where another gives "
            f"{row['emotion']!r}; name the table to read with --table"
        )
    row.update(cells)


def _completed(
    rows: Mapping[Stretch, Mapping[str, str]], others: Sequence[Mapping[Stretch, Mapping[str, str]]]
) -> Iterator[dict[str, str | float | None]]:
    """The rows, with what other tables say of their stretch or of their file."""
    for place, cells in rows.items():
        more: dict[str, str] = {}
        for table in others:
            more |= {**table.get((place[0], None, None), {}), **table.get(place, {})}
        start = None if place[1] == 0.0 and place[2] is None else place[1]
        yield {**more, **cells, "path": place[0], "start": start, "end": place[2]}


def write(outgoing: Outgoing) -> Iterator[str]:
    """Write a database of one table, `utterances`, and the recordings.

    Emotions are a scheme with labels, or plain text where rows have several.

    Raises:
        ManifestError: The package is not installed, no row has a recording, or two rows are the same stretch.
    """
    try:
        import audformat  # an extra; loads pandas
    except ModuleNotFoundError as error:
        raise ManifestError("audformat needs its package: pip install 'bimodal-emotion[exchange]'") from error
    lost: list[str] = []
    rows = spoken(outgoing, "audformat", lost)
    _refuse_same_stretch(rows)
    linked = link_below(outgoing, rows)
    database = audformat.Database(outgoing.name, usage=audformat.define.Usage.OTHER)
    table = audformat.Table(_index(audformat, linked))
    database[TABLE] = table
    cells = [row_cells(row) for row in rows]
    for column in dict.fromkeys(name for told in cells for name in told if name not in ("path", "start", "end")):
        name = _SCHEMES.get(column, column)
        values = [None if (value := told.get(column)) is None else str(value) for told in cells]
        labelled = column in ("emotion", "speaker") and not (column == "emotion" and with_several_labels(rows))
        labels = list(dict.fromkeys(value for value in values if value is not None)) if labelled else None
        database.schemes[name] = audformat.Scheme("str", labels=labels)
        table[name] = audformat.Column(scheme_id=name)
        table[name].set(values)
    database.save(str(outgoing.folder), storage_format=audformat.define.TableStorageFormat.CSV)
    if several := with_several_labels(rows):
        lost.append(f"{many(several)} with several emotions: the scheme 'emotion' is plain text, with | between labels")
    yield from lost


def _refuse_same_stretch(rows: Sequence[Utterance]) -> None:
    places: dict[tuple[str | None, float, float | None], Utterance] = {}
    again = [row for row in rows if places.setdefault((row.path, row.start or 0.0, row.end), row) is not row]
    if again:
        raise ManifestError(
            f"utterance {again[0].id!r}: another row has the same stretch of {again[0].path!r}, and audformat "
            "has one row for each stretch; remove one"
        )


def _index(audformat: Any, rows: Sequence[Utterance]) -> Any:
    import pandas  # with audformat

    files = [row.path for row in rows]
    if all(row.start is None and row.end is None for row in rows):
        return audformat.filewise_index(files)
    starts = [pandas.Timedelta(seconds=row.start or 0.0) for row in rows]
    ends = [pandas.NaT if row.end is None else pandas.Timedelta(seconds=row.end) for row in rows]
    return audformat.segmented_index(files, starts, ends)


def recognise(source: Path) -> bool:
    """Whether a folder has a header of audformat."""
    return (source / HEADER).is_file()


FORMAT: Final = ExchangeInfo(
    read=read,
    write=write,
    recognise=recognise,
    title="audformat: a database of audEERING, also of audb and nkululeko",
    files="db.yaml, db.utterances.csv, audio/",
)
