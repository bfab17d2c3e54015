"""The commands that are killed, and what they work on: speech of the demo corpus, a call, small encoders."""

import os
from pathlib import Path

import numpy as np
import soundfile

from tests.conftest import save_tiny_bert, save_tiny_whisper
from tests.kill.killing import Command, Runs

_IN = "../inputs"
_CORPUS = f"{_IN}/corpus/manifest.csv"
_SMALL = f"{_IN}/small/manifest.csv"
_TRAINED = f"{_IN}/trained/model"
_QUIET = ("--threads", "1", "-q")
_FAST = tuple(
    part
    for value in (
        "threads=1", "speech.epochs=3", "speech.min_steps=30", "speech.pca_components=0", "speech.ensemble_size=2",
        "text.epochs=3", "text.min_steps=30", "fusion.epochs=3", "fusion.min_steps=20", "fusion.n_folds=2",
    )
    for part in ("--set", value)
)  # fmt: skip
_TUNE = ("--set", "threads=1", "--set", "epochs=3", "--set", "batch_size=16", "--cache", "cache", "-q")
_SPEECH = (
    "--set", f"source={_IN}/whisper", "--set", "layers=[1, 2]", "--set", "frozen=1", "--set", "crop_seconds=0.3",
    "--set", "precision=float32", "--set", "head.augmentations=['speed0.9']", "--set", "head.pca_components=8",
    "--set", "head.epochs=2", "--set", "head.min_steps=0",
)  # fmt: skip

COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        Command(name="prepare", arguments=("prepare", "manifest", f"{_IN}/corpus", "prepared")),
        Command(
            name="features",
            arguments=("train", "speech", _SMALL, "run", "--cache", "cache", "-q", *_FAST),
        ),
        Command(
            name="train-speech",
            arguments=("train", "speech", _CORPUS, "run", "--cache", "cache", "-q", *_FAST),
            given=("cache",),
        ),
        Command(
            name="train-text",
            arguments=("train", "text", _CORPUS, "run", "--cache", "cache", "-q", *_FAST),
            given=("cache",),
        ),
        Command(
            name="train-fusion",
            arguments=("train", _CORPUS, "run", "--cache", "cache", "-q", *_FAST),
            given=("cache",),
        ),
        Command(name="tune-speech", arguments=("tune", "speech", _CORPUS, "tuned", *_TUNE, *_SPEECH)),
        Command(name="tune-text", arguments=("tune", "text", _CORPUS, "tuned", *_TUNE, "--set", f"source={_IN}/bert")),
        Command(
            name="adapt", arguments=("adapt", _TRAINED, _SMALL, "adapted", "--by", "speaker", *_QUIET)
        ),
        Command(
            name="extract", arguments=("extract", "permissive", _SMALL, "embeddings.safetensors", *_QUIET)
        ),
        Command(
            name="evaluate",
            arguments=("evaluate", _SMALL, "--model", "permissive", "--out", "report", *_QUIET),
        ),
        Command(
            name="recognize-folder",
            arguments=("recognize", f"{_IN}/clips", "--out", "results", "--format", "jsonl", "--threads", "1", "-q"),
        ),
        Command(
            name="recognize-words",
            arguments=(
                "recognize", f"{_IN}/small/audio", "--transcripts", _SMALL, "--out", "results", "--format", "csv",
                "--threads", "1", "-q",
            ),
        ),
        Command(
            name="recognize-statistics",
            arguments=(
                "recognize", "-m", f"{_IN}/adapted", f"{_IN}/clips", "--out", "results", "--speaker", "ann",
                "--speaker-stats", "ann.stats",
                "--format", "jsonl", "--threads", "1", "-q",
            ),
        ),
        Command(
            name="recognize-long",
            arguments=("recognize", f"{_IN}/call.wav", "--out", "results", "--format", "vtt", "-q"),
        ),
        Command(
            name="recognize-call",
            arguments=(
                "recognize", f"{_IN}/call.wav", "--out", "results", "--format", "vtt", "--channels", "speakers", "-q",
            ),
        ),
    )
}  # fmt: skip
"""All commands but those with speech recognition."""


