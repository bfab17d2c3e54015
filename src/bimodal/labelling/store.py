"""The labels of a folder on the disk: one JSON Lines file a rater, each label written at once.

A file is only ever appended to. An undo is a line of its own. A file that somebody edits is read again; a damaged line
is left where it is and named, and all other lines count. The last label of a rater for a clip counts.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, Final, Literal
from urllib.parse import quote, unquote

import msgspec

from bimodal.errors import LabellingError
from bimodal.files import JSON_ERRORS, append_line, lock, naming_file, write_all, write_bytes, write_json
from bimodal.labelling.records import Label, LabelClip, check_label, check_rater, check_vocabulary
from bimodal.records import printable

CLIPS: Final = "clips.jsonl"
SETTINGS: Final = "settings.json"
WORDS: Final = "words.jsonl"
RATER: Final = "rater-{}.jsonl"
_RATER_FILE: Final = re.compile(r"rater-(.+)\.jsonl")
_SAFE: Final = " @-_."
_TAIL: Final = 1 << 16


@dataclass(frozen=True, kw_only=True)
class StoreSettings:
    """What stays the same while a folder is labelled.

    Attributes:
        emotions: The vocabulary, in the order of the keys 1 to 9.
        seed: Of the draw of the test clips.
        schema: Version of the layout.
    """

    emotions: tuple[str, ...]
    seed: int = 0
    schema: Literal[1] = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class _Event:
    """A line of a rater's file: a label, or the undo of one."""

    clip: str
    answer: str = ""
    intensity: int | None = None
    note: str = ""
    at: str = ""
    undo: bool = False


