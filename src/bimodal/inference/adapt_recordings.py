"""Adapt a model to the very recordings that it shall recognise, for `bimodal recognize --adapt`."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from safetensors.numpy import save

from bimodal.audio.decode import Signal, iterate_audio, to_model_rate
from bimodal.audio.recordings import Recording, header_seconds
from bimodal.errors import AudioError, ModelFolderError
from bimodal.features.adaptation import Adaptation, load_adaptation, save_adaptation
from bimodal.features.speaker_stats import SpeakerStatsStore
from bimodal.files import atomic_write
from bimodal.inference.adapt import check_adaptable, encode_clips, fit_checked
from bimodal.inference.batch import WHOLE_SECONDS
from bimodal.inference.model import Model

CLIP_SECONDS: Final = 6.0
"""A long recording is cut into clips of this length."""

MOST_CLIPS: Final = 1000
"""More clips hardly change the statistics; of more, evenly spaced ones are taken."""

Progress = Callable[[Iterable[Recording], str], Iterable[Recording]]


def adapt_to_recordings(
    model: Model,
    recordings: Sequence[Recording],
    file: Path | None = None,
    *,
    track: int | None = None,
    progress: Progress = lambda items, label: items,
) -> Model:
    """A model that is adapted to the recordings. Labels are not needed.

    A recording that cannot be used is left out: recognition says what is wrong with it.

    Args:
        model: With a speech network that uses recordings.
        recordings: What shall be recognised.
        file: Where the adaptation is kept. If the file exists, it is used, and the recordings are not read: so an
            interrupted call goes on with the same model. None to keep nothing.
        track: Sound track, from 1; None for the default one.
        progress: Wraps iterables with a bar.

    Raises:
        BimodalError: As in `adapt_model`; or the file holds no adaptation of this model, or cannot be written.
    """
    check_adaptable(model)
    if file is not None and file.exists():
        return _with(model, _load(file, model))
    clips = ((signal, None) for signal in evenly_spaced(recordings, track, progress))
    encoded = encode_clips(model, clips)
    adaptation = fit_checked(model, encoded, SpeakerStatsStore(), describe_count(len(recordings)))
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as unfinished:
            save_adaptation(unfinished, adaptation)
    return _with(model, adaptation)


def describe_adaptation(adaptation: Adaptation) -> str:
    """What a model was adapted to, in words for its results."""
    share = f"{100 * adaptation.share:.0f} %"
    part = "" if adaptation.share == 1.0 else f", adapted by {share} only, since they seem to hold few emotions"
    return f"{adaptation.corpus.count} unlabelled clips of the recordings themselves{part}"


def describe_count(recordings: int) -> str:
    """A number of recordings in words.

    Example:
        >>> describe_count(1), describe_count(20)
        ('1 recording', '20 recordings')
    """
    return f"{recordings} recording{'' if recordings == 1 else 's'}"


def _with(model: Model, adaptation: Adaptation) -> Model:
    corpus = {"mean": adaptation.corpus.mean, "squares": adaptation.corpus.squares}
    digest = hashlib.sha256(save(corpus | {"weight": adaptation.weight})).hexdigest()
    return model.adapted(adaptation, describe_adaptation(adaptation), digest)


def _load(file: Path, model: Model) -> Adaptation:
    found, description = load_adaptation(file), model.speech_backbone.description
    shape = (len(model.pooling.statistics), len(description.layers), description.width)
    if found.trained_mean.shape != shape or found.bias.shape != (len(model.emotions),):
        raise ModelFolderError(
            f"{file}: is the adaptation of another model than '{model.config.name}'; delete it, or give another --out"
        )
    return found


def evenly_spaced(
    recordings: Sequence[Recording],
    track: int | None = None,
    progress: Progress = lambda items, label: items,
    most: int = MOST_CLIPS,
) -> Iterator[Signal]:
    """Clips at 16 kHz from all recordings, about `most` or fewer: short recordings whole, long ones in pieces.

    Raises:
        AudioError: No recording can be used; the first one's.
    """
    expected = sum(max(1.0, _pieces(header_seconds(one))) for one in recordings)
    step, number = max(1, -(-int(expected) // most)), 0
    errors: list[AudioError] = []
    for recording in progress(recordings, "adapting"):
        try:
            for signal, rate in _blocks(recording, track):
                if number % step == 0:
                    yield to_model_rate(signal, rate, recording.name)
                number += 1
        except AudioError as error:
            errors.append(error)
    if errors and not number:
        raise errors[0]


def _blocks(recording: Recording, track: int | None) -> Iterator[tuple[Signal, int]]:
    """A short recording as one block, a longer one in pieces."""
    blocks = iterate_audio(recording.path, block_seconds=WHOLE_SECONDS, track=track)
    if blocks.read_ahead(2) > 1:
        blocks = iterate_audio(recording.path, block_seconds=CLIP_SECONDS, track=track)
    return blocks


def _pieces(seconds: float) -> float:
    return seconds / CLIP_SECONDS if seconds > WHOLE_SECONDS else 1.0
