"""Label Studio: tasks with annotations, as its export JSON (or JSON-MIN), and as an import with the labelling set-up.

A task has `data` and `annotations`, each of one person; a result is `choices`, `textarea`, `number` or a stretch of
`labels`. Several annotations of a task are several votes. Stretches of a recording become an utterance each. Recordings
are `/data/local-files/?d=PATH` (local storage), or `/data/upload/PROJECT/HASH-NAME` (uploaded). Source:
https://labelstud.io/guide/export and /guide/tasks.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import quote, unquote
from xml.sax.saxutils import quoteattr

from bimodal.data.exchange.info import ExchangeInfo, Outgoing, ReadOptions
from bimodal.data.exchange.recordings import header_reader, link_below
from bimodal.data.exchange.rows import cell_text, read_json, row_cells, rows_as_manifest, write_json_file, write_text
from bimodal.data.labels import join_labels, split_labels
from bimodal.errors import ManifestError
from bimodal.records import Manifest, Utterance

TASKS, SET_UP = "tasks.json", "labelling.xml"
LOCAL: Final = "/data/local-files/?d="
UPLOADED: Final = re.compile(r"/data/upload/\d+/[0-9a-f]{8}-(.+)")
URL: Final = re.compile(r"(?:https?|s3|gs|azure-blob)://")
TEXTS, AUDIO = ("text", "transcript", "transcription"), ("audio", "path", "file", "recording")

Region = dict[str, Any]
"""A stretch: its `start` and `end`, `emotions`, `words`."""


def read(source: Path, options: ReadOptions) -> Manifest:
    """Utterances of an export: one for each task, or for each stretch of it that has a choice.

    Raises:
        ManifestError: There is no list of tasks, or a recording is an address of the network.
    """
    file = source / TASKS if source.is_dir() and (source / TASKS).is_file() else source
    files = [file] if file.is_file() else sorted(source.glob("*.json"))
    if len(files) != 1:
        raise ManifestError(f"{source}: {len(files)} files end in .json, expected one export of Label Studio; name it")
    tasks = read_json(files[0])
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise ManifestError(
            f"{files[0]}: found no list of tasks, expected an export of Label Studio as JSON or JSON-MIN"
        )
    folder = files[0].parent
    rows: list[dict[str, str | float]] = []
    for number, task in enumerate(tasks, start=1):
        try:
            rows += _task(task, number, files[0])
        except ManifestError as error:
            raise ManifestError(f"{files[0]}: task {number}: {error}") from error
    return rows_as_manifest(rows, folder, files[0], options.root)


def _task(task: Mapping[str, Any], number: int, file: Path) -> Iterator[dict[str, str | float]]:
    """Rows of a task."""
    if not isinstance(task.get("data"), dict):
        yield _small(task, number, file)
        return
    data = dict(task["data"])
    name = cell_text(data.pop("id", task.get("id", number)))
    cells = {key: cell_text(value) for key, value in data.items() if key not in (*AUDIO, *TEXTS)}
    cells |= _recording(data, file) | {"transcript": next((cell_text(data[key]) for key in TEXTS if data.get(key)), "")}
    regions = _regions(task)
    stretches = [region for region in regions if region["end"] is not None]
    if not stretches:
        told = regions[0] if regions else {"emotions": [], "words": ""}
        yield _row(cells, told, name)
        return
    for place, region in enumerate(stretches, start=1):
        times = {"start": region["start"], "end": region["end"]}
        yield {**_row(cells, region, name if len(stretches) == 1 else f"{name}-{place}"), **times}


def _row(cells: Mapping[str, str], region: Region, name: str) -> dict[str, str | float]:
    emotion = join_labels(region["emotions"]) or cells.get("emotion", "")
    return {**cells, "id": name, "emotion": emotion, "transcript": region["words"] or cells["transcript"]}


def _small(task: Mapping[str, Any], number: int, file: Path) -> dict[str, str | float]:
    """A row of JSON-MIN, where results stand beside the data."""
    left = ("annotator", "annotation_id", "created_at", "updated_at", "lead_time", "id")
    cells = {key: cell_text(_choices(value)) for key, value in task.items() if key not in (*left, *AUDIO, *TEXTS)}
    words = next((cell_text(_choices(task[key])) for key in TEXTS if task.get(key)), "")
    return {**cells, **_recording(task, file), "id": cell_text(task.get("id", number)), "transcript": words}


def _choices(value: Any) -> Any:
    return value.get("choices", value.get("text")) if isinstance(value, dict) else value


def _recording(data: Mapping[str, Any], file: Path) -> dict[str, str]:
    """The recording of a task as a path relative to the export."""
    named = next((cell_text(data[key]) for key in AUDIO if data.get(key)), "")
    if URL.match(named):
        raise ManifestError(
            f"the recording {named[:100]!r} is an address, expected a file; download the recordings beside the "
            "export and write their paths into it"
        )
    if named.startswith(LOCAL):
        return {"path": unquote(named.removeprefix(LOCAL))}
    if match := UPLOADED.fullmatch(named):
        names = (PurePosixPath(named).name, match[1])  # exported with the recordings, or as they were called
        found = next((one for name in names for one in sorted(file.parent.rglob(unquote(name)))), None)
        return {"path": found.relative_to(file.parent).as_posix() if found else unquote(match[1])}
    return {"path": named}


def _regions(task: Mapping[str, Any]) -> list[Region]:
    """What people said of the whole, or of each stretch; votes of several people are joined."""
    regions: dict[tuple[float | None, float | None], Region] = {}
    for annotation in _listed(task, "annotations"):
        results = [] if annotation.get("was_cancelled") else _listed(annotation, "result")
        for value in (result["value"] for result in results if isinstance(result.get("value"), dict)):
            place = (_seconds(value, "start"), _seconds(value, "end")) if "end" in value else (None, None)
            region = regions.setdefault(place, {"start": place[0], "end": place[1], "emotions": [], "words": ""})
            choices, words = value.get("choices"), value.get("text")
            region["emotions"] += [cell_text(choice) for choice in (choices if isinstance(choices, list) else [])]
            region["words"] = " ".join(map(str, words)) if isinstance(words, list) and words else region["words"]
    return list(regions.values())


def _listed(holder: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects of a list; nothing for null.

    Raises:
        ManifestError: It is something else.
    """
    found = holder.get(name) or []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ManifestError(f"{name} holds {str(found)[:40]!r}, expected a list of objects; export the tasks again")
    return found


