"""How fast it is: a clip, a cold start, an hour, a stream, speech recognition in the loop, disk.

Each result is compared with a public tool. Both run alternately in the same run, with the same number of threads.
Ratios are taken within a run. wav2vec2-base has random weights; weights do not change the time. A result is the
median of several repetitions; with several seeds, the mean of their medians. Other programs on the machine slow both
tools, but not equally, so run it on an idle machine. Multiply-adds are counted for matrix products and convolutions,
from the shapes that occur. Long recordings and streams are random EmoDB clips in a row, with almost no pauses.
"""

import argparse
import compileall
import csv
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import soundfile

import bimodal
from benchmarks.record import (
    ROOT,
    Figure,
    Options,
    Result,
    make_figure,
    options_parser,
    save_result,
    to_options,
)
from benchmarks.speed_peers import (
    PIPELINE,
    RATE,
    count_multiply_adds,
    installed_megabytes,
    interleaved,
    process,
    product_task,
    random_wav2vec2,
    smile_task,
    wav2vec2_task,
    whisper_task,
    word_errors,
)
from bimodal import Recognizer
from bimodal.audio.decode import load_signal
from bimodal.audio.level import normalise_level
from bimodal.audio.segmentation import segment_audio
from bimodal.features.backbone import MODEL
from bimodal.features.logmel import log_mel

LONG_THREADS = 2
TIMELINE = """
import sys
from bimodal import Recognizer
for _ in Recognizer(sys.argv[1], threads=int(sys.argv[3])).recognize_long(sys.argv[2]):
    pass
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
"""Writes its peak memory (KiB): `getrusage` would tell that of the process that started it where that is larger."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What a figure is to reach.

    Attributes:
        value: The bar.
        below: True where the figure must not be above it, False where not below.
    """

    value: float
    below: bool

    def kept(self, figure: float) -> bool:
        """Whether a figure reaches it."""
        return figure <= self.value if self.below else figure >= self.value


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One figure of one run.

    Attributes:
        system: What was measured.
        unit: Of the value.
        value: The median.
        bar: What it is to reach; None where it is there to be read beside the others.
    """

    system: str
    unit: str
    value: float
    bar: Bar | None = None


@dataclass(frozen=True, kw_only=True)
class SpeedOptions:
    """What is measured, and with what.

    Attributes:
        model: Model folder with a speech network.
        asr: Folder of a Whisper model in CTranslate2 format; None leaves speech recognition out.
        hours: Length of the longest recording.
        install: Whether to install the base package and measure its size.
        rounds: Turns of each comparison.
    """

    model: Path
    asr: Path | None
    hours: float
    install: bool
    rounds: int


def run(options: Options, setup: SpeedOptions) -> Result:
    """All figures, once a seed."""
    begun = time.monotonic()
    runs = [list(_measure(options, setup)) for _ in options.seeds]
    figures = tuple(
        make_figure(same[0].system, same[0].unit, [float(one.value) for one in same])
        for same in zip(*runs, strict=True)
    )
    result = Result(
        name="speed",
        title="Speed, memory and disk space",
        protocol=(__doc__ or "").partition("\n\n")[2].replace("\n", " ").strip(),
        licence="RAVDESS, CC BY-NC-SA 4.0, and EmoDB, CC0",
        seeds=options.seeds,
        figures=figures,
        quoted=(),
        notes=tuple(_notes(runs[0], figures, options.threads)),
        tried=(),
        target="the limits in the notes",
        config=f"{options.threads} and {LONG_THREADS} threads",
        settings={"hours": setup.hours, "rounds": setup.rounds},
        minutes=(time.monotonic() - begun) / 60,
        command=f"python -m benchmarks.speed --model MODEL --hours {setup.hours:g} --rounds {setup.rounds}"
        + (" --asr WHISPER" if setup.asr else ""),
    )
    kept = [item.bar.kept(figure.mean) for item, figure in zip(runs[0], figures, strict=True) if item.bar]
    return save_result(result, options, f"{sum(kept)} of {len(kept)} speed limits met")


