"""A cache of backbone outputs: content-keyed, sharded, safe for several processes, flat in memory.

A folder of safetensors shards that are written once, under a temporary name, and renamed when complete. A key says
everything that decided the value, so nothing is ever invalidated; two processes that compute the same key write it
twice, which is harmless. A killed process loses at most its unfinished shard.
"""

import hashlib
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from bimodal.errors import CacheError
from bimodal.files import TEMPORARY, atomic_write, delete_leftovers

SHARD_BYTES: Final = 32 << 20
_SUFFIX: Final = ".safetensors"

Arrays = Mapping[str, npt.NDArray[Any]]


def cache_key(*parts: object) -> str:
    """One key for all that decides a value: content digest, stretch, backbone digest, augmentation, precision.

    Example:
        >>> cache_key("a", 1) == cache_key("a", 1), cache_key("a", 1) == cache_key("a1")
        (True, False)
    """
    return hashlib.sha256("\x1f".join(map(repr, parts)).encode()).hexdigest()[:40]


class FeatureCache:
    """Named arrays by key, in a folder. Use as a context manager: what was written is kept even when it fails.

    Args:
        folder: Made if missing. None keeps all in memory and writes nothing.
        shard_bytes: A shard is written when this much has been gathered; the most a kill can lose.

    Raises:
        CacheError: The folder cannot be made or holds a damaged shard.
    """

    def __init__(self, folder: str | Path | None, shard_bytes: int = SHARD_BYTES) -> None:
        self.folder = None if folder is None else Path(folder)
        self._shard_bytes = shard_bytes
        self._pending: dict[str, Arrays] = {}
        self._pending_bytes = 0
        self._sources: dict[str, str] = {}
        self._shards: dict[str, dict[str, Path]] = {}
        self._open: dict[Path, Any] = {}
        try:
            if self.folder is not None:
                self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CacheError(f"{folder}: cannot be made ({error.strerror}); name another folder") from error
        if self.folder is not None:
            delete_leftovers(self.folder)
        self.refresh()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.flush()

    def __contains__(self, key: str) -> bool:
        return key in self._shards or key in self._pending

    def __len__(self) -> int:
        return len(self._shards) + len(self._pending)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(shard.stat().st_size for shard in self._files(f"*{_SUFFIX}"))

    @property
    def unnamed(self) -> int:
        """Entries on disk that do not say what they were computed from, as earlier versions wrote them."""
        return len(self._shards.keys() - self._sources.keys())

    def _files(self, pattern: str) -> list[Path]:
        return [] if self.folder is None else sorted(self.folder.glob(pattern))

    def refresh(self) -> None:
        """Take in the shards that other processes have finished meanwhile."""
        for shard in self._files(f"*{_SUFFIX}"):
            if shard not in self._open:
                self._take_in(shard)

    def _take_in(self, shard: Path) -> None:
        try:
            handle = safe_open(shard, framework="numpy")
        except (SafetensorError, OSError) as error:
            raise CacheError(
                f"{shard}: damaged ({error}); delete this file, what it held will be computed again"
            ) from error
        self._open[shard] = handle
        self._sources.update(handle.metadata() or {})  # type: ignore[no-untyped-call]
        for name in handle.keys():  # type: ignore[no-untyped-call]  # noqa: SIM118 - a safetensors handle is no mapping
            key, _, array = name.partition("/")
            self._shards.setdefault(key, {})[array] = shard

    def read(self, key: str) -> dict[str, npt.NDArray[Any]]:
        """The arrays of a key.

        Raises:
            KeyError: Not there.
            CacheError: The shard was damaged.
        """
        if key in self._pending:
            return dict(self._pending[key])
        return {name: self._open[shard].get_tensor(f"{key}/{name}") for name, shard in self._shards[key].items()}

    def write(self, key: str, arrays: Arrays, source: str = "") -> None:
        """Keep the arrays of a key; on disk after the shard is full, or after `flush`.

        Args:
            key: From `cache_key`.
            arrays: By name.
            source: Digest of what they were computed from, by which `forget` finds them.

        Raises:
            CacheError: The disk is full or the folder not writable; what was on disk stays.
        """
        self._pending[key] = arrays
        if source:
            self._sources[key] = source
        self._pending_bytes += sum(array.nbytes for array in arrays.values())
        if self._pending_bytes >= self._shard_bytes:
            self.flush()

    def flush(self) -> None:
        """Write what is pending as one shard.

        Raises:
            CacheError: As in `write`.
        """
        if not self._pending or self.folder is None:
            return
        try:
            shard = self._write_shard(self.folder, self._pending)
        except (OSError, SafetensorError) as error:
            lost, self._pending, self._pending_bytes = len(self._pending), {}, 0
            raise CacheError(
                f"{self.folder}: cannot write a shard of {lost} entries ({error}); free some space or name another "
                f"folder, then run again: {len(self._shards)} entries are kept"
            ) from error
        self._pending, self._pending_bytes = {}, 0
        self._take_in(shard)

    def _write_shard(self, folder: Path, entries: Mapping[str, Arrays]) -> Path:
        shard = folder / f"{uuid.uuid4().hex}{_SUFFIX}"
        flat = {
            f"{key}/{name}": np.ascontiguousarray(array)
            for key, arrays in entries.items()
            for name, array in arrays.items()
        }
        with atomic_write(shard) as unfinished:
            save_file(flat, unfinished, {key: self._sources[key] for key in entries if key in self._sources})
        return shard

    def forget(self, sources: Collection[str]) -> tuple[int, int]:
        """Delete every entry that was computed from one of these sources.

        A shard that holds other entries, too, is written anew without them before the old one is deleted.

        Args:
            sources: Digests, as given to `write`.

        Returns:
            Number of deleted entries, bytes freed on disk.

        Raises:
            CacheError: A shard cannot be written; the entries in it are kept.
        """
        self.flush()
        before, found = self.size, set()
        for shard, handle in self._open.items():
            chosen = {key for key, source in (handle.metadata() or {}).items() if source in sources}
            if chosen:
                self._rewrite(shard, chosen)
            found |= chosen
        self._open, self._shards, self._sources = {}, {}, {}
        self.refresh()
        return len(found), before - self.size

    def _rewrite(self, shard: Path, dropped: Collection[str]) -> None:
        """Write a shard anew without some keys, and delete it."""
        kept: dict[str, dict[str, npt.NDArray[Any]]] = {}
        for name in self._open[shard].keys():  # noqa: SIM118 - as above
            key, _, array = name.partition("/")
            if key not in dropped:
                kept.setdefault(key, {})[array] = self._open[shard].get_tensor(name)
        try:
            if kept:
                self._write_shard(shard.parent, kept)
            shard.unlink(missing_ok=True)
        except (OSError, SafetensorError) as error:
            raise CacheError(f"{shard}: cannot be written anew ({error}); free some space, then run again") from error

    def clear(self) -> int:
        """Delete every shard and leftover of a killed process; returns the bytes that were freed."""
        files = [*self._files(f"*{_SUFFIX}"), *self._files(TEMPORARY)]
        freed = sum(file.stat().st_size for file in files)
        self._open, self._shards, self._pending, self._pending_bytes = {}, {}, {}, 0
        for file in files:
            file.unlink(missing_ok=True)
        return freed
