"""Features of the clips of a folder, extracted once: pooled statistics of speech, kept beside the labels."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from bimodal.arrays import Floats
from bimodal.audio.decode import load_signal
from bimodal.errors import AudioError, LabellingError
from bimodal.files import atomic_write
from bimodal.inference.model import Model
from bimodal.labelling.records import LabelClip

FOLDER: Final = "features"
PER_FILE: Final = 64
"""Clips of one file of features: what a killed process loses at most."""

_STATISTICS: Final = "statistics"
_CLIPS: Final = "clips"


class ClipFeatures:
    """Pooled statistics of clips, in memory and in files of `PER_FILE` clips; safe for several threads.

    A recording that was replaced is encoded again. Clips without speech are remembered, too.

    Args:
        folder: Of the labels.
        recordings: Folder that paths of clips are relative to.
        model: Its backbone encodes; its revision names the folder of the files.
    """

    def __init__(self, folder: Path, recordings: Path, model: Model) -> None:
        self._folder, self._recordings, self._model = folder / FOLDER / model.config.revision, recordings, model
        self._known: dict[str, tuple[str, Floats | None]] = {}
        self._lock = Lock()
        for file in sorted(self._folder.glob("*.safetensors")) if self._folder.is_dir() else ():
            self._load(file)

    def __len__(self) -> int:
        return len(self._known)

    def of(self, name: str) -> Floats | None:
        """Statistics (P, L, D) of a clip by its id; None if it has no speech or was not encoded yet."""
        return self._known.get(name, ("", None))[1]

    def done(self, name: str) -> bool:
        """Whether a clip was encoded, with speech or without."""
        return name in self._known

    def extract(self, clips: Sequence[LabelClip]) -> Iterator[LabelClip]:
        """Encode the clips that are missing, one after another, and write them.

        A recording that is gone or damaged is passed over.

        Yields:
            Each clip when it is done.

        Raises:
            LabellingError: The disk is full.
        """
        fresh: list[tuple[str, str, Floats | None]] = []
        try:
            for clip in clips:
                version = self._version(clip)
                if not version or self._known.get(clip.id, ("", None))[0] == version:
                    continue
                try:
                    found = self._encode(clip)
                except AudioError:
                    continue
                with self._lock:
                    self._known[clip.id] = (version, found)
                fresh.append((clip.id, version, found))
                if len(fresh) == PER_FILE:
                    self._save(fresh)
                    fresh = []
                yield clip
        finally:
            if fresh:
                self._save(fresh)

    def _encode(self, clip: LabelClip) -> Floats | None:
        signal = load_signal(self._recordings / clip.path, start=clip.start, end=clip.end)
        return self._model.encode(signal).statistics

    def _version(self, clip: LabelClip) -> str:
        """Size and time of a clip's recording; empty if it is gone."""
        try:
            status = (self._recordings / clip.path).stat()
        except OSError:
            return ""
        return f"{status.st_size}-{status.st_mtime_ns}"

    def _save(self, fresh: Sequence[tuple[str, str, Floats | None]]) -> None:
        spoken = [values for _, _, values in fresh if values is not None]
        listed = [[name, version, values is not None] for name, version, values in fresh]
        arrays = (
            {_STATISTICS: np.stack(spoken).astype(np.float16)} if spoken else {_STATISTICS: np.zeros(1, np.float16)}
        )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            number = 1 + max((int(file.stem) for file in self._folder.glob("*.safetensors")), default=0)
            with atomic_write(self._folder / f"{number:06d}.safetensors") as unfinished:
                save_file(arrays, unfinished, metadata={_CLIPS: json.dumps(listed)})
        except (OSError, SafetensorError) as error:
            raise LabellingError(f"{self._folder}: features cannot be written ({error}); free some space") from error

    def _load(self, file: Path) -> None:
        """Read a file of features; a damaged one is left out, as its clips can be encoded again."""
        try:
            with safe_open(file, framework="numpy") as held:
                listed = json.loads((held.metadata() or {})[_CLIPS])
                arrays = iter(held.get_tensor(_STATISTICS).astype(np.float32))
            found = {str(name): (str(version), next(arrays) if spoken else None) for name, version, spoken in listed}
        except (OSError, SafetensorError, KeyError, ValueError, TypeError, StopIteration):
            return
        self._known |= found