def commands_with_asr(model: Path) -> dict[str, Command]:
    """The commands with speech recognition by a Whisper model in this folder."""
    asr = str(model.absolute())
    book = ("--cache", "cache", "--threads", "1", "-q")
    return {
        command.name: command
        for command in (
            Command(
                name="transcribe",
                arguments=("transcribe", "few/manifest.csv", "few/words.csv", "--replace", "--model", asr, *book),
                given=("few",),
            ),
            Command(
                name="recognize-transcribe",
                arguments=(
                    "recognize", f"{_IN}/call.wav", "--out", "results", "--format", "vtt", "--transcribe",
                    "--asr-model", asr, "--channels", "speakers", "-q",
                ),
            ),
        )
    }  # fmt: skip


def all_commands() -> dict[str, Command]:
    """Those that this machine can run; the ones with speech recognition need BIMODAL_ASR_MODEL."""
    named = os.environ.get("BIMODAL_ASR_MODEL", "")
    return COMMANDS | (commands_with_asr(Path(named)) if named else {})


def make_inputs(root: Path, size: int = 60) -> None:
    """Make `root/inputs`, if it is not there: the demo corpus, clips, a call, encoders without training, a cache."""
    inputs = root / "inputs"
    if (inputs / "done").exists():
        return
    from bimodal.demo.corpus import prepare

    lines = prepare(inputs / "corpus", size=size)
    files = [inputs / "corpus" / str(line.path) for line in lines]
    (inputs / "clips" / "more").mkdir(parents=True, exist_ok=True)
    for number, file in enumerate(files[:8]):
        (inputs / "clips" / ("more" if number % 2 else "") / f"{number}.wav").write_bytes(file.read_bytes())
    write_call(inputs / "call.wav", files)
    write_few(inputs / "few", inputs / "corpus" / "manifest.csv", rows=8)
    write_few(inputs / "small", inputs / "corpus" / "manifest.csv", rows=24)
    save_tiny_whisper(inputs / "whisper")
    save_tiny_bert(inputs / "bert")
    train = ("train", _CORPUS, "run", "--cache", "cache", "-q", *_FAST)
    adapt = ("adapt", _TRAINED, _SMALL, "adapted", "--by", "speaker", *_QUIET)
    made = {"train": (train, {"cache": "cache", "run": "trained"}), "adapt": (adapt, {"adapted": "adapted"})}
    for name, (arguments, kept) in made.items():  # what the commands below start from
        runs = Runs(root, Command(name=f"inputs-{name}", arguments=arguments))
        runs.undisturbed()
        for folder, place in kept.items():
            (runs.folder / folder).rename(inputs / place)
    (inputs / "done").write_text("")


def write_call(path: Path, files: list[Path]) -> None:
    """Two speakers, one a channel, who often speak at once; about a minute and a half."""
    chance = np.random.default_rng(0)
    sides = []
    for half in (files[::2], files[1::2]):
        parts = []
        for file in half[:22]:
            signal, rate = soundfile.read(file, dtype="float32")
            parts += [signal, np.zeros(int(rate * chance.choice([0.1, 0.4, 0.8, 2.0])), np.float32)]
        sides.append(np.concatenate(parts))
    length = min(map(len, sides))
    soundfile.write(path, np.stack([side[:length] for side in sides], axis=1), 16_000, subtype="PCM_16")


def write_few(folder: Path, manifest: Path, rows: int) -> None:
    """The first rows of a manifest with their recordings."""
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    lines = manifest.read_text(encoding="utf-8").splitlines()[: rows + 1]
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for line in lines[1:]:
        name = next(cell for cell in line.split(",") if cell.endswith(".wav"))
        (folder / name).write_bytes((manifest.parent / name).read_bytes())
