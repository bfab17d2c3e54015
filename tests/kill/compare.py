"""Whether two folders hold the same, byte for byte."""

import hashlib
import json
from pathlib import Path

from safetensors import safe_open

RECORD = "stage.json"
TRACKING = "tracking.jsonl"
"""Lines of a tracker tell when each thing happened; a run that goes on adds lines."""

CACHE = "cache"
"""Folder whose shards have names of chance; what they hold is compared entry by entry."""


def contents(folder: Path) -> dict[str, str]:
    """Digest of each file below a folder, by its path; an empty folder counts, too, as does what begins with a dot."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".safetensors" and path.parent.name == CACHE and not path.name.startswith("."):
            found.update(_entries(path, name.rpartition("/")[0]))
        elif path.is_file() and path.name != TRACKING:
            found[name] = hashlib.sha256(_without_times(path)).hexdigest()
        elif path.is_dir() and not any(path.iterdir()):
            found[f"{name}/"] = "empty"
    return found


def _without_times(path: Path) -> bytes:
    """Content of a file; the record of a stage tells how many seconds each epoch took, which no two runs have alike."""
    if path.name != RECORD:
        return path.read_bytes()
    record = json.loads(path.read_bytes())
    record["history"] = [{name: value for name, value in one.items() if name != "seconds"} for one in record["history"]]
    return json.dumps(record).encode()


def _entries(shard: Path, place: str) -> dict[str, str]:
    with safe_open(shard, framework="numpy") as handle:
        return {
            f"{place}/{key}": hashlib.sha256(handle.get_tensor(key).tobytes()).hexdigest()
            for key in handle.keys()  # noqa: SIM118 (no mapping)
        }


def differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """What is missing, left over or different, in words.

    Example:
        >>> differences({"a": "1", "b": "2"}, {"b": "3", ".c.tmp": "4"})
        ['left over: .c.tmp', 'missing: a', 'different: b']
    """
    return [
        *(f"left over: {name}" for name in sorted(set(found) - set(expected))),
        *(f"missing: {name}" for name in sorted(set(expected) - set(found))),
        *(f"different: {name}" for name in sorted(set(found) & set(expected)) if found[name] != expected[name]),
    ]
