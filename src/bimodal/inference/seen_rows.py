"""The rows that a model was trained or calibrated on: salted digests in its folder, by which an evaluation knows them.

A row with a recording is known by the bytes of the recording and its stretch; a row without one by its words and its
feature columns. Labels, paths and ids do not matter. The digests tell nobody what the rows hold; who has a row can
tell that it was used.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import msgspec

from bimodal.data.leaks import Stretch, is_same_stretch
from bimodal.data.manifest import FEATURES
from bimodal.data.text import normalise_transcript
from bimodal.errors import AudioError, ModelFolderError
from bimodal.features.extraction import recording_digest
from bimodal.files import JSON_ERRORS, file_digest, write_bytes
from bimodal.inference.model_folder import WEIGHTS
from bimodal.records import Utterance

SEEN_ROWS: Final = "seen_rows.json"
_LARGEST: Final = 256 << 20


@dataclass(frozen=True, kw_only=True)
class SeenRows:
    """Rows that a model was trained or calibrated on.

    Attributes:
        salt: Goes into each digest; differs from model to model.
        recordings: Stretches (start and end in s, None for the borders) of each recording, by its digest.
        words: Digests of rows by their words and feature columns.
    """

    salt: str
    recordings: Mapping[str, tuple[Stretch, ...]]
    words: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class RowsFound:
    """Which of some rows a model has seen.

    Attributes:
        recordings: Ids of rows with the same stretch of the same recording.
        words: Ids of rows without a recording that have the same words and feature columns.
        without_recording: Number of rows without a recording.
    """

    recordings: tuple[str, ...]
    words: tuple[str, ...]
    without_recording: int


def save_seen_rows(folder: Path, rows: Sequence[Utterance], recordings: Path, before: SeenRows | None = None) -> None:
    """Write the digests of the rows that a model was trained or calibrated on.

    Args:
        folder: Model folder with its weights, whose digest is the salt.
        rows: The rows.
        recordings: Folder that their paths are relative to.
        before: Rows that it had seen already; they stay.

    Raises:
        OSError: The file cannot be written.
    """
    salt = before.salt if before else file_digest(folder / WEIGHTS)[:32]
    stretches = {digest: set(some) for digest, some in before.recordings.items()} if before else {}
    for row in rows:
        for digest in _recording(row, recordings, salt):
            stretches.setdefault(digest, set()).add((row.start, row.end))
    seen = SeenRows(
        salt=salt,
        recordings={digest: tuple(sorted(some, key=str)) for digest, some in sorted(stretches.items())},
        words=frozenset(digest for row in rows for digest in _words(row, salt)) | (before.words if before else set()),
    )
    write_bytes(folder / SEEN_ROWS, msgspec.json.encode({**vars(seen), "words": sorted(seen.words)}) + b"\n")


def load_seen_rows(folder: Path) -> SeenRows | None:
    """The rows that a model has seen; None for a folder that does not say, as older and packaged ones.

    Raises:
        ModelFolderError: The file is damaged.
    """
    file = folder / SEEN_ROWS
    if not file.is_file():
        return None
    try:
        if file.stat().st_size > _LARGEST:
            raise ModelFolderError(f"{file}: {file.stat().st_size} bytes, expected at most {_LARGEST}")
        return msgspec.json.decode(file.read_bytes(), type=SeenRows)
    except (OSError, *JSON_ERRORS) as error:
        raise ModelFolderError(f"{file}: damaged ({error}); copy the model folder again") from error


def find_seen_rows(seen: SeenRows, rows: Sequence[Utterance], recordings: Path) -> RowsFound:
    """Which rows a model has seen.

    Args:
        seen: Of the model.
        rows: Of any manifest.
        recordings: Folder that their paths are relative to.
    """
    without = [row for row in rows if row.path is None]
    return RowsFound(
        recordings=tuple(row.id for row in rows if row.path is not None and _is_seen(seen, row, recordings)),
        words=tuple(row.id for row in without if any(digest in seen.words for digest in _words(row, seen.salt))),
        without_recording=len(without),
    )


def _is_seen(seen: SeenRows, row: Utterance, recordings: Path) -> bool:
    return any(
        is_same_stretch((row.start, row.end), other)
        for digest in _recording(row, recordings, seen.salt)
        for other in seen.recordings.get(digest, ())
    )


def _recording(row: Utterance, folder: Path, salt: str) -> Iterator[str]:
    """Digest of a row's recording, if it has one that can be read."""
    if row.path is None:
        return
    try:
        yield _salted(salt, "recording", recording_digest(folder / row.path))
    except AudioError:  # told by whoever decodes it
        return


def _words(row: Utterance, salt: str) -> Iterator[str]:
    """Digest of a row's words and feature columns, if it has any."""
    features = sorted(
        (name, cell.strip()) for name, cell in row.extra.items() if any(fnmatchcase(name, one) for one in FEATURES)
    )
    words = normalise_transcript(row.transcript)
    if words or any(cell for _, cell in features):
        yield _salted(salt, "words", words or "", *(part for pair in features for part in pair))


def _salted(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:24]
