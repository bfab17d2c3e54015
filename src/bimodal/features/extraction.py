"""Backbone outputs of a list of utterances, computed once and cached."""

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from bimodal.audio import load_signal
from bimodal.errors import AudioError
from bimodal.features.backbone import SpeechBackbone, SpeechBlocks, TextBackbone
from bimodal.features.cache import FeatureCache, cache_key
from bimodal.features.views import PLAIN, render_view, view_key
from bimodal.records import Utterance
from bimodal.text import normalise_transcript

_TEXTS_AT_ONCE: Final = 256


def speech_key(utterance: Utterance, folder: Path, backbone: SpeechBackbone, view: str = PLAIN) -> str:
    """Cache key of one utterance's speech: the recording's content, the stretch, the backbone, the augmented view."""
    digest = file_digest(recording(utterance, folder))
    return cache_key(
        "speech", digest, utterance.start, utterance.end, backbone.description.digest, view_key(view), "float16"
    )


def recording(utterance: Utterance, folder: Path) -> Path:
    """The file of an utterance.

    Raises:
        AudioError: The row names none.
    """
    if utterance.path is None:
        raise AudioError(f"utterance '{utterance.id}' has no recording; give its path, or leave the row out")
    return folder / utterance.path


def text_key(transcript: str, backbone: TextBackbone) -> str:
    """Cache key of one text."""
    return cache_key("text", transcript, backbone.description.digest, "float32")


def file_digest(path: Path) -> str:
    """SHA-256 of a recording, read once while the file stays as it is.

    Raises:
        AudioError: It cannot be read.
    """
    try:
        status = path.stat()
        return _digest_once(path, status.st_mtime_ns, status.st_size, status.st_ino)
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror})") from error


@lru_cache(maxsize=4096)
def _digest_once(path: Path, *version: int) -> str:
    """Digest of a file; `version` tells a file that was replaced meanwhile from the one that was read."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def cache_speech(
    utterances: Iterable[Utterance], folder: Path, backbone: SpeechBackbone, cache: FeatureCache, view: str = PLAIN
) -> list[str]:
    """Make sure that the speech of every utterance is in the cache; keep what is done even when one fails.

    Args:
        utterances: Each with a path; wrap them in a progress bar to see it.
        folder: Folder that the paths are relative to.
        backbone: Runs on what is missing.
        cache: Read and written.
        view: Augmented view; see `render_view`.

    Returns:
        One key per utterance.

    Raises:
        AudioError: A recording that cannot be used.
        CacheError: The disk is full.
    """
    keys = []
    with cache:
        for utterance in utterances:
            key = speech_key(utterance, folder, backbone, view)
            if key not in cache:
                signal = load_signal(recording(utterance, folder), start=utterance.start, end=utterance.end)
                cache.write(key, _packed(backbone.extract(render_view(signal, view))))
            keys.append(key)
    return keys


def _packed(blocks: SpeechBlocks) -> dict[str, npt.NDArray[np.generic]]:
    """Blocks as they are stored: in 16 bits."""
    return {"mean": blocks.mean.astype(np.float16), "std": blocks.std.astype(np.float16), "count": blocks.count}


def read_blocks(cache: FeatureCache, key: str) -> SpeechBlocks:
    """The speech of one utterance from the cache, in 16 bits."""
    return SpeechBlocks(**cache.read(key))


def cache_text(transcripts: Sequence[str | None], backbone: TextBackbone, cache: FeatureCache) -> list[str | None]:
    """Make sure that every text is in the cache.

    Args:
        transcripts: None or blank where absent.
        backbone: Runs on what is missing.
        cache: Read and written.

    Returns:
        One key per text; None where there are no words.

    Raises:
        CacheError: The disk is full.
    """
    texts = [normalise_transcript(transcript) for transcript in transcripts]
    keys = [None if text is None else text_key(text, backbone) for text in texts]
    missing = {key: text for key, text in zip(keys, texts, strict=True) if key and text and key not in cache}
    with cache:
        waiting = list(missing.items())
        for first in range(0, len(waiting), _TEXTS_AT_ONCE):
            chosen = waiting[first : first + _TEXTS_AT_ONCE]
            pooled = backbone.extract([text for _, text in chosen])
            for (key, _), layers in zip(chosen, pooled, strict=True):
                cache.write(key, {"pooled": layers})
    return keys


def read_pooled(cache: FeatureCache, key: str) -> npt.NDArray[np.float32]:
    """The pooled layers (L, D) of one text from the cache."""
    pooled: npt.NDArray[np.float32] = cache.read(key)["pooled"]
    return pooled
