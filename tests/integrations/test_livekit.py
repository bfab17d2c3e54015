"""A real LiveKit agent, with its detector of speech, gets the emotion of a user's turn."""

import asyncio

import numpy as np
import pytest

pytest.importorskip("livekit.agents", reason="needs the extra livekit")
from livekit import rtc
from livekit.agents import Agent, AgentSession, StopResponse, inference, stt
from livekit.agents.voice.io import AudioInput

from bimodal import Recognizer
from bimodal.audio.decode import Decoded, load_signal
from bimodal.integrations.livekit import EmotionSTT
from bimodal.integrations.turns import recognize_turn

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
WORDS = "I told you to stop that!"
RATE = 16_000


class KnownWords(stt.STT):
    """Speech recognition that knows what the user says; a stream says it at the end of its input."""

    def __init__(self, *, streaming: bool) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=streaming, interim_results=False))

    def said(self) -> stt.SpeechEvent:
        data = stt.SpeechData(language="en", text=WORDS, speaker_id="ann", metadata={"own": 1})
        return stt.SpeechEvent(type=stt.SpeechEventType.FINAL_TRANSCRIPT, alternatives=[data])

    async def _recognize_impl(self, buffer, *, language, conn_options) -> stt.SpeechEvent:
        return self.said()

    def stream(self, *, language, conn_options) -> stt.RecognizeStream:
        return KnownStream(stt=self, conn_options=conn_options)


class KnownStream(stt.RecognizeStream):
    async def _run(self) -> None:
        self._event_ch.send_nowait(stt.SpeechEvent(type=stt.SpeechEventType.START_OF_SPEECH))
        async for _ in self._input_ch:
            pass
        self._event_ch.send_nowait(stt.SpeechEvent(type=stt.SpeechEventType.END_OF_SPEECH))
        self._event_ch.send_nowait(self._stt.said())


def frames(signal: np.ndarray) -> list[rtc.AudioFrame]:
    """Frames of 20 ms."""
    samples = (signal * 32767).astype("<i2")
    blocks = [samples[start : start + 320] for start in range(0, len(samples) - 319, 320)]
    return [rtc.AudioFrame(block.tobytes(), RATE, 1, len(block)) for block in blocks]


class Clip(AudioInput):
    """A user who speaks a recording in real time, and is silent before and after."""

    def __init__(self, signal: np.ndarray) -> None:
        super().__init__(label="clip")
        quiet = np.zeros(RATE, np.float32)
        self._frames = iter(frames(np.concatenate([quiet, signal, *[quiet] * 30])))

    async def __anext__(self) -> rtc.AudioFrame:
        await asyncio.sleep(0.02)
        try:
            return next(self._frames)
        except StopIteration:
            raise StopAsyncIteration from None


@pytest.fixture(scope="module")
def signal(samples) -> np.ndarray:
    return load_signal(samples / "cross.mp3")


@pytest.fixture(scope="module")
def expected(signal):
    return recognize_turn(Recognizer(), Decoded(signal=signal, sampling_rate=RATE), WORDS)


def check(result, expected, tolerance: float) -> None:
    assert result.emotion == expected.emotion and (result.speaker, result.transcript) == ("ann", WORDS)
    assert result.scores == pytest.approx(expected.scores, abs=tolerance)


def test_a_stream_gets_the_emotion_beside_the_words(signal, expected):
    async def run() -> tuple[list, list, object]:
        told, wrapped = [], EmotionSTT(KnownWords(streaming=True))
        wrapped.on("emotion", told.append)
        async with wrapped.stream() as stream:
            for frame in frames(signal):
                stream.push_frame(frame)
                await asyncio.sleep(0)  # as live audio comes: one frame after the other
            stream.end_input()
            return [event async for event in stream], told, stream.context

    events, told, context = asyncio.run(run())
    kinds = [event.type for event in events]
    assert kinds == [stt.SpeechEventType(f"{name}_of_speech") for name in ("start", "end")] + [kinds[-1]]
    (said,) = events[-1].alternatives
    check(said.metadata["emotion"], expected, 0.1)
    assert said.text == WORDS and said.metadata["own"] == 1 and told == [said.metadata["emotion"]]
    assert context.emotion == expected.emotion and context.to_instructions() == context.note


def test_speech_recognition_without_streams_gets_it_too(signal, expected):
    async def run() -> stt.SpeechEvent:
        return await EmotionSTT(KnownWords(streaming=False), note=True).recognize(frames(signal))

    (said,) = asyncio.run(run()).alternatives
    check(said.metadata["emotion"], expected, 0.1)
    noted = max(expected.scores.values()) >= 0.5
    assert said.text.startswith(WORDS) and noted == ("sounds like" in said.text)


def test_an_agent_gets_the_emotion_of_a_turn_that_its_detector_cut(signal, expected):
    class Listener(Agent):
        def __init__(self) -> None:
            super().__init__(instructions="Listen.")
            self.heard: asyncio.Queue[str] = asyncio.Queue()

        async def on_user_turn_completed(self, turn_ctx, new_message) -> None:
            self.heard.put_nowait(new_message.text_content)
            raise StopResponse

    async def run() -> tuple[str, list]:
        told, agent = [], Listener()
        recognition = EmotionSTT(KnownWords(streaming=False))
        recognition.on("emotion", told.append)
        session = AgentSession(stt=recognition, vad=inference.VAD(model="silero"), turn_detection="vad")
        session.input.audio = Clip(signal)
        await session.start(agent)
        try:
            return await asyncio.wait_for(agent.heard.get(), 30), told
        finally:
            await session.aclose()

    words, (result,) = asyncio.run(run())
    assert words == WORDS
    check(result, expected, 0.15)
