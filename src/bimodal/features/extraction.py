"""Backbone outputs of a list of utterances, computed once and cached."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bimodal.audio.decode import Signal, load_signal
from bimodal.data.text import normalise_transcript
from bimodal.errors import AudioError
from bimodal.features.augmentation import PLAIN, apply_augmentation, augmentation_key
from bimodal.features.backbone import SpeechBackbone, TextBackbone
from bimodal.features.cache import FeatureCache, cache_key
from bimodal.features.pooling import join_frames, pool_all
from bimodal.files import file_digest
from bimodal.records import Utterance

_TEXTS_AT_ONCE: Final = 256


def speech_key(
    utterance: Utterance, folder: Path, backbone: SpeechBackbone, augmentations: Sequence[str] = (PLAIN,)
) -> str:
    """Cache key of one utterance's speech: the recording's content, the stretch, the backbone, the augmentations."""
    digest, names = recording_digest(recording(utterance, folder)), ",".join(map(augmentation_key, augmentations))
    stretch = (utterance.start, utterance.end)
    return cache_key("statistics", digest, *stretch, backbone.description.digest, names, "float16")


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


def text_source(transcript: str) -> str:
    """What the cache says about where the features of a text come from: a digest of the text."""
    return cache_key("text", normalise_transcript(transcript))


def recording_digest(path: Path) -> str:
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
    """Digest of a file; a file that was replaced has another `version`."""
    return file_digest(path)


def cache_speech(
    utterances: Iterable[Utterance],
    folder: Path,
    backbone: SpeechBackbone,
    cache: FeatureCache,
    augmentations: Sequence[str] = (PLAIN,),
) -> list[str]:
    """Encode the speech of every utterance that is not in the cache; finished ones stay there when one fails.

    Args:
        utterances: Each with a path; wrap them in a progress bar to see it.
        folder: Folder that the paths are relative to.
        backbone: Runs on what is missing.
        cache: Read and written.
        augmentations: Augmentations of each recording, whose frames are pooled together; see `apply_augmentation`.

    Returns:
        One key per utterance.

    Raises:
        AudioError: A recording that cannot be used.
        CacheError: The disk is full.
    """
    keys = []
    with cache:
        for utterance in utterances:
            key = speech_key(utterance, folder, backbone, augmentations)
            if key not in cache:
                file = recording(utterance, folder)
                signal = load_signal(file, start=utterance.start, end=utterance.end)
                cache.write(key, encode_augmented(signal, backbone, augmentations), recording_digest(file))
            keys.append(key)
    return keys


def encode_augmented(
    signal: Signal, backbone: SpeechBackbone, augmentations: Sequence[str]
) -> dict[str, npt.NDArray[np.float16]]:
    """What the cache stores of a 16 kHz signal: `pool_all` over the frames of all augmentations, 16 bits, 30 KiB."""
    frames = join_frames([backbone.extract(apply_augmentation(signal, augmentation)) for augmentation in augmentations])
    return {"statistics": pool_all(frames).astype(np.float16)}


def read_statistics(cache: FeatureCache, key: str) -> npt.NDArray[np.float16]:
    """The statistics of one utterance's speech from the cache, (2, 5, L, D); see `pool_all`."""
    statistics: npt.NDArray[np.float16] = cache.read(key)["statistics"]
    return statistics


def cache_text(
    transcripts: Sequence[str | None],
    backbone: TextBackbone,
    cache: FeatureCache,
    progress: Callable[[Iterable[Any], str], Iterable[Any]] = lambda items, label: items,
) -> list[str | None]:
    """Encode every text that is not in the cache.

    Args:
        transcripts: None or blank where absent.
        backbone: Runs on what is missing.
        cache: Read and written.
        progress: Wraps the texts that are missing with a bar and a label.

    Returns:
        One key per text; None if there are no words.

    Raises:
        CacheError: The disk is full.
    """
    texts = [normalise_transcript(transcript) for transcript in transcripts]
    keys = [None if text is None else text_key(text, backbone) for text in texts]
    missing = {key: text for key, text in zip(keys, texts, strict=True) if key and text and key not in cache}
    with cache:
        waiting = iter(progress(list(missing.items()), "text features"))
        while chosen := list(islice(waiting, _TEXTS_AT_ONCE)):
            pooled = backbone.extract([text for _, text in chosen])
            for (key, _), layers in zip(chosen, pooled, strict=True):
                cache.write(key, {"pooled": layers}, text_source(missing[key]))
    return keys


def read_pooled(cache: FeatureCache, key: str) -> npt.NDArray[np.float32]:
    """The pooled layers (L, D) of one text from the cache."""
    pooled: npt.NDArray[np.float32] = cache.read(key)["pooled"]
    return pooled
