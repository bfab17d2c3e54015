"""Count hostile inputs and how they end: `python -m tests.hostile` prints a table, and each fault."""

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.hostile.attempts import World, carry_out
from tests.hostile.everything import ATTEMPTS


def main() -> int:
    """Carry out all attempts; 1 if there was a fault."""
    counts, inputs, faults, began = Counter[tuple[str, str]](), Counter[str](), [], time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        world = World(folder=Path(folder))
        for attempt in ATTEMPTS:
            if sys.argv[1:] and not any(word in attempt.id for word in sys.argv[1:]):
                continue
            outcome = carry_out(attempt, world)
            counts[attempt.door, outcome.kind] += 1
            inputs[attempt.door] += 1
            if outcome.kind == "fault":
                faults.append(f"{attempt.id}: {outcome.told}")
            world.forget()
        world.close()
    print(f"{'door':20} {'inputs':>7} {'result':>7} {'sentence':>9} {'fault':>6}")  # noqa: T201
    for door in inputs:
        row = [counts[door, kind] for kind in ("result", "sentence", "fault")]
        print(f"{door:20} {inputs[door]:7} {row[0]:7} {row[1]:9} {row[2]:6}")  # noqa: T201
    print(f"{'all':20} {inputs.total():7}, in {time.monotonic() - began:.0f} s")  # noqa: T201
    print(*faults, sep="\n")  # noqa: T201
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
