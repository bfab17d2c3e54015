"""Recordings of what is converted: where they lie, where they go, how long they are."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from bimodal.audio.decode import AudioHeader, read_header
from bimodal.data.exchange.info import Outgoing
from bimodal.data.exchange.rows import many
from bimodal.data.links import link_recording
from bimodal.errors import ManifestError
from bimodal.records import Manifest, Problem, Utterance, describe_problems


def find_files(manifest: Manifest, root: Path | None, source: Path) -> tuple[tuple[Utterance, ...], dict[str, Path]]:
    """Utterances with paths that are relative, and the recording of each path.

    Args:
        manifest: What was read.
        root: As in `read_manifest`.
        source: Where it was read from, for messages.

    Raises:
        ManifestError: Recordings are missing, or two would get one name.
    """
    places = [folder.resolve() for folder in (manifest.folder, *([root] if root else []))]
    named: dict[str, str] = {}
    files: dict[str, Path] = {}
    problems = []
    for path in dict.fromkeys(row.path for row in manifest.utterances if row.path is not None):
        file = manifest.folder / path
        if not file.is_file():
            problems.append(Problem(where=str(source), message=f"no recording {str(file)!r}"))
            continue
        outside = Path(path).is_absolute() or ".." in Path(path).parts
        name = _relative(file, places) if outside else path
        if name in files and files[name] != file.resolve():
            problems.append(Problem(where=str(source), message=f"two recordings would be called {name!r}"))
        named[path], files[name] = name, file.resolve()
    if problems:
        raise ManifestError(describe_problems(problems))
    rows = (row if row.path is None else replace(row, path=named[row.path]) for row in manifest.utterances)
    return tuple(rows), files


def _relative(file: Path, places: Sequence[Path]) -> str:
    resolved = file.resolve()
    place = next(place for place in reversed(places) if resolved.is_relative_to(place))
    return resolved.relative_to(place).as_posix()


def link_below(outgoing: Outgoing, utterances: Sequence[Utterance], below: str = "") -> tuple[Utterance, ...]:
    """Put the recordings below `audio/` of the folder to write; give the utterances with their new paths.

    Args:
        outgoing: What is written.
        utterances: Those whose recordings to put there.
        below: A folder in the folder to write, with `/` at its end; paths are relative to it.

    Raises:
        ManifestError: A recording cannot be written.
    """
    paths = list(dict.fromkeys(row.path for row in utterances if row.path is not None))
    prefix = "" if all(path.startswith("audio/") for path in paths) else "audio/"
    for path in paths:
        link_recording(outgoing.files[path], outgoing.folder / (below + prefix + path))
    return tuple(row if row.path is None else replace(row, path=prefix + row.path) for row in utterances)


def spoken(outgoing: Outgoing, format_name: str, lost: list[str]) -> tuple[Utterance, ...]:
    """Utterances with a recording; a sentence about the others, which a format of recordings cannot hold.

    Raises:
        ManifestError: There is none.
    """
    rows = tuple(row for row in outgoing.utterances if row.path is not None)
    if not rows:
        raise ManifestError(f"no utterance has a recording, and {format_name} holds recordings alone")
    if len(rows) < len(outgoing.utterances):
        left = len(outgoing.utterances) - len(rows)
        lost.append(f"left out: {many(left)} without a recording, as {format_name} holds recordings alone")
    return rows


def header_reader(outgoing: Outgoing) -> Callable[[str], AudioHeader]:
    """A function that gives the header of the recording of a path, read once; it raises `AudioError`."""
    return cache(lambda path: read_header(outgoing.files[path]))


def splits_of(utterances: Sequence[Utterance]) -> Iterator[tuple[str, tuple[Utterance, ...]]]:
    """The utterances of each split, in the order train, dev, test, none; without those that are empty."""
    for split in ("train", "dev", "test", None):
        rows = tuple(row for row in utterances if row.split == split)
        if rows:
            yield split or "", rows