@dataclass(kw_only=True, slots=True)
class _RaterFile:
    """A file as it was read last."""

    version: tuple[int, int, int] = (0, 0, 0)
    labels: dict[str, Label] | None = None
    order: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class Store:
    """The labels of a folder; safe for several threads and several processes.

    Args:
        folder: Folder of the labels; made by `create_store`.

    Raises:
        LabellingError: It holds no labels, or its settings or clips are damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = _read_settings(folder / SETTINGS)
        self.clips: tuple[LabelClip, ...] = tuple(_read_clips(folder / CLIPS))
        self._known = {clip.id: clip for clip in self.clips}
        self._words = _read_words(folder / WORDS)
        self._files: dict[str, _RaterFile] = {}
        self._lock = Lock()

    @property
    def emotions(self) -> tuple[str, ...]:
        """The vocabulary."""
        return self.settings.emotions

    def clip(self, name: str) -> LabelClip:
        """A clip by its id.

        Raises:
            LabellingError: There is none.
        """
        if name not in self._known:
            raise LabellingError(f"{self.folder}: no clip {name[:120]!r}; load the page again")
        return self._known[name]

    def words(self, clip: LabelClip) -> str:
        """The words of a clip: those of its manifest, else those of speech recognition; empty if unknown."""
        return clip.transcript or self._words.get(clip.id, "")

    def has_words(self, clip: LabelClip) -> bool:
        """Whether the words of a clip were looked for, found or not."""
        return bool(clip.transcript) or clip.id in self._words

    def add_words(self, clip: LabelClip, words: str) -> None:
        """Keep the words that speech recognition found in a clip.

        Raises:
            LabellingError: The disk is full.
        """
        try:
            append_line(self.folder / WORDS, msgspec.json.encode({"clip": clip.id, "words": words}))
        except OSError as error:
            raise LabellingError(
                f"{self.folder / WORDS}: cannot be written ({error.strerror}); free some space"
            ) from error
        self._words[clip.id] = words

    def raters(self) -> tuple[str, ...]:
        """Names of all raters with a file, sorted."""
        names = (_RATER_FILE.fullmatch(file.name) for file in self.folder.iterdir())
        return tuple(sorted(unquote(found[1]) for found in names if found))

    def add(self, rater: str, label: Label) -> Label:
        """Store a label; it is on the disk when this returns.

        Raises:
            LabellingError: The name, the clip or the answer is not allowed, or the disk is full.
        """
        self.clip(label.clip)
        kept = replace(
            check_label(label, self.emotions), at=label.at or datetime.now(UTC).isoformat(timespec="seconds")
        )
        self._append(check_rater(rater), asdict(kept))
        return kept

    def undo(self, rater: str) -> Label | None:
        """Take back the last label of a rater; None if there is none left.

        Raises:
            LabellingError: The disk is full.
        """
        rater = check_rater(rater)
        found = self._read(rater)
        if not found.order:
            return None
        last = (found.labels or {})[found.order[-1]]
        self._append(rater, {"clip": last.clip, "undo": True, "at": datetime.now(UTC).isoformat(timespec="seconds")})
        return last

    def labels_of(self, rater: str) -> Mapping[str, Label]:
        """The labels of a rater by clip, in the order in which they were given."""
        found = self._read(check_rater(rater))
        return {name: (found.labels or {})[name] for name in found.order}

    def labels(self) -> dict[str, Mapping[str, Label]]:
        """The labels of all raters, by rater and clip."""
        return {rater: self.labels_of(rater) for rater in self.raters()}

    def problems(self) -> tuple[str, ...]:
        """One sentence for each line of the raters' files that cannot be used."""
        return tuple(problem for rater in self.raters() for problem in self._read(rater).problems)

    def file_of(self, rater: str) -> Path:
        """File of a rater."""
        return self.folder / RATER.format(quote(rater, safe=_SAFE))

    def _append(self, rater: str, event: Mapping[str, Any]) -> None:
        content = {name: value for name, value in event.items() if value not in (None, "", False)}
        file = self.file_of(rater)
        try:
            append_whole_line(file, msgspec.json.encode(content))
        except OSError as error:
            raise LabellingError(
                f"{file}: the label is not stored ({error.strerror or error}); free some space, then label it again"
            ) from error

    def _read(self, rater: str) -> _RaterFile:
        """A rater's file, read again if it has changed."""
        file = self.file_of(rater)
        with self._lock:
            held = self._files.setdefault(rater, _RaterFile())
            try:
                status = file.stat()
                version = (status.st_mtime_ns, status.st_size, status.st_ino)
                if held.labels is None or version != held.version:
                    held = self._files[rater] = self._parse(file, version)
            except FileNotFoundError:
                held = self._files[rater] = _RaterFile(labels={})
            except OSError as error:
                raise LabellingError(f"{file}: cannot be read ({error.strerror}); mend its permissions") from error
            return held

    def _parse(self, file: Path, version: tuple[int, int, int]) -> _RaterFile:
        labels: dict[str, Label] = {}
        history: dict[str, list[Label]] = {}
        problems = []
        for number, line in enumerate(file.read_bytes().split(b"\n"), start=1):
            if not line.strip():
                continue
            try:
                event = msgspec.json.decode(line, type=_Event)
                self.clip(event.clip)
                if event.undo:
                    _take_back(event.clip, labels, history)
                    continue
                label = Label(
                    clip=event.clip, answer=event.answer, intensity=event.intensity, note=event.note, at=event.at
                )
                check_label(label, self.emotions)
            except JSON_ERRORS as error:
                problems.append(f"{file}:{number}: no label ({printable(str(error))[:120]}); mend or delete the line")
                continue
            except LabellingError as error:
                problems.append(f"{file}:{number}: {str(error).removeprefix(f'{self.folder}: ')}")
                continue
            if history.get(event.clip, [])[-1:] == [label] and label.at:
                continue  # sent twice, as the answer to the first was lost
            history.setdefault(event.clip, []).append(label)
            labels.pop(event.clip, None)  # the last label is the one that an undo takes back
            labels[event.clip] = label
        return _RaterFile(version=version, labels=labels, order=tuple(labels), problems=tuple(problems))


