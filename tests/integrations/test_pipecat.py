"""A real Pipecat pipeline, with its detector of speech, gets the emotion of a user's turn."""

import asyncio

import numpy as np
import pytest

pytest.importorskip("pipecat", reason="needs the extra pipecat")
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import InputAudioRawFrame, TranscriptionFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.tests.utils import SleepFrame, run_test

from bimodal import Recognizer
from bimodal.audio.decode import Decoded, load_signal
from bimodal.integrations.pipecat import EmotionFrame, EmotionProcessor
from bimodal.integrations.turns import recognize_turn

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
WORDS = "I told you to stop that!"
RATE = 16_000


class KnownWords(SegmentedSTTService):
    """Speech recognition that knows what the user says."""

    async def run_stt(self, audio: bytes):
        yield TranscriptionFrame(text=WORDS, user_id="ann", timestamp="")


def spoken(signal: np.ndarray) -> list:
    """A user's turn between a second of silence before and two after, in frames of 20 ms."""
    quiet = np.zeros(RATE, np.float32)
    samples = (np.concatenate([quiet, signal, quiet, quiet]) * 32767).astype("<i2")
    blocks = [samples[start : start + 320].tobytes() for start in range(0, len(samples), 320)]
    return [InputAudioRawFrame(audio=block, sample_rate=RATE, num_channels=1) for block in blocks]


def run(processor: EmotionProcessor, frames: list) -> list:
    params = PipelineParams(audio_in_sample_rate=RATE)
    stages = Pipeline([VADProcessor(vad_analyzer=SileroVADAnalyzer()), KnownWords(), processor])
    down, _ = asyncio.run(run_test(stages, frames_to_send=frames, pipeline_params=params, start_timeout=30.0))
    return list(down)


def test_a_turn_of_a_real_clip_gets_its_emotion(samples):
    signal = load_signal(samples / "cross.mp3")
    down = run(EmotionProcessor(), [*spoken(signal), SleepFrame(sleep=2.0)])
    (words,) = [frame for frame in down if isinstance(frame, TranscriptionFrame)]
    (emotion,) = [frame for frame in down if isinstance(frame, EmotionFrame)]
    assert down.index(emotion) == down.index(words) - 1 and words.text == emotion.transcript == WORDS
    result = words.metadata["emotion"]
    expected = recognize_turn(Recognizer(), Decoded(signal=signal, sampling_rate=RATE), WORDS)
    assert result is emotion.recognition and result.emotion == expected.emotion and result.speaker == "ann"
    assert result.scores == pytest.approx(expected.scores, abs=0.1)
    assert result.end == pytest.approx(expected.end, abs=0.2)
    assert sum(isinstance(frame, InputAudioRawFrame) for frame in down) == len(spoken(signal))


def test_the_note_is_for_the_language_model(samples):
    signal = load_signal(samples / "cross.mp3")
    frames = [*spoken(signal), SleepFrame(sleep=2.0)]
    (words,) = [one for one in run(EmotionProcessor(note=True), frames) if isinstance(one, TranscriptionFrame)]
    result = words.metadata["emotion"]
    told = f" [The user sounds like {result.emotion}" if max(result.scores.values()) >= 0.5 else ""
    assert words.text.startswith(WORDS + told) and bool(told) == ("[" in words.text)


def test_rubbish_audio_stops_no_pipeline():
    broken = [InputAudioRawFrame(audio=b"\1" * 3, sample_rate=RATE, num_channels=1) for _ in range(3)]
    said = TranscriptionFrame(text="Hello", user_id="", timestamp="")
    down, _ = asyncio.run(
        run_test(EmotionProcessor(), frames_to_send=[*broken, SleepFrame(sleep=0.1), said], start_timeout=30.0)
    )
    (words,) = [frame for frame in down if isinstance(frame, TranscriptionFrame)]
    assert words.text == "Hello" and words.metadata["emotion"].scores