def _seconds(value: Mapping[str, Any], name: str) -> float:
    found = value.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ManifestError(f"{name} of a stretch is {str(found)[:40]!r}, expected seconds; export the tasks again")
    return float(found)


def write(outgoing: Outgoing) -> Iterator[str]:
    """Write `tasks.json`, `labelling.xml` and the recordings. Each vote is an annotation of its own.

    Label Studio reads the recordings from local storage: its root must be the folder that is written.

    Raises:
        ManifestError: A recording cannot be written.
    """
    header_of = header_reader(outgoing)
    ended = tuple(
        row
        if row.path is None or row.start is None or row.end is not None
        else replace(row, end=header_of(row.path).duration)
        for row in outgoing.utterances
    )
    rows = link_below(outgoing, ended)
    write_json_file(outgoing.folder / TASKS, [_as_task(row, number) for number, row in enumerate(rows, start=1)])
    labels = dict.fromkeys(label for row in rows if row.emotion for label in split_labels(row.emotion))
    write_text(outgoing.folder / SET_UP, _set_up(list(labels), spoken=any(row.path for row in rows)))
    yield from ()


def _as_task(row: Utterance, number: int) -> dict[str, Any]:
    cells = {name: value for name, value in row_cells(row).items() if name not in ("path", "start", "end", "emotion")}
    data: dict[str, Any] = {"text" if name == "transcript" else name: value for name, value in cells.items()}
    if row.path is not None:
        data["audio"] = LOCAL + quote(row.path)
    votes = split_labels(row.emotion) if row.emotion is not None else ()
    annotations = [{"id": 1000 * number + vote, "result": _result(row, label)} for vote, label in enumerate(votes)]
    if not votes and row.end is not None:
        annotations = [{"id": 1000 * number, "result": _result(row, None)}]
    return {"id": number, "data": data, "annotations": annotations, "predictions": []}


def _result(row: Utterance, label: str | None) -> list[dict[str, Any]]:
    """The stretch of a row, if it has one, and the choice of one person."""
    target = "audio" if row.path is not None else "text"
    times = {} if row.end is None else {"start": row.start or 0.0, "end": row.end}
    region = {"id": "stretch"} if times else {}
    found = []
    if times:
        value = {**times, "labels": ["utterance"]}
        found = [{**region, "from_name": "stretch", "to_name": target, "type": "labels", "value": value}]
    if label is not None:
        value = {**times, "choices": [label]}
        found.append({**region, "from_name": "emotion", "to_name": target, "type": "choices", "value": value})
    return found


def _set_up(labels: Sequence[str], *, spoken: bool) -> str:
    choices = "\n".join(f"    <Choice value={quoteattr(label)}/>" for label in labels)
    target = "audio" if spoken else "text"
    shown = '  <Audio name="audio" value="$audio"/>\n' if spoken else ""
    stretch = (
        '  <Labels name="stretch" toName="audio">\n    <Label value="utterance"/>\n  </Labels>\n' if spoken else ""
    )
    return (
        f'<View>\n  <Text name="text" value="$text"/>\n{shown}{stretch}'
        f'  <Choices name="emotion" toName="{target}" choice="multiple">\n{choices}\n  </Choices>\n</View>\n'
    )


def recognise(source: Path) -> bool:
    """Whether this is a JSON list, or a folder with one called `tasks.json`."""
    file = source / TASKS if source.is_dir() else source
    if not file.is_file() or file.suffix.lower() != ".json":
        return False
    with file.open("rb") as stream:
        return stream.read(4096).lstrip().startswith(b"[")


FORMAT: Final = ExchangeInfo(
    read=read,
    write=write,
    recognise=recognise,
    title="Label Studio: tasks with annotations",
    files="tasks.json, labelling.xml, audio/",
)