def _notes(measured: Sequence[Measured], figures: Sequence[Figure], threads: int) -> Iterator[str]:
    yield f"Clips and cold starts use {threads} thread. Long recordings, streams and speech recognition use two."
    for item, figure in zip(measured, figures, strict=True):
        if item.bar is not None:
            side = "at most" if item.bar.below else "at least"
            verdict = "met" if item.bar.kept(figure.mean) else "MISSED"
            yield f"{item.system}: {figure.mean:.3g} {item.unit}, limit {side} {item.bar.value:.3g}: {verdict}"


def _measure(options: Options, setup: SpeedOptions) -> Iterator[Measured]:
    if setup.install:
        megabytes = installed_megabytes(ROOT)
        yield Measured(system="base installation with the default model", unit="MB", value=megabytes, bar=_most(400))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        clips = sorted((options.data / "ravdess" / "audio").glob("*.flac"))
        signal = np.concatenate([load_signal(file) for file in clips[:2]])[: 5 * RATE]
        soundfile.write(folder / "clip.wav", signal, RATE)
        peer = random_wav2vec2(folder / "wav2vec2")
        yield from _clip(options, setup, peer, signal)
        yield from _cold(options, setup, peer, folder / "clip.wav")
        talk = _talk(options.data / "emodb")
        yield from _stream(setup, talk)
        yield from _long(setup, talk, folder)
        if setup.asr is not None:
            yield from _heard(setup, talk, folder)


def _most(value: float) -> Bar:
    return Bar(value=value, below=True)


def _least(value: float) -> Bar:
    return Bar(value=value, below=False)


def _clip(options: Options, setup: SpeedOptions, peer: Path, signal: Any) -> Iterator[Measured]:
    """Five seconds of speech in memory, models loaded."""
    recognizer = Recognizer(setup.model, threads=options.threads)
    product, product_adds = product_task(options.threads)
    classify, their_adds = wav2vec2_task(peer, signal)
    mel = log_mel(normalise_level(signal))
    inputs = {"mel": mel[None], "frames": np.array([mel.shape[1]])}
    our_adds = count_multiply_adds(recognizer.model.speech_backbone.folder / MODEL, inputs)
    tasks: dict[str, Any] = {
        "ours": lambda: recognizer.recognize(signal, sampling_rate=RATE),
        "wav2vec2": classify,
        "product": product,
    }
    smile = smile_task(signal)
    seconds = interleaved(tasks | ({} if smile is None else {"smile": smile}), setup.rounds)
    adds, ratio = their_adds / our_adds, seconds["wav2vec2"] / seconds["ours"]
    needed = our_adds * seconds["product"] / product_adds
    yield Measured(system="5-second clip, voice", unit="ms", value=1000 * seconds["ours"])
    yield Measured(system="5-second clip, wav2vec2-base of transformers", unit="ms", value=1000 * seconds["wav2vec2"])
    yield Measured(system="5-second clip, our multiply-adds", unit="billion", value=our_adds / 1e9)
    yield Measured(system="5-second clip, wav2vec2-base's multiply-adds", unit="billion", value=their_adds / 1e9)
    yield Measured(system="wav2vec2-base / ours, multiply-adds", unit="times", value=adds)
    yield Measured(system="wav2vec2-base / ours, time", unit="times", value=ratio)
    system = "time ratio / multiply-adds ratio"
    yield Measured(system=system, unit="ratio", value=ratio / adds, bar=_least(0.8))
    speed = 2 * product_adds / seconds["product"] / 1e9
    yield Measured(system="matrix product of torch, 1024 x 1024", unit="GFLOP/s", value=speed)
    system = "5-second clip, time / time of its multiply-adds at that speed"
    yield Measured(system=system, unit="times", value=seconds["ours"] / needed, bar=_most(1.5))
    if smile is not None:
        yield Measured(system="5-second clip, openSMILE eGeMAPS", unit="ms", value=1000 * seconds["smile"])
        system = "openSMILE eGeMAPS / ours, time"
        yield Measured(system=system, unit="times", value=seconds["smile"] / seconds["ours"], bar=_least(1.0))