def _take_back(clip: str, labels: dict[str, Label], history: dict[str, list[Label]]) -> None:
    """Undo the last label of a clip; the one before, if any, counts again."""
    before = history.get(clip, [])
    if before:
        before.pop()
    labels.pop(clip, None)
    if before:
        labels[clip] = before[-1]


def append_whole_line(file: Path, line: bytes) -> None:
    """Append a line to a file that people may edit and several processes write; it is on the disk when this returns.

    `bimodal.files.append_line` removes what stands behind the last line feed, as a killed process leaves it. An editor
    may leave a whole line without a line feed: it stays here. What is no JSON stays, too, as a damaged line.

    Raises:
        OSError: It cannot be written; the lines before stay.
    """
    with naming_file(file), file.open("ab+", buffering=0) as stream:
        lock(stream, wait=True)
        end = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, end - 1))
        begun = end > 0 and stream.read(1) != b"\n"
        try:
            write_all(stream, (b"\n" if begun else b"") + line + b"\n")
            os.fsync(stream.fileno())
        except OSError:
            with suppress(OSError):
                stream.truncate(end)
            raise


def create_store(folder: Path, emotions: tuple[str, ...], clips: tuple[LabelClip, ...], seed: int = 0) -> Store:
    """Open the labels of a folder, made where there are none; clips that are not known yet are added.

    Args:
        folder: Of the labels.
        emotions: The vocabulary; empty for the one of a folder that exists.
        clips: All clips of the recordings; known ones keep their part.
        seed: Of the draw of the test clips.

    Raises:
        LabellingError: The folder was begun with another vocabulary, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / SETTINGS).is_file():
            known = _read_settings(folder / SETTINGS)
            if emotions and emotions != known.emotions:
                raise LabellingError(
                    f"{folder}: was begun with the emotions {', '.join(known.emotions)}; leave --emotions out, or give "
                    "another folder with --labels"
                )
        else:
            write_json(folder / SETTINGS, StoreSettings(emotions=check_vocabulary(emotions), seed=seed))
        write_bytes(folder / CLIPS, b"".join(msgspec.json.encode(clip) + b"\n" for clip in clips))
    except OSError as error:
        raise LabellingError(
            f"{folder}: cannot be written ({error.strerror}); name another folder with --labels"
        ) from error
    return Store(folder)


def read_clips(folder: Path) -> tuple[LabelClip, ...]:
    """The clips of a folder of labels; nothing where there is none.

    Raises:
        LabellingError: The file is damaged.
    """
    return tuple(_read_clips(folder / CLIPS)) if (folder / CLIPS).is_file() else ()


def _read_clips(file: Path) -> Iterator[LabelClip]:
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError as error:
        raise LabellingError(f"{file}: cannot be read ({error.strerror}); start with 'bimodal label FOLDER'") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield msgspec.json.decode(line, type=LabelClip)
            except JSON_ERRORS as error:
                told = printable(str(error))[:120]
                raise LabellingError(
                    f"{file}:{number}: no clip ({told}); mend the line, or delete it: the clip is then found again"
                ) from error


def _read_words(file: Path) -> dict[str, str]:
    """Words by clip; a damaged line is left out, as its clip can be transcribed again."""
    found: dict[str, str] = {}
    for line in file.read_bytes().split(b"\n") if file.is_file() else ():
        with suppress(*JSON_ERRORS):
            one = msgspec.json.decode(line, type=dict[str, str])
            found[one.get("clip", "")] = one.get("words", "")
    return found


def _read_settings(file: Path) -> StoreSettings:
    try:
        return msgspec.json.decode(file.read_bytes(), type=StoreSettings)
    except OSError as error:
        raise LabellingError(f"{file}: cannot be read ({error.strerror}); start with 'bimodal label FOLDER'") from error
    except JSON_ERRORS as error:
        raise LabellingError(
            f'{file}: damaged ({printable(str(error))[:120]}); mend it, or write {{"emotions": [...]}} anew'
        ) from error
