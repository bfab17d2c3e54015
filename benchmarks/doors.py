"""How long each door for other programs takes to answer a user's turn of five seconds, with its words, when it is warm.

`python -m benchmarks.doors` measures the doors whose packages are installed and writes docs/results-doors.json. `--asr
FOLDER` adds transcription. All run on this machine; the turn is the beginning of a packaged sample.
"""

import argparse
import asyncio
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import soundfile

from benchmarks.serve import serving
from bimodal import Client, Recognizer
from bimodal.audio.decode import Decoded, load_signal
from bimodal.integrations.turns import recognize_turn

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "src" / "bimodal" / "service" / "static" / "samples" / "diary.mp3"
PAGE = ROOT / "docs" / "results-doors.json"
WORDS = "I told you to stop that!"
RATE = 16_000
SECONDS = 5
BAR = 100.0
"""What the 95th percentile is to stay below, in milliseconds."""


def turn() -> Any:
    """Five seconds of speech at 16 kHz, as 16-bit samples."""
    return (load_signal(SAMPLE)[: SECONDS * RATE] * 32767).astype("<i2")


def as_floats(samples: Any) -> Any:
    """The same in [-1, 1]."""
    return samples.astype(np.float32) / np.float32(32768)


def timed(ask: Callable[[], Any], rounds: int) -> list[float]:
    """Milliseconds of each call after three that warm up."""
    found = []
    for _ in range(rounds + 3):
        begun = time.perf_counter()
        ask()
        found.append(1000 * (time.perf_counter() - begun))
    return found[3:]


def in_python(samples: Any, rounds: int) -> Iterator[tuple[str, list[float]]]:
    """The recogniser itself, and a voice agent's turn."""
    recognizer, signal = Recognizer(), as_floats(samples)
    yield "Python", timed(lambda: recognizer.recognize(signal, sampling_rate=RATE, transcript=WORDS), rounds)
    audio = Decoded(signal=signal, sampling_rate=RATE)
    yield "turn of a voice agent", timed(lambda: recognize_turn(recognizer, audio, WORDS), rounds)


def over_http(samples: Any, rounds: int, asr: Path | None) -> Iterator[tuple[str, list[float]]]:
    """The server: by its own interface, and in OpenAI's shape."""
    with serving("permissive", *(["--asr", str(asr)] if asr else [])) as (url, _), Client(url) as client:
        signal = as_floats(samples)
        yield "HTTP", timed(lambda: client.recognize(signal, sampling_rate=RATE, transcript=WORDS), rounds)
        if asr:
            import openai

            with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as asking:
                ask = asking.audio.transcriptions.create
                wave = wav(samples)
                name = "OpenAI's transcriptions, with speech recognition"
                yield (
                    name,
                    timed(lambda: ask(model="any", file=("a.wav", wave), response_format="verbose_json"), rounds),
                )


def wav(samples: Any) -> bytes:
    """The samples as a WAV file."""
    stream = io.BytesIO()
    soundfile.write(stream, samples, RATE, format="WAV")
    return stream.getvalue()


def over_mcp(samples: Any, rounds: int) -> Iterator[tuple[str, list[float]]]:
    """An agent's tool call, over standard input and output."""
    import mcp

    async def run(folder: Path) -> list[float]:
        arguments = ["-m", "bimodal", "mcp", "--folder", str(folder)]
        server = mcp.StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ))
        found = []
        async with mcp.Client(server) as client:
            for _ in range(rounds + 3):
                begun = time.perf_counter()
                result = await client.call_tool("recognize_recording", {"file": "turn.wav", "transcript": WORDS})
                found.append(1000 * (time.perf_counter() - begun))
                if result.is_error:
                    raise SystemExit(f"the tool answers: {result.content}")
        return found[3:]

    with TemporaryDirectory() as folder:
        (Path(folder) / "turn.wav").write_bytes(wav(samples))
        yield "MCP", asyncio.run(run(Path(folder)))


