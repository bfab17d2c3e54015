"""Pipecat: a frame processor that adds the emotion of each user turn (extra `pipecat`).

Place it behind speech recognition and in front of the user's aggregator:

    Pipeline([transport.input(), stt, EmotionProcessor(), user_aggregator, llm, tts, transport.output()])
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from pipecat.frames.frames import (
    DataFrame,
    Frame,
    InputAudioRawFrame,
    StartFrame,
    TranscriptionFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from bimodal.inference.recognizer import Recognizer
from bimodal.integrations.turns import TurnAudio, describe_turn, recognize_turn
from bimodal.records import Recognition


@dataclass
class EmotionFrame(DataFrame):
    """The emotion of a user's turn; it comes right before the turn's `TranscriptionFrame`.

    Attributes:
        recognition: The emotion, its scores, and warnings; with `error` if the turn could not be recognised.
        user_id: Who spoke.
        transcript: The words.
    """

    recognition: Recognition
    user_id: str
    transcript: str


class EmotionProcessor(FrameProcessor):
    """Adds the emotion of each user turn, from its audio and its words.

    Each `TranscriptionFrame` gets `metadata["emotion"]`, a `Recognition`, and an `EmotionFrame` precedes it. All other
    frames pass unchanged.

    Args:
        recognizer: The model; None for the packaged one.
        note: Append a note on the emotion to the words, so that the language model reads it, if the score is at least
            0.5.
        **options: Of Pipecat's `FrameProcessor`.

    Raises:
        ModelFolderError: The model is missing or damaged.
    """

    def __init__(self, recognizer: Recognizer | None = None, *, note: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self._recognizer, self._note = recognizer or Recognizer(), note
        self._turn = TurnAudio()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Collect audio; answer transcriptions. A turn is recognised in a thread, so that audio goes on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            await asyncio.to_thread(self._recognizer.warm_up)
        elif isinstance(frame, InputAudioRawFrame):
            self._turn.push(frame.audio, frame.sample_rate, frame.num_channels)
        elif isinstance(frame, VADUserStartedSpeakingFrame | UserStartedSpeakingFrame):
            self._turn.begin()
        elif isinstance(frame, VADUserStoppedSpeakingFrame | UserStoppedSpeakingFrame):
            self._turn.end()
        elif isinstance(frame, TranscriptionFrame) and frame.text.strip():
            await self._answer(frame, direction)
        await self.push_frame(frame, direction)

    async def _answer(self, frame: TranscriptionFrame, direction: FrameDirection) -> None:
        audio, words = self._turn.take(), frame.text
        language = str(frame.language)[:2] if frame.language else None
        interruptible, frame.interruptible = frame.interruptible, False  # an interruption must not lose the words
        try:
            result = await asyncio.to_thread(
                recognize_turn, self._recognizer, audio, words, speaker=frame.user_id or None, language=language
            )
        finally:
            frame.interruptible = interruptible
        frame.metadata["emotion"] = result
        if self._note and (told := describe_turn(result)):
            frame.text = f"{words} {told}"
        await self.push_frame(EmotionFrame(recognition=result, user_id=frame.user_id, transcript=words), direction)
