"""`python -m tests.kill FOLDER`: kill commands at points of chance, give them again, compare with undisturbed runs."""

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

from tests.kill.commands import all_commands, make_inputs
from tests.kill.compare import differences
from tests.kill.killing import Kill, Runs, survived
from tests.kill.server import SERVE, kill_server

SECOND = "never: two undisturbed runs differ"


def main() -> int:
    """Run what the command line asks for; 1 if something was wrong."""
    commands = all_commands()
    known = [*commands, SERVE]
    parser = argparse.ArgumentParser(prog="python -m tests.kill", description=__doc__)
    parser.add_argument("folder", type=Path, help="for inputs, runs and report.json; named again, it goes on")
    parser.add_argument("--kills", type=int, default=10, help="of each command [default: 10]")
    parser.add_argument("--seed", type=int, default=0, help="decides the points [default: 0]")
    parser.add_argument("--commands", nargs="+", choices=known, default=known, metavar="NAME", help=", ".join(known))
    options = parser.parse_args()
    root = options.folder.absolute()
    make_inputs(root)
    report = Report(root / "report.json", options.seed)
    for name in options.commands:
        if name == SERVE:
            kill_server(root, options.kills, options.seed, report)
            continue
        runs = Runs(root, commands[name])
        missing = [number for number in range(options.kills) if not report.has(name, number)]
        if missing:
            first, whole = runs.undisturbed(), runs.undisturbed()
            if problems := differences(first.contents, whole.contents):
                report.add(Kill(command=name, number=-1, point=SECOND, killed=False, problems=problems))
            print(f"{name}: {whole.seconds:.1f} s, {whole.changes} changes to files", flush=True)
        for number in missing:
            report.add(runs.kill(number, options.seed, whole))
    return report.summarise(options.commands)


class Report:
    """What came of the kills so far, in a file.

    Args:
        file: JSON; one of the same seed is continued.
        seed: Of the points.
    """

    def __init__(self, file: Path, seed: int) -> None:
        self._file, self._seed = file, seed
        read: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        self.kills = [Kill(**one) for one in read.get("kills", ())] if read.get("seed") == seed else []

    def has(self, command: str, number: int) -> bool:
        """Whether this kill was done."""
        return any((kill.command, kill.number) == (command, number) for kill in self.kills)

    def add(self, kill: Kill) -> None:
        """Store what came of a kill."""
        self.kills.append(kill)
        content = {"seed": self._seed, "kills": [asdict(one) for one in self.kills]}
        self._file.write_text(json.dumps(content, indent=1) + "\n")
        if kill.problems:
            print(f"{kill.command} {kill.number}, killed {kill.point}: {'; '.join(kill.problems)}", flush=True)

    def summarise(self, commands: list[str]) -> int:
        """Print a line for each command and one for all; gives the exit code."""
        for name in commands:
            told = survived([kill for kill in self.kills if kill.command == name])
            print(f"{name:<22} {told['kills']:>4} kills, {told['wrong']} wrong")
        told = survived([kill for kill in self.kills if kill.command in commands])
        print(f"{told['kills']} kills of {len(commands)} commands, seed {self._seed}: {told['wrong']} wrong")
        return int(told["wrong"] > 0)


if __name__ == "__main__":
    sys.exit(main())
