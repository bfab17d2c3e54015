"""LiveKit Agents: speech recognition with the emotion of each user turn (extra `livekit`).

Wrap the speech recognition of a session:

    AgentSession(stt=EmotionSTT(deepgram.STT()), llm=..., tts=...)
"""

import asyncio
from typing import Any

from livekit.agents import stt, utils
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, APIConnectOptions, NotGivenOr
from pydantic import BaseModel

from bimodal.inference.recognizer import Recognizer
from bimodal.integrations.turns import TurnAudio, describe_turn, recognize_turn
from bimodal.records import Recognition


class EmotionContext(BaseModel):
    """What LiveKit keeps of the speaker, and may tell the language model.

    Attributes:
        emotion: Of the last turn; None if the model abstained.
        score: Its probability, 0 to 1.
        note: The same as a sentence; empty if the model is unsure.
    """

    emotion: str | None
    score: float | None
    note: str

    def to_instructions(self) -> str:
        """The note, for LiveKit's `SpeakerContext`."""
        return self.note


class EmotionSTT(stt.STT[Any]):
    """Speech recognition whose final transcripts have the emotion of the turn, from its audio and its words.

    Each final transcript has `alternatives[0].metadata["emotion"]`, a `Recognition`. The event `emotion` of this object
    tells the same. Everything else comes from the wrapped speech recognition.

    Args:
        wrapped: Speech recognition of any plugin, with or without streaming.
        recognizer: The model; None for the packaged one.
        note: Append a note on the emotion to the words, so that the language model reads it, if the score is at least
            0.5.

    Raises:
        ModelFolderError: The model is missing or damaged.
    """

    def __init__(self, wrapped: stt.STT[Any], recognizer: Recognizer | None = None, *, note: bool = False) -> None:
        super().__init__(capabilities=wrapped.capabilities)
        self._wrapped, self._recognizer, self._note = wrapped, recognizer or Recognizer(), note
        self._recognize_metrics_needed = False  # the wrapped one tells them
        for event in ("metrics_collected", "error"):
            wrapped.on(event, lambda *told, event=event: self.emit(event, *told))

    @property
    def model(self) -> str:
        """Name of the wrapped model."""
        return self._wrapped.model

    @property
    def provider(self) -> str:
        """Provider of the wrapped model."""
        return self._wrapped.provider

    def prewarm(self) -> None:
        """Load all networks."""
        self._wrapped.prewarm()
        self._recognizer.warm_up()

    async def aclose(self) -> None:
        """Close the wrapped speech recognition."""
        await self._wrapped.aclose()

    def stream(
        self, *, language: NotGivenOr[str] = NOT_GIVEN, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> "EmotionStream":
        """A stream of the wrapped speech recognition, with emotions."""
        return EmotionStream(self, self._wrapped, language=language, conn_options=conn_options)

    async def _recognize_impl(
        self,
        buffer: utils.AudioBuffer,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> stt.SpeechEvent:
        event = await self._wrapped.recognize(buffer, language=language, conn_options=conn_options)
        turn = TurnAudio()
        for frame in buffer if isinstance(buffer, list) else [buffer]:
            turn.push(bytes(frame.data), frame.sample_rate, frame.num_channels)
        await self.answer(event, turn)
        return event

    async def answer(self, event: stt.SpeechEvent, turn: TurnAudio) -> Recognition | None:
        """Add the emotion to a final transcript; None for an event without words.

        Args:
            event: Of the wrapped speech recognition; it is changed.
            turn: The audio so far.
        """
        if not event.alternatives or not event.alternatives[0].text.strip():
            return None
        said = event.alternatives[0]
        language = str(said.language)[:2] or None
        result = await asyncio.to_thread(
            recognize_turn, self._recognizer, turn.take(), said.text, speaker=said.speaker_id, language=language
        )
        said.metadata = {**(said.metadata or {}), "emotion": result}
        if self._note and (told := describe_turn(result)):
            said.text = f"{said.text} {told}"
        self.emit("emotion", result)
        return result


class EmotionStream(stt.RecognizeStream):
    """A stream of the wrapped speech recognition; `EmotionSTT.stream` opens one."""

    def __init__(
        self,
        owner: EmotionSTT,
        wrapped: stt.STT[Any],
        *,
        language: NotGivenOr[str],
        conn_options: APIConnectOptions,
    ) -> None:
        super().__init__(stt=owner, conn_options=APIConnectOptions(max_retry=0, timeout=conn_options.timeout))
        self._owner, self._wrapped, self._turn = owner, wrapped, TurnAudio()
        self._options = {"language": language, "conn_options": conn_options}

    async def _metrics_monitor_task(self, event_aiter: Any) -> None:
        """The wrapped stream tells its own metrics."""
        async for _ in event_aiter:
            pass

    async def _run(self) -> None:
        async with self._wrapped.stream(**self._options) as inner:
            forwarding = asyncio.create_task(self._forward(inner))
            try:
                async for event in inner:
                    await self._take(event)
                    self._event_ch.send_nowait(event)
            finally:
                await utils.aio.cancel_and_wait(forwarding)

    async def _forward(self, inner: stt.RecognizeStream) -> None:
        """Audio to the wrapped stream, and to the turn."""
        async for item in self._input_ch:
            if isinstance(item, self._FlushSentinel):
                inner.flush()
            else:
                self._turn.push(bytes(item.data), item.sample_rate, item.num_channels)
                inner.push_frame(item)
        inner.end_input()

    async def _take(self, event: stt.SpeechEvent) -> None:
        if event.type == stt.SpeechEventType.START_OF_SPEECH:
            self._turn.begin()
        elif event.type == stt.SpeechEventType.END_OF_SPEECH:
            self._turn.end()
        elif event.type == stt.SpeechEventType.FINAL_TRANSCRIPT:
            result = await self._owner.answer(event, self._turn)
            if result is not None:
                score = None if result.emotion is None else result.scores[result.emotion]
                self.context = EmotionContext(emotion=result.emotion, score=score, note=describe_turn(result))