def in_pipecat(samples: Any, rounds: int) -> Iterator[tuple[str, list[float]]]:
    """From the words of a turn in front of the processor to the words behind it."""
    from loguru import logger
    from pipecat.frames.frames import InputAudioRawFrame, TranscriptionFrame
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
    from pipecat.tests.utils import SleepFrame, run_test

    from bimodal.integrations.pipecat import EmotionProcessor

    logger.remove()

    class Stopwatch(FrameProcessor):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[float] = []

        async def process_frame(self, frame: Any, direction: FrameDirection) -> None:
            await super().process_frame(frame, direction)
            if isinstance(frame, TranscriptionFrame):
                self.seen.append(time.perf_counter())
            await self.push_frame(frame, direction)

    before, after = Stopwatch(), Stopwatch()
    frames: list[Any] = []
    for _ in range(rounds + 3):
        frames += [
            InputAudioRawFrame(audio=samples.tobytes(), sample_rate=RATE, num_channels=1),
            SleepFrame(sleep=0.05),
        ]
        frames += [TranscriptionFrame(text=WORDS, user_id="ann", timestamp=""), SleepFrame(sleep=0.3)]
    stages = Pipeline([before, EmotionProcessor(), after])
    asyncio.run(run_test(stages, frames_to_send=frames, start_timeout=60.0))
    yield "Pipecat", [1000 * (end - start) for start, end in zip(before.seen, after.seen, strict=True)][3:]


def in_livekit(samples: Any, rounds: int) -> Iterator[tuple[str, list[float]]]:
    """What the wrapper adds to a speech recognition that answers at once."""
    from livekit import rtc
    from livekit.agents import stt

    from bimodal.integrations.livekit import EmotionSTT

    class AtOnce(stt.STT[Any]):
        async def _recognize_impl(self, buffer: Any, *, language: Any, conn_options: Any) -> stt.SpeechEvent:
            said = stt.SpeechData(language="en", text=WORDS)
            return stt.SpeechEvent(type=stt.SpeechEventType.FINAL_TRANSCRIPT, alternatives=[said])

    async def run() -> list[float]:
        wrapped = EmotionSTT(AtOnce(capabilities=stt.STTCapabilities(streaming=False, interim_results=False)))
        frame, found = rtc.AudioFrame(samples.tobytes(), RATE, 1, len(samples)), []
        for _ in range(rounds + 3):
            begun = time.perf_counter()
            await wrapped.recognize(frame)
            found.append(1000 * (time.perf_counter() - begun))
        return found[3:]

    yield "LiveKit Agents", asyncio.run(run())


@contextmanager
def missing_is_told() -> Iterator[None]:
    """A door whose package is not installed is left out, and named."""
    try:
        yield
    except ModuleNotFoundError as error:
        print(f"left out: {error.name} is not installed")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--asr", type=Path, help="Whisper model in CTranslate2 format")
    parser.add_argument("--out", type=Path, default=PAGE)
    given = parser.parse_args()
    samples, rows = turn(), []
    load = os.getloadavg()[0]
    doors = [in_python(samples, given.rounds), over_http(samples, given.rounds, given.asr)]
    doors += [door(samples, given.rounds) for door in (over_mcp, in_pipecat, in_livekit)]
    for door in doors:
        with missing_is_told():
            for name, times in door:
                p50, p95 = (round(float(np.percentile(times, share)), 1) for share in (50, 95))
                rows.append({"door": name, "p50_ms": p50, "p95_ms": p95, "below_bar": p95 < BAR})
                print(f"{name}: median {p50} ms, 95th percentile {p95} ms")
    about = {"command": "python -m benchmarks.doors", "rounds": given.rounds, "turn_seconds": SECONDS}
    machine = {"cores": os.cpu_count(), "load_before": round(load, 1)}
    given.out.write_text(json.dumps({**about, **machine, "doors": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
