"""Speech recognition: the words of a stretch of speech, or their English translation, by Whisper (extra `asr`).

Nothing is downloaded unless it is asked for. The answer depends on the signal and the model alone: decoding is greedy
or a beam search, never sampled, and one segment's words do not prompt the next one's.
"""

import hashlib
import math
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from bimodal.audio.decode import Signal
from bimodal.errors import TranscriptionError
from bimodal.features.hub import find_on_hub
from bimodal.files import file_digest
from bimodal.runtime import Device

Task = Literal["transcribe", "translate"]
_NEEDED: Final = ("model.bin", "config.json", "tokenizer.json")
_HUB_FILES: Final = ("config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.*")
_LOOPING: Final = 2.4  # compression beyond which Whisper's authors take a text for a loop (arXiv 2212.04356, 4.5)
_SHORTEST: Final = 160  # samples of one frame; shorter signals hold no words


@dataclass(frozen=True, kw_only=True, slots=True)
class Word:
    """A word with its times.

    Attributes:
        text: As written, spaces trimmed.
        start: In seconds from the beginning of the signal.
        end: Likewise.
        probability: Of its tokens on average, 0 to 1.
    """

    text: str
    start: float
    end: float
    probability: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Transcription:
    """The words that a speech recogniser found.

    Attributes:
        text: The words; empty if none were found.
        language: ISO 639-1 code of the spoken language, detected or given; the text of a translation is English.
        language_probability: 0 to 1; 1 if the language was given.
        words: With times; empty if they were not asked for.
        confidence: Geometric mean of the tokens' probabilities, 0 to 1; 0 if no words were found, or if Whisper
            repeated itself in a loop, in which it is most confident.
    """

    text: str
    language: str
    language_probability: float
    words: tuple[Word, ...]
    confidence: float


class Transcriber:
    """A Whisper model in CTranslate2 format; safe to call from several threads.

    Args:
        model: Folder of the model, or the Hub id of one (`Systran/faster-whisper-base`).
        threads: Threads of one operator; 0 for one per core.
        device: `cpu` or `cuda`.
        compute_type: Precision of CTranslate2; 8-bit weights are the quickest on a CPU.
        at_once: Number of calls that run at the same time, with `threads` each. Two calls at once with one thread each
            take less time than one after the other with two.
        download: Download a Hub id that is not on this machine. False: raise an error.

    Raises:
        TranscriptionError: faster-whisper is not installed, or the model is missing or damaged.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        threads: int = 0,
        device: Device = "cpu",
        compute_type: str = "int8",
        at_once: int = 1,
        download: bool = False,
    ) -> None:
        self.name, self.compute_type, self.at_once = str(model), compute_type, at_once
        self.folder = _find_model(str(model), download=download)
        faster_whisper = _library()
        try:
            self._model: Any = faster_whisper.WhisperModel(
                str(self.folder),
                device=device,
                compute_type=compute_type,
                cpu_threads=threads or os.cpu_count() or 1,
                num_workers=at_once,
                local_files_only=True,
            )
        except Exception as error:  # CTranslate2 and tokenizers raise bare errors of their own
            raise TranscriptionError(f"{model}: no Whisper model in CTranslate2 format ({error})") from error
        self._model.encode = _OnceEncoded(self._model.encode)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of weights, tokenizer and precision, 64 hexadecimal digits: what decides its answers."""
        parts = [file_digest(self.folder / name) for name in ("model.bin", "tokenizer.json")]
        return hashlib.sha256(" ".join([*parts, self.compute_type]).encode()).hexdigest()

    def transcribe(
        self,
        signal: Signal,
        *,
        task: Task = "transcribe",
        language: str | None = None,
        vad: bool = False,
        words: bool = False,
        beams: int = 5,
    ) -> Transcription:
        """The words of a signal.

        Args:
            signal: (T,) at 16 kHz, of any length.
            task: `transcribe` in the language that is spoken, or `translate` into English.
            language: ISO 639-1 code of the spoken language; None detects it in the first half minute.
            vad: Skip parts without speech (Silero VAD), in which Whisper tends to invent words.
            words: Find the times of each word; a tenth slower, and of little use in a translation.
            beams: Width of the beam search; 1 is greedy, and about a third quicker.

        Raises:
            TranscriptionError: The model does not know the language or cannot translate.
        """
        if len(signal) < _SHORTEST:
            return Transcription(text="", language=language or "", language_probability=0.0, words=(), confidence=0.0)
        self._check(task, language)
        samples = np.ascontiguousarray(signal, np.float32)
        known = None if language or vad else self._detect(samples)
        segments, info = self._model.transcribe(
            samples,
            task=task,
            language=known[0] if known else language,
            beam_size=beams,
            temperature=0.0,
            condition_on_previous_text=False,
            word_timestamps=words,
            vad_filter=vad,
        )
        return _transcription(segments, *(known or (info.language, info.language_probability)))

    def _detect(self, samples: Signal) -> tuple[str, float]:
        """Language of the first half minute and its probability, from the first window of the transcription."""
        if not self._model.model.is_multilingual:
            return "en", 1.0
        features = self._model.feature_extractor(samples)[..., :-1]  # as the transcription does, without the last frame
        language, probability, _ = self._model.detect_language(features=features)
        return language, probability

    def _check(self, task: Task, language: str | None) -> None:
        known = self._model.supported_languages
        if language is not None and language not in known:
            raise TranscriptionError(f"{self.name}: unknown language '{language}', expected one of {sorted(known)}")
        if task == "translate" and not self._model.model.is_multilingual:
            raise TranscriptionError(f"{self.name}: knows English only and cannot translate; use a multilingual model")


