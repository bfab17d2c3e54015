"""One user's turn in a conversation with a voice agent: the audio while it comes, and its emotion with the words."""

from collections import deque
from dataclasses import replace
from typing import Final

import numpy as np

from bimodal.audio.decode import Decoded, Signal
from bimodal.audio.segmentation import SegmentConfig, SegmentStream
from bimodal.inference.recognizer import Recognizer
from bimodal.records import Clip, Recognition

LONGEST_TURN: Final = 30.0
"""Seconds of a turn that are kept; of a longer one the last seconds are used."""

BEFORE_SPEECH: Final = 2.0
"""Seconds kept before speech is reported, since remote detectors report it late; `speech_of` drops silence."""

NOTED: Final = 0.5
"""Least score of an emotion that an agent is told in words."""

_PADDING: Final = 0.1  # seconds kept around speech
_NEW_AUDIO: Final = 0.3  # seconds; with less, words belong to the audio of the words before


class TurnAudio:
    """The audio of a user's turn while it is spoken. Not for several threads at once.

    Without `begin` and `end`, a turn is all audio since the last `take`.
    """

    def __init__(self) -> None:
        self._held: deque[Signal] = deque()
        self._samples, self._rate = 0, 1
        self._speaking: bool | None = None  # None until something reports speech
        self._waiting = False  # whether speech waits for its words
        self._last: Decoded | None = None

    @property
    def seconds(self) -> float:
        """Length of the audio that waits for its words."""
        return self._samples / self._rate

    def push(self, samples: bytes | memoryview, sampling_rate: int, channels: int = 1) -> None:
        """Take the next samples.

        Args:
            samples: 16-bit, little-endian, channels interleaved; an incomplete sample at the end is left out.
            sampling_rate: In Hz. If it changes, the turn begins anew.
            channels: They are mixed.
        """
        if sampling_rate != self._rate:
            self._clear()
            self._rate = sampling_rate
        if self._speaking is False and self._waiting:
            return  # the silence in which the words are recognised
        whole = len(samples) // (2 * channels) * (2 * channels)
        block = np.frombuffer(samples[:whole], "<i2").reshape(-1, channels).mean(axis=1) / 32768
        self._held.append(block.astype(np.float32))
        self._samples += len(block)
        self._cut(BEFORE_SPEECH if self._speaking is False else LONGEST_TURN)

    def begin(self) -> None:
        """Somebody began to speak: a new turn, unless speech still waits for its words."""
        if not self._waiting:
            self._cut(BEFORE_SPEECH)
            self._last = None
        self._speaking = self._waiting = True

    def end(self) -> None:
        """Nobody speaks any more."""
        self._speaking = False

    def take(self) -> Decoded | None:
        """The audio since the last call; that of the last call again if almost none is new; None without any."""
        if self.seconds >= _NEW_AUDIO or (self._last is None and self._samples):
            self._last = Decoded(signal=np.concatenate(self._held), sampling_rate=self._rate)
        self._clear()
        self._waiting = False
        return self._last

    def _clear(self) -> None:
        self._held.clear()
        self._samples = 0

    def _cut(self, seconds: float) -> None:
        """Keep the last seconds."""
        extra = self._samples - round(seconds * self._rate)
        while extra > 0:
            first = self._held.popleft()
            if len(first) > extra:
                self._held.appendleft(first[extra:])
            self._samples -= min(len(first), extra)
            extra -= len(first)


def recognize_turn(
    recognizer: Recognizer,
    audio: Decoded | None,
    transcript: str,
    *,
    speaker: str | None = None,
    language: str | None = None,
) -> Recognition:
    """The emotion of a user's turn. A turn that cannot be recognised is a result with `error`: the call goes on.

    Args:
        recognizer: The model.
        audio: From `TurnAudio.take`.
        transcript: The words, by the agent's speech recognition.
        speaker: Who speaks; the result repeats it.
        language: Of the words, as ISO 639-1 code.
    """
    heard = None if audio is None else speech_of(audio)
    clip = Clip(audio=heard, transcript=transcript or None, speaker=speaker, language=language)
    return recognizer.recognize_batch([clip], strict=False)[0]


def speech_of(audio: Decoded) -> Decoded:
    """The audio from the first speech to the last; all of it where no speech is found."""
    stream = SegmentStream(audio.sampling_rate, SegmentConfig(padding=_PADDING))
    segments = [*stream.push(audio.signal), *stream.finish()]
    if not segments:
        return audio
    start, end = (round(second * audio.sampling_rate) for second in (segments[0].start, segments[-1].end))
    return replace(audio, signal=audio.signal[start:end])


def describe_turn(result: Recognition) -> str:
    """The emotion as a note for a language model; empty if the model abstained or is unsure.

    Example:
        >>> scores = {"anger": 0.81}
        >>> describe_turn(Recognition(emotion="anger", scores=scores, speech_scores=None, text_scores=None, gate=None))
        '[The user sounds like anger, 81 %.]'
    """
    score = 0.0 if result.emotion is None else result.scores[result.emotion]
    return f"[The user sounds like {result.emotion}, {100 * score:.0f} %.]" if score >= NOTED else ""