def _cold(options: Options, setup: SpeedOptions, peer: Path, clip: Path) -> Iterator[Measured]:
    """Fresh processes; the sources are compiled first, as pip does when it installs them."""
    compileall.compile_dir(Path(bimodal.__file__).parent, quiet=1)
    python, command = sys.executable, [sys.executable, "-m", "bimodal"]
    threads = options.threads
    commands = {
        "import": [python, "-c", "import numpy, onnxruntime"],
        "help": [*command, "--help"],
        "recognize": [*command, "recognize", "--model", str(setup.model), str(clip), "--threads", str(threads)],
        "pipeline": [python, "-c", PIPELINE, str(peer), str(clip)],
    }
    tasks = {name: (lambda line=line: process(line, threads)) for name, line in commands.items()}
    seconds = interleaved(tasks, max(3, setup.rounds // 2))
    names = {
        "import": "cold: python -c 'import numpy, onnxruntime'",
        "help": "cold: bimodal --help",
        "recognize": "cold: bimodal recognize, 5-second clip",
        "pipeline": "cold: audio-classification pipeline of transformers, wav2vec2-base",
    }
    for name, system in names.items():
        yield Measured(system=system, unit="ms", value=1000 * seconds[name])
    base = seconds["import"]
    yield Measured(system="cold: recognize / import", unit="times", value=seconds["recognize"] / base, bar=_most(2.5))
    yield Measured(system="cold: help / import", unit="times", value=seconds["help"] / base, bar=_most(1.0))
    times = seconds["pipeline"] / seconds["recognize"]
    yield Measured(system="cold: pipeline / recognize", unit="times", value=times, bar=_least(8.0))


@dataclass(frozen=True, kw_only=True)
class Said:
    """What one clip holds.

    Attributes:
        path: The clip.
        words: Its transcript.
    """

    path: Path
    words: str


def _talk(corpus: Path) -> list[Said]:
    """The clips of a corpus in a drawn order; one sentence over and over, as they lie, makes Whisper loop."""
    with (corpus / "manifest.csv").open(encoding="utf-8") as file:
        rows = [Said(path=corpus / row["path"], words=row["transcript"]) for row in csv.DictReader(file)]
    return [rows[number] for number in np.random.default_rng(0).permutation(len(rows))]


def _stream(setup: SpeedOptions, talk: Sequence[Said]) -> Iterator[Measured]:
    """A stream in pieces of 100 ms: how long after the last sample its answers are there."""
    recognizer = Recognizer(setup.model, threads=LONG_THREADS)
    signal = np.concatenate([load_signal(said.path) for said in talk[:30]])
    recognizer.recognize(signal[: 4 * RATE], sampling_rate=RATE)
    running, ended = zip(*(_streamed(recognizer, signal) for _ in range(5)), strict=True)
    final = np.median(ended, axis=0)
    system = "stream: partial result for the last 4 s"
    value = 1000 * median(np.median(running, axis=0))
    yield Measured(system=system, unit="ms after the last sample", value=value, bar=_most(150))
    for name, seconds in (("a segment", median(final)), ("the slowest segment", max(final))):
        system = f"stream: result of {name}, after its last sample"
        yield Measured(system=system, unit="ms", value=1000 * seconds, bar=_most(150))


def _streamed(recognizer: Recognizer, signal: Any) -> tuple[list[float], list[float]]:
    """Seconds that each partial answer took, and the results of each segment."""
    stream, running, ended = recognizer.stream(RATE), [], []
    for number, start in enumerate(range(0, len(signal), RATE // 10)):
        begun = time.perf_counter()
        if stream.push(signal[start : start + RATE // 10]):
            ended.append(time.perf_counter() - begun)
        if number % 5 == 0:
            begun = time.perf_counter()
            if stream.partial() is not None:
                running.append(time.perf_counter() - begun)
    return running, ended


def _long(setup: SpeedOptions, talk: Sequence[Said], folder: Path) -> Iterator[Measured]:
    """An hour, and memory as recordings grow longer."""
    memory, seconds = {}, {}
    for hours in sorted({1 / 6, 1.0, setup.hours}):
        path, _ = _recording(talk, folder / "long.wav", hours)
        command = [sys.executable, "-c", TIMELINE, str(setup.model), str(path), str(LONG_THREADS)]
        seconds[hours], peak = process(command, LONG_THREADS)
        memory[hours] = int(peak) / 1024
    system, times = "one hour as a timeline", 3600 / seconds[1.0]
    yield Measured(system=system, unit="times real time", value=times, bar=_least(40))
    longest = max(memory)
    yield Measured(system="peak memory of 10 minutes", unit="MB", value=memory[1 / 6])
    ratio = memory[longest] / memory[1 / 6]
    yield Measured(system=f"peak memory of {longest:g} h / of 10 min", unit="times", value=ratio, bar=_most(1.1))


def _recording(talk: Sequence[Said], path: Path, hours: float) -> tuple[Path, str]:
    """Clips one after the other, as often as it takes, and their words."""
    left, words = round(hours * 3600 * RATE), []
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        for said in itertools.cycle(talk):
            signal = load_signal(said.path)[:left]
            file.write(signal)
            left -= len(signal)
            words.append(said.words)
            if not left:
                return path, " ".join(words)
    raise RuntimeError("no clips")


def _heard(setup: SpeedOptions, talk: Sequence[Said], folder: Path) -> Iterator[Measured]:
    """Three minutes with speech recognition, against faster-whisper alone with the same settings and threads."""
    from bimodal.asr.timed_words import SegmentTranscriber, make_asr
    from bimodal.asr.whisper import Transcriber

    path, words = _recording(talk, folder / "heard.wav", 0.05)
    for threads in (1, LONG_THREADS):
        recognizer = Recognizer(setup.model, threads=threads)
        asr = make_asr(Transcriber(str(setup.asr), threads=1, at_once=threads))
        tasks = {
            "ours": partial(_consume, recognizer, path, asr),
            "alone": whisper_task(str(setup.asr), path, threads),
        }
        seconds = interleaved(tasks, 3)
        heard = " ".join(word.text for _, said in SegmentTranscriber(asr).listen(segment_audio(path)) for word in said)
        name = f"three minutes with speech recognition, threads: {threads}"
        for system, text in (("bimodal", heard), ("faster-whisper", tasks["alone"]())):
            yield Measured(
                system=f"{name}: word error rate of {system}", unit="%", value=100 * word_errors(words, text)
            )
        ratio = seconds["ours"] / seconds["alone"]
        yield Measured(
            system=f"{name}: time of bimodal / time of faster-whisper alone", unit="times", value=ratio, bar=_most(1.15)
        )


def _consume(recognizer: Recognizer, path: Path, asr: Any) -> None:
    for _ in recognizer.recognize_long(path, asr=asr):
        pass


def _read(arguments: Sequence[str] | None = None) -> tuple[Options, SpeedOptions]:
    parser: argparse.ArgumentParser = options_parser(__doc__ or "")
    parser.set_defaults(seeds=[0])
    parser.add_argument("--model", type=Path, required=True, help="model folder with a speech network")
    parser.add_argument("--asr", type=Path, help="Whisper model in CTranslate2 format")
    parser.add_argument("--hours", type=float, default=10.0, help="length of the longest recording")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--no-install", dest="install", action="store_false", help="leave the base install out")
    found = parser.parse_args(arguments)
    setup = SpeedOptions(
        model=found.model, asr=found.asr, hours=found.hours, install=found.install, rounds=found.rounds
    )
    return to_options(found), setup


if __name__ == "__main__":
    run(*_read())