class _OnceEncoded:
    """Encodes a window once, where a thread needs it twice in a row: for its language, then for its words."""

    def __init__(self, encode: Callable[[Any], Any]) -> None:
        self._encode, self._last = encode, threading.local()

    def __call__(self, window: npt.NDArray[np.float32]) -> Any:
        """The encoder's output of the features (80 or 128, 3000) of half a minute."""
        if not np.array_equal(window, getattr(self._last, "window", ())):
            self._last.window, self._last.encoded = window, self._encode(window)
        return self._last.encoded


def _library() -> Any:
    try:
        import faster_whisper
    except ModuleNotFoundError as error:
        raise TranscriptionError(
            f"speech recognition needs '{error.name}': pip install 'bimodal-emotion[asr]'"
        ) from error
    return faster_whisper


def _find_model(model: str, *, download: bool) -> Path:
    """Folder of a model; of a Hub id, that in the Hub's cache on this machine.

    Raises:
        TranscriptionError: It is not there; says how to get it.
    """
    folder = Path(model)
    if not folder.is_dir():
        folder = _find_on_hub(model, download=download)
    missing = [name for name in _NEEDED if not (folder / name).is_file()]
    if missing:  # without its tokenizer.json faster-whisper would fetch another one
        raise TranscriptionError(
            f"{folder}: no {', '.join(missing)}; expected the folder of a Whisper model in CTranslate2 format, such as "
            "Systran/faster-whisper-base"
        )
    return folder


def _find_on_hub(model: str, *, download: bool) -> Path:
    if model.count("/") != 1 or model.startswith(("/", ".")):
        raise TranscriptionError(
            f"{model}: no such folder; give the folder of a Whisper model in CTranslate2 format, or a Hub id such as "
            "Systran/faster-whisper-base with --download"
        )
    _library()
    return find_on_hub(
        model,
        _HUB_FILES,
        download=download,
        raises=TranscriptionError,
        otherwise=f"add --download to download it, or run 'hf download {model} --local-dir FOLDER' and give that "
        "folder",
    )


def _transcription(segments: Iterable[Any], language: str, language_probability: float) -> Transcription:
    """faster-whisper's answer as a record."""
    listed = list(segments)
    tokens = sum(len(segment.tokens) for segment in listed)
    looping = any(segment.compression_ratio > _LOOPING for segment in listed)
    total = sum(segment.avg_logprob * len(segment.tokens) for segment in listed)
    return Transcription(
        text=" ".join(text for segment in listed if (text := segment.text.strip())),
        language=language,
        language_probability=float(language_probability),
        words=tuple(
            Word(
                text=word.word.strip(),
                start=float(word.start),
                end=float(word.end),
                probability=float(word.probability),
            )
            for segment in listed
            for word in segment.words or ()
        ),
        confidence=math.exp(min(0.0, total / tokens)) if tokens and not looping else 0.0,
    )
