"""Results in a folder, one file per recording. A second run continues an interrupted one.

What is finished is decided by content. The key of a recording's results is a digest of its bytes, its words and all
settings. The index `index.jsonl` lists the finished files with their keys. During recognition, results are appended to
a journal whose first line holds the key. When the recording is complete, its file is written from the journal in one
step. A lock on the journal keeps two processes from writing the same results.
"""

import glob
import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

import msgspec

from bimodal.audio.recordings import Recording
from bimodal.errors import BimodalError
from bimodal.files import (
    JSON_ERRORS,
    append_line,
    atomic_write,
    delete_leftovers,
    file_digest,
    lock,
    naming_file,
    write_all,
    write_json,
)
from bimodal.output.formats import find_format, write_recordings
from bimodal.records import Recognition

SETTINGS: Final = "settings.json"
INDEX: Final = "index.jsonl"


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A recording whose results a folder shall hold.

    Attributes:
        recording: What to recognise.
        source: Its path, seen from the folder; tells recordings of one name apart.
        digest: SHA-256 of its bytes; empty if it cannot be read.
        key: Digest of all that decides the results: the bytes, the words, the settings.
        alone: False if another recording of the same call has the same place.
    """

    recording: Recording
    source: str
    digest: str
    key: str
    alone: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """A line of the index: a complete file of results.

    Attributes:
        file: Its path below the folder.
        source: As in `Task`.
        digest: As in `Task`.
        key: As in `Task`.
    """

    file: str
    source: str
    digest: str
    key: str


class ResultFolder:
    """A folder of results.

    Args:
        folder: Path; created if missing.
        kind: Format of the files.
        settings: All settings that affect the results of every recording. A folder with other settings is refused.

    Raises:
        BimodalError: The folder holds results with other settings.
    """

    def __init__(self, folder: Path, kind: str, settings: Mapping[str, str]) -> None:
        self.folder, self._kind = folder, kind
        self._settings = {**settings, "format": kind}
        folder.mkdir(parents=True, exist_ok=True)
        _check_settings(folder, self._settings)
        self._index = _Index(folder / INDEX)
        self._taken: dict[str, str] = {INDEX: "", SETTINGS: ""}

    def tasks(self, recordings: Sequence[Recording], words: Sequence[object]) -> list[Task]:
        """The recordings with the keys of their results.

        Args:
            recordings: In order.
            words: What was said in each, in any form that JSON has.
        """
        counts = Counter(recording.place for recording in recordings)
        return [
            self._task(recording, spoken, alone=counts[recording.place] == 1)
            for recording, spoken in zip(recordings, words, strict=True)
        ]

    def _task(self, recording: Recording, words: object, *, alone: bool) -> Task:
        digest = _digest(recording.path)
        content = json.dumps([digest, words, self._settings], sort_keys=True)
        return Task(
            recording=recording,
            source=_source(recording, self.folder),
            digest=digest,
            key=hashlib.sha256(content.encode()).hexdigest()[:32],
            alone=alone,
        )

    def file(self, task: Task) -> Path:
        """Path of a recording's results: that of earlier results of this recording, else a free one.

        A recording has the path below the folder that was named. If another recording has that place, the name of its
        folder comes before it, or a digest of its path stands in its name.
        """
        if known := self._index.of_source(task.source):
            return self.folder / known.file
        *preferred, last = self._candidates(task)
        free = (file for file in preferred if self._is_free(file, task))
        file = next(free, last)
        self._taken[file] = task.source
        return self.folder / file

    def _candidates(self, task: Task) -> list[str]:
        place, suffix = task.recording.place, find_format(self._kind).suffix
        above = task.recording.path.resolve().parents
        parent = above[min(len(place.parts), len(above)) - 1].name
        mark = hashlib.sha256(task.source.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        marked = place.with_name(f"{place.stem}-{mark}{place.suffix}")
        places = [*([place] if task.alone else []), *([Path(parent) / place] if parent else []), marked]
        return [one.with_name(one.name + suffix).as_posix() for one in places]

    def _is_free(self, file: str, task: Task) -> bool:
        if self._taken.get(file, task.source) != task.source:
            return False
        known = self._index.of_file(file)
        return known is None or known.source == task.source or self._has_moved(known, task)

    def _has_moved(self, known: Finished, task: Task) -> bool:
        """Whether finished results are those of this recording, which was at another path then."""
        return known.key == task.key and not (self.folder / known.source).exists()

    def is_done(self, task: Task) -> bool:
        """Whether the results of these bytes, words and settings are complete."""
        file = self.file(task)
        known = self._index.of_file(file.relative_to(self.folder).as_posix())
        if known is None or not task.digest or known.key != task.key or not file.exists():
            return False
        if known.source != task.source:
            self._index.add(Finished(file=known.file, source=task.source, digest=task.digest, key=task.key))
        return True

    def change(self, task: Task) -> str:
        """What has changed since results of this recording were written; empty if there are none or nothing has."""
        known = self._index.of_source(task.source)
        if known is None or known.key == task.key or not task.digest:
            return ""
        return "the recording has changed" if known.digest != task.digest else "its words have changed"

    def tidy(self, task: Task) -> None:
        """Delete what a process that was killed at the very end left beside finished results."""
        file = self.file(task)
        if _journal_path(file).exists():
            with Journal(file, task.key, wait=False) as journal:
                if journal.is_open:
                    journal.remove()

    def claim(self, task: Task, *, wait: bool) -> "Journal | None":
        """Open the journal of a recording for this process alone.

        Args:
            task: The recording.
            wait: Wait while another process writes its results.

        Returns:
            The journal; None if another process has it, or has finished it meanwhile: see `is_done`.
        """
        while True:
            file = self.file(task)
            journal = Journal(file, task.key, wait=wait)
            if not journal.is_open:
                return None
            self._index.refresh()
            if self.is_done(task):
                journal.remove()
                return None
            if self.file(task) == file:
                if self.change(task):  # results of another content must not be left if this one cannot be recognised
                    file.unlink(missing_ok=True)
                return journal
            self._taken.pop(file.relative_to(self.folder).as_posix(), None)
            journal.close()

    def finish(self, task: Task, journal: "Journal") -> None:
        """Write the recording's file from its complete journal.

        Raises:
            BimodalError: The recording changed while it was recognised.
        """
        if _digest(task.recording.path) != task.digest:
            journal.remove()
            raise BimodalError(
                f"{task.recording.path}: the file changed while it was recognised; give the command again"
            )
        name = self.file(task).relative_to(self.folder).as_posix()
        journal.write(task.recording.name, self._kind)
        self._index.add(Finished(file=name, source=task.source, digest=task.digest, key=task.key))
        journal.remove()


class Journal:
    """Results of one recording as they come, in a file that is locked while this process has it open.

    Args:
        file: Where the results go when they are complete.
        key: That of the results. What a journal with another key holds is dropped.
        wait: Wait for the lock.
    """

    def __init__(self, file: Path, key: str, *, wait: bool) -> None:
        self.file, self._key = file, key
        self._path = _journal_path(file)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = _locked(self._path, wait=wait)
        self.ends: dict[str | None, float] = {}
        """End of each speaker's results from an interrupted run."""
        self.other = False
        """Whether an interrupted run left results of another recording, other words or other settings."""
        if self._stream is not None:
            for rest in file.parent.glob(f".{glob.escape(file.name)}.*.tmp"):  # of a killed process
                rest.unlink(missing_ok=True)
            self._continue()

    @property
    def is_open(self) -> bool:
        """Whether this process has it."""
        return self._stream is not None

    def _continue(self) -> None:
        lines = self._path.read_bytes().splitlines(keepends=True)
        if not lines or lines[0] != _head(self._key):
            self.other = len(lines) > 1
            self.restart()
            return
        whole = len(lines[0])
        for line in lines[1:]:
            try:
                result = msgspec.json.decode(line, type=Recognition) if line.endswith(b"\n") else None
            except JSON_ERRORS:
                result = None
            if result is None:  # what a killed process or a power failure left
                break
            whole += len(line)
            self.ends[result.speaker] = max(self.ends.get(result.speaker, 0.0), result.end or 0.0)
        os.truncate(self._path, whole)

    def restart(self) -> None:
        """Drop the results of an interrupted run."""
        os.truncate(self._path, 0)
        self._append(_head(self._key))
        self.ends = {}

    def add(self, result: Recognition) -> None:
        """Append a result."""
        self._append(msgspec.json.encode(result) + b"\n")

    def _append(self, line: bytes) -> None:
        if self._stream is None:
            raise ValueError(f"{self._path}: another process has this journal")
        with naming_file(self.file):  # the journal's own name tells nobody anything
            write_all(self._stream, line)

    def results(self) -> Iterator[Recognition]:
        """The results so far."""
        return _results(self._path)

    def write(self, name: str, kind: str) -> None:
        """Write the complete results in one step.

        Args:
            name: Of the recording, as JSON Lines and CSV have it.
            kind: The format.
        """
        with atomic_write(self.file) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as text:
            write_recordings(((name, result) for result in self.results()), text, kind)

    def remove(self) -> None:
        """Delete it; another process may have these results now."""
        self.restart()
        self.close()

    def close(self) -> None:
        """Let another process have it; without a result it is deleted."""
        if self._stream is not None:
            if os.fstat(self._stream.fileno()).st_size <= len(_head(self._key)):
                self._path.unlink(missing_ok=True)
            self._stream.close()
            self._stream = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Index:
    """The finished files of a folder, in a file that only grows; several processes may add to it."""

    def __init__(self, path: Path) -> None:
        self._path, self._read = path, 0
        self._by_file: dict[str, Finished] = {}
        self._by_source: dict[str, Finished] = {}
        self.refresh()

    def of_file(self, file: str) -> Finished | None:
        return self._by_file.get(file)

    def of_source(self, source: str) -> Finished | None:
        found = self._by_source.get(source)
        return found if found is not None and self._by_file[found.file].source == source else None

    def refresh(self) -> None:
        """Take in the lines that other processes have added."""
        with suppress(FileNotFoundError), self._path.open("rb") as stream:
            stream.seek(self._read)
            for line in stream:
                if not line.endswith(b"\n"):  # another process is writing it, or was killed
                    break
                self._read += len(line)
                with suppress(ValueError, TypeError, RecursionError):  # half a line of a killed process
                    self._take(Finished(**json.loads(line)))

    def _take(self, entry: Finished) -> None:
        self._by_file[entry.file] = entry
        self._by_source[entry.source] = entry

    def add(self, entry: Finished) -> None:
        """Add a line that is on the disk when this returns."""
        append_line(self._path, json.dumps(asdict(entry)).encode())
        self.refresh()


