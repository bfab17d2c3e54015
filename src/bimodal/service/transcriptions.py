"""Words of short recordings: several requests about one recording share one call of speech recognition.

The page sends a short recording twice: as a clip, for its answer, and as a job, for its timeline.
"""

import hashlib
import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from typing import IO, Final

from bimodal.asr.timed_words import TimedWords
from bimodal.asr.whisper import Transcriber, Transcription
from bimodal.audio.decode import Signal

KEPT_SECONDS: Final = 60.0
"""How long words are remembered for the next request; a job that is deleted takes its words with it."""

_KEPT: Final = 32
_PIECE: Final = 1 << 20  # bytes


class Transcriptions:
    """Speech recognition that is done once for requests about the same recording within a minute.

    Args:
        transcriber: The speech recogniser.
    """

    def __init__(self, transcriber: Transcriber) -> None:
        self._transcriber, self._lock = transcriber, Lock()
        self._known: dict[str, tuple[Future[Transcription], float]] = {}

    def words(self, key: str, signal: Callable[[], Signal]) -> Transcription:
        """The words of a recording, with times. A second caller waits for the first.

        Args:
            key: From `upload_key`.
            signal: Gives its samples at 16 kHz, where they are needed.

        Raises:
            BimodalError: The signal cannot be had, or not be transcribed.
        """
        with self._lock:
            self._forget_old()
            known = self._known.get(key)
            future = known[0] if known else Future[Transcription]()
            self._known[key] = (future, time.monotonic())
        if known is None:
            try:
                future.set_result(self._transcriber.transcribe(signal(), words=True))
            except BaseException as error:
                self.forget(key)
                future.set_exception(error)
        return future.result()

    def forget(self, key: str) -> None:
        """Drop the words of a recording; nothing where there are none."""
        with self._lock:
            self._known.pop(key, None)

    def _forget_old(self) -> None:
        now = time.monotonic()
        newest = sorted(self._known, key=lambda key: self._known[key][1], reverse=True)[: _KEPT - 1]
        self._known = {key: self._known[key] for key in newest if now - self._known[key][1] < KEPT_SECONDS}


def upload_key(upload: IO[bytes], start: float | None = None, end: float | None = None) -> str:
    """Digest of an uploaded recording and a stretch of it. The file is read from its beginning, and stands there again.

    Example:
        >>> import io
        >>> upload_key(io.BytesIO(b"a")) == upload_key(io.BytesIO(b"a")) != upload_key(io.BytesIO(b"a"), end=1.0)
        True
    """
    digest = hashlib.sha256(repr((start, end)).encode())
    upload.seek(0)
    while piece := upload.read(_PIECE):
        digest.update(piece)
    upload.seek(0)
    return digest.hexdigest()


def timed_words(found: Transcription) -> list[TimedWords]:
    """The words of a recording as a timeline takes them; those of a loop get confidence 0."""
    return [
        TimedWords(
            start=max(0.0, word.start),
            end=max(0.0, word.start, word.end),
            transcript=word.text,
            confidence=min(1.0, max(0.0, word.probability)) if found.confidence else 0.0,
            language=found.language,
        )
        for word in found.words
    ]
