"""Quick commands, what they work on, and their undisturbed runs."""

from pathlib import Path

import pytest
import soundfile

from tests.conftest import FAST, write_tiny_corpus
from tests.kill.killing import Command, Runs, Undisturbed
from tests.soak.recording import SAMPLES

_SETTINGS = tuple(part for value in (*FAST, "threads=1", "text.epochs=3") for part in ("--set", value))
COMMANDS = {
    command.name: command
    for command in (
        Command(name="prepare", arguments=("prepare", "manifest", "../inputs/corpus", "prepared")),
        Command(
            name="train-text",
            arguments=("train", "text", "../inputs/corpus/manifest.csv", "run", "--cache", "cache", "-q", *_SETTINGS),
        ),
        Command(
            name="recognize",
            arguments=(
                "recognize", "../inputs/clips", "--timeline", "--out", "results", "--format", "vtt", "--threads", "1",
                "-q",
            ),
        ),
    )
}  # fmt: skip


@pytest.fixture(scope="session")
def root(tmp_path_factory) -> Path:
    """Folder with `inputs`: a tiny corpus, and clips of speech."""
    root = tmp_path_factory.mktemp("kill")
    write_tiny_corpus(root / "inputs" / "corpus", speakers=3, per_emotion=2)
    (root / "inputs" / "clips" / "more").mkdir(parents=True)
    for number, name in enumerate(("cross", "conflict", "cross")):
        signal, rate = soundfile.read(SAMPLES / f"{name}.mp3", dtype="float32")
        soundfile.write(root / "inputs" / "clips" / ("more" if number else "") / f"{number}.wav", signal, rate)
    return root


@pytest.fixture(scope="session")
def undisturbed(root: Path) -> dict[str, Undisturbed]:
    """Undisturbed runs of the commands."""
    return {name: Runs(root, command).undisturbed() for name, command in COMMANDS.items()}