def _check_settings(folder: Path, settings: Mapping[str, str]) -> None:
    """Store the settings in a new folder; refuse a folder with others."""
    file, index = folder / SETTINGS, folder / INDEX
    if file.exists() and not index.exists():  # of an older version, or deleted
        raise BimodalError(
            f"{folder}: {INDEX}, which names the recording of each result, is missing; choose a new folder"
        )
    with index.open("ab") as stream:
        lock(stream, wait=True)
        delete_leftovers(folder)
        if not file.exists():
            write_json(file, settings)
    check_same_settings(file, settings)


def check_same_settings(file: Path, settings: Mapping[str, str]) -> None:
    """Compare settings with those that a folder of results keeps in a file.

    Raises:
        BimodalError: The file is damaged, or holds other settings.
    """
    try:
        before = msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except JSON_ERRORS as error:
        raise BimodalError(f"{file}: damaged ({error}); choose a new folder") from error
    other = [
        f"{name} {before.get(name, 'none')!r} instead of {settings.get(name, 'none')!r}"
        for name in dict.fromkeys([*settings, *before])
        if before.get(name) != settings.get(name)
    ]
    if other:
        raise BimodalError(
            f"{file.parent}: contains results with other settings ({', '.join(other)}); choose a new folder"
        )


def _digest(path: Path) -> str:
    """SHA-256 of a recording; empty if it cannot be read, which recognition reports."""
    try:
        return file_digest(path)
    except OSError:
        return ""


def _source(recording: Recording, folder: Path) -> str:
    """Path of a recording seen from a folder, so that both can be moved together. Standard input has a fixed one."""
    if recording.is_stdin:
        return recording.name
    path = recording.path.resolve()
    try:
        return Path(os.path.relpath(path, folder.resolve())).as_posix()
    except ValueError:  # on another drive
        return path.as_posix()


def _locked(path: Path, *, wait: bool) -> io.FileIO | None:
    """A file opened to append and locked; None if another process has it. It may be deleted while one waits."""
    while True:
        stream = path.open("ab", buffering=0)
        if not lock(stream, wait=wait):
            stream.close()
            return None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                return stream
        stream.close()


def _journal_path(file: Path) -> Path:
    return file.with_name(f".{file.name}.journal")


def _head(key: str) -> bytes:
    """First line of a journal."""
    return msgspec.json.encode({"key": key}) + b"\n"


def _results(journal: Path) -> Iterator[Recognition]:
    with journal.open("rb") as stream:
        next(stream)  # the key
        for line in stream:
            yield msgspec.json.decode(line, type=Recognition)
