"""Cells of the grid: each is stored as soon as it is done, so a study that was stopped goes on where it stood."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec


@dataclass(kw_only=True)
class Cells:
    """A folder with one JSON file a cell.

    Attributes:
        folder: Made if missing.
        computed: Parts of which a cell was computed, not read, since the start.
        seconds: CPU seconds that the cells took, those that were read too, by part and cell.
    """

    folder: Path
    computed: set[str] = field(default_factory=set)
    seconds: dict[str, dict[str, float]] = field(default_factory=dict)

    def get(self, part: str, key: dict[str, Any], compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """A cell of a part, from its file, or computed and stored.

        Args:
            part: Such as `losses/ravdess`; a folder of its own.
            key: All that decides the value, plain; another key is another cell.
            compute: Gives a plain value; the CPU seconds that it took are kept beside it.
        """
        digest = hashlib.sha256(msgspec.json.encode(key, order="sorted")).hexdigest()[:24]
        file = self.folder / part / f"{digest}.json"
        if not file.exists():
            begun = time.process_time()
            cell = {"key": key, "value": compute(), "seconds": time.process_time() - begun}
            file.parent.mkdir(parents=True, exist_ok=True)
            unfinished = file.with_suffix(".partial")
            unfinished.write_bytes(msgspec.json.encode(cell))
            unfinished.rename(file)
            self.computed.add(part)
        found = msgspec.json.decode(file.read_bytes())
        self.seconds.setdefault(part, {})[digest] = found["seconds"]
        value: dict[str, Any] = found["value"]
        return value
