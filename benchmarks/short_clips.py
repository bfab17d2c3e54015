"""Short clips: where the time of a clip goes, and how many of them two cores recognise in a second.

Everything is measured in turns in one run, and ratios are taken within a turn: other programs on the machine slow all
parts. A value is the median over turns; of single clips, over clips too. The encoder alone is the packaged encoder from
samples to its layers: level, log-mel spectrogram, network. Parts are measured one by one, on clips of 5 s with one
thread; half of the clips are EmoDB, half RAVDESS. Voice activity detection (VAD) only runs for a clip that is unlike
the training data, and its part counts for those alone. For throughput, clips of 1 to 5 s are recognised with
two threads: one after the other by `recognize`, each by both threads, and all by one call of `recognize_batch`.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.record import Options, Result, make_figure, options_parser, save_result, to_options
from benchmarks.speed import Bar, Measured
from benchmarks.speed_peers import RATE
from bimodal import Recognizer
from bimodal.audio.decode import Signal, load_signal
from bimodal.audio.level import normalise_level
from bimodal.audio.segmentation import holds_segment
from bimodal.features.backbone import prepare_whisper
from bimodal.features.logmel import log_mel
from bimodal.features.quality import describe_quality
from bimodal.records import Clip

SECONDS = 5
CLIPS = 6
"""Clips of 5 s of each corpus."""

BATCH = 60
"""Short clips of a batch."""

Tasks = Mapping[str, Callable[[], Any]]


def run(options: Options, model: Path | None, rounds: int) -> Result:
    """All figures; one seed, as nothing is drawn."""
    begun = time.monotonic()
    measured = [*_parts(options, model, rounds), *_throughput(options, model, rounds)]
    result = Result(
        name="short_clips",
        title="Short clips: parts of the time, and throughput",
        protocol=(__doc__ or "").partition("\n\n")[2].replace("\n", " ").strip(),
        licence="RAVDESS, CC BY-NC-SA 4.0, and EmoDB, CC0",
        seeds=(0,),
        figures=tuple(make_figure(one.system, one.unit, [one.value]) for one in measured),
        quoted=(),
        notes=tuple(_verdict(one, one.bar) for one in measured if one.bar is not None),
        tried=(),
        target="the limits in the notes",
        config="1 and 2 threads",
        settings={"rounds": rounds},
        minutes=(time.monotonic() - begun) / 60,
        command=f"python -m benchmarks.short_clips --rounds {rounds}" + (" --model MODEL" if model else ""),
    )
    kept = [one.bar.kept(one.value) for one in measured if one.bar is not None]
    return save_result(result, options, f"{sum(kept)} of {len(kept)} limits met")


def _verdict(one: Measured, bar: Bar) -> str:
    side, kept = "at most" if bar.below else "at least", "met" if bar.kept(one.value) else "MISSED"
    return f"{one.system}: {one.value:.3g} {one.unit}, limit {side} {bar.value:.3g}: {kept}"


def _files(options: Options) -> list[Path]:
    """Clips of both corpora in turn, spread over their speakers."""
    ravdess, emodb = (
        sorted((options.data / name / "audio").glob("*.*"), key=lambda file: file.stem[::-1])
        for name in ("ravdess", "emodb")
    )
    step = len(ravdess) // BATCH, len(emodb) // BATCH
    return [one for pair in zip(ravdess[:: step[0]], emodb[:: step[1]], strict=False) for one in pair]


def _parts(options: Options, model: Path | None, rounds: int) -> Iterator[Measured]:
    """Seconds of each part of a 5-second clip, and their shares."""
    recognizer = Recognizer(model, threads=1)
    files = _files(options)
    signals = [np.resize(load_signal(file), SECONDS * RATE) for file in files[: 2 * CLIPS]]
    turns = [one for signal in signals for one in _clip_turns(recognizer, signal, rounds)]
    for name in max(turns, key=len):
        value = 1000 * median(turn[name] for turn in turns if name in turn)
        yield Measured(system=f"5-second clip: {name}", unit="ms", value=value)
    searched = 100 * sum("VAD" in turn for turn in turns) / len(turns)
    yield Measured(system="5-second clips in which speech is searched for (VAD)", unit="%", value=searched)
    parts = ("VAD", "quality", "pooling")
    share = median(100 * sum(turn.get(part, 0.0) for part in parts) / turn["whole"] for turn in turns)
    system = "5-second clip: VAD, quality and pooling"
    yield Measured(system=system, unit="% of its time", value=share, bar=Bar(value=10, below=True))
    ratio = median(turn["whole"] / turn["encoder"] for turn in turns)
    system = "5-second clip: whole / its encoder alone"
    yield Measured(system=system, unit="times", value=ratio, bar=Bar(value=1.1, below=True))
    ratio = median(turn["whole"] / turn["network of the encoder"] for turn in turns)
    yield Measured(system="5-second clip: whole / the network of its encoder alone", unit="times", value=ratio)


def _clip_turns(recognizer: Recognizer, signal: Signal, rounds: int) -> list[dict[str, float]]:
    """Turns of one clip; voice activity detection takes part where the clip needs it."""
    distance = recognizer.model.encode(signal).ood_score
    tasks = _tasks(recognizer, signal)
    near = distance is not None and distance <= 1
    return in_turns({name: task for name, task in tasks.items() if name != "VAD" or not near}, rounds)


def _tasks(recognizer: Recognizer, signal: Signal) -> Tasks:
    model = recognizer.model
    backbone, levelled = model.speech_backbone, normalise_level(signal)
    inputs, frames = prepare_whisper(levelled)[0], backbone.extract(signal)
    encoded = model.pool(frames, float(SECONDS))
    return {
        "whole": lambda: recognizer.recognize(signal, sampling_rate=RATE),
        "encoder": lambda: backbone.extract(signal),
        "network of the encoder": lambda: backbone.run_probe(inputs),
        "log-mel spectrogram": lambda: log_mel(levelled),
        "VAD": lambda: holds_segment(signal),
        "quality": lambda: describe_quality(signal, frames.mel),
        "pooling": lambda: model.pool(frames, float(SECONDS)),
        "networks after pooling": lambda: model.score([Clip()], [encoded]),
    }


def _throughput(options: Options, model: Path | None, rounds: int) -> Iterator[Measured]:
    """Clips a second with two threads, one after the other and in one batch."""
    recognizer, files = Recognizer(model, threads=2), [str(file) for file in _files(options)[:BATCH]]
    tasks = {
        "one after the other": lambda: [recognizer.recognize(file) for file in files],
        "in one batch": lambda: recognizer.recognize_batch(files),
    }
    turns = in_turns(tasks, rounds)
    for name in tasks:
        value = len(files) / median(turn[name] for turn in turns)
        yield Measured(system=f"{len(files)} short clips, two threads: {name}", unit="clips a second", value=value)
    ratio = median(turn["one after the other"] / turn["in one batch"] for turn in turns)
    system = "short clips, two threads: batch / one after the other"
    yield Measured(system=system, unit="times the throughput", value=ratio, bar=Bar(value=1.3, below=False))


def in_turns(tasks: Tasks, rounds: int) -> list[dict[str, float]]:
    """Seconds of each task in each turn, after one turn that does not count.

    Example:
        >>> [list(turn) for turn in in_turns({"nothing": lambda: None}, 2)]
        [['nothing'], ['nothing']]
    """
    turns = []
    for _ in range(rounds + 1):
        turn = {}
        for name, task in tasks.items():
            begun = time.perf_counter()
            task()
            turn[name] = time.perf_counter() - begun
        turns.append(turn)
    return turns[1:]


def _read(arguments: Sequence[str] | None = None) -> tuple[Options, Path | None, int]:
    parser: argparse.ArgumentParser = options_parser(__doc__ or "")
    parser.set_defaults(seeds=[0])
    parser.add_argument("--model", type=Path, help="model folder with a speech network (default: the packaged one)")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each comparison")
    found = parser.parse_args(arguments)
    return to_options(found), found.model, found.rounds


if __name__ == "__main__":
    run(*_read())
