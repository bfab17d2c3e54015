"""Adapt a model to somebody's unlabelled recordings: `bimodal adapt`. Labels are never read. Imports no torch."""

import logging
import math
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from safetensors import SafetensorError, safe_open

from bimodal.arrays import Floats
from bimodal.audio.decode import SAMPLING_RATE, Signal, load_signal
from bimodal.data.manifest import ManifestSource, open_manifest
from bimodal.errors import BimodalError, ModelFolderError
from bimodal.features.adaptation import (
    CORRECTED_SCATTER,
    ENOUGH_CLIPS,
    Adaptation,
    correct_logits,
    emotion_columns,
    equal_sharpness,
    plain_adaptation,
    relative_scatter,
    save_adaptation,
    self_train,
    share_for,
    sure_scatter,
)
from bimodal.features.pooling import pool
from bimodal.features.speaker_stats import (
    RunningStats,
    SpeakerStatsStore,
    empty_stats,
    measure_speaker_stats,
    measure_stats,
    save_speaker_stats,
)
from bimodal.files import atomic_write
from bimodal.inference.installed import find_model
from bimodal.inference.model import Model
from bimodal.inference.model_config import ModelConfig
from bimodal.inference.model_folder import (
    ADAPTATION,
    CARD,
    GRAPHS,
    PREDICTION_SETS,
    SPEAKERS,
    WEIGHTS,
    copy_own_backbones,
    save_model_config,
)
from bimodal.inference.speaker_normalization import score_statistics, standardise_adapted
from bimodal.records import Manifest
from bimodal.runtime import make_session

log = logging.getLogger(__name__)

LEAST_CLIPS: Final = 20
"""Fewer clips say too little of a corpus to adapt to it."""

By = Literal["corpus", "speaker"]
Progress = Callable[[Iterable[Any], str], Iterable[Any]]


@dataclass(frozen=True, kw_only=True)
class EncodedClips:
    """Unlabelled clips as the backbone encodes them.

    Attributes:
        statistics: Pooled statistics (N, P, L, D).
        speakers: Who speaks in each; None if unknown.
        seconds: Their length together.
        unusable: Clips left out, silent or too short.
    """

    statistics: Floats
    speakers: tuple[str | None, ...]
    seconds: float
    unusable: int


def adapt_model(
    model: str | Path,
    manifest: ManifestSource,
    out: str | Path,
    *,
    by: By = "corpus",
    threads: int = 0,
    progress: Progress = lambda items, label: items,
) -> Path:
    """Write a model folder whose speech network is adapted to the recordings of a manifest.

    Statistics of the recordings replace those of the training corpus, as far as the recordings seem to hold several
    emotions. From at least 200 clips, a linear correction of the logits is also learnt from the network's own
    confident answers. Labels are not read. The graphs, the text network and the licence do not change. If the
    recordings repeat a few sentences, the correction may learn the words instead of the emotions.

    Args:
        model: Model folder with a speech network that uses recordings.
        manifest: CSV or JSON Lines; columns path, start, end, speaker are read.
        out: Folder to write; it must not exist yet.
        by: `speaker` standardises each named speaker by their own clips, and stores these statistics in the folder.
        threads: As in `Recognizer`.
        progress: Wraps iterables with a bar.

    Returns:
        The new model folder.

    Raises:
        BimodalError: There are too few clips or they seem to hold one emotion alone, the model has no such speech
            network or is adapted already, a recording cannot be used, or no speaker is named.
    """
    opened, out = Model(find_model(model), threads=threads), Path(out)
    check_adaptable(opened)
    if out.exists():
        raise BimodalError(f"{out}: exists already; name a new folder")
    read = open_manifest(manifest)
    encoded = encode_manifest(opened, read, progress)
    speakers = SpeakerStatsStore()
    if by == "speaker":
        if not any(encoded.speakers):
            raise BimodalError(f"{read.path}: no clip has a speaker; fill the column, or adapt by corpus")
        speakers = measure_speaker_stats(zip(encoded.speakers, encoded.statistics, strict=True))
    adaptation = fit_checked(opened, encoded, speakers, str(read.path))
    told = describe_encoded(encoded, by, adaptation.share)
    return _write(opened, out, adaptation, speakers if by == "speaker" else None, told)


def encode_manifest(model: Model, manifest: Manifest, progress: Progress) -> EncodedClips:
    """The recordings of a manifest as the backbone encodes them; rows without one are skipped.

    Raises:
        AudioError: A recording that cannot be used.
    """
    rows = progress([row for row in manifest.utterances if row.path], "encoding")
    signals = (
        (load_signal(manifest.folder / str(row.path), start=row.start, end=row.end), row.speaker) for row in rows
    )
    return encode_clips(model, signals)


def encode_clips(model: Model, clips: Iterable[tuple[Signal, str | None]]) -> EncodedClips:
    """Signals (T,) at 16 kHz and their speakers, as the backbone encodes them. They are taken one by one."""
    statistics, speakers, samples, unusable = [], [], 0, 0
    for signal, speaker in clips:
        frames = model.encode_frames(signal)
        if frames is None:
            unusable += 1
            continue
        statistics.append(pool(frames, model.pooling))
        speakers.append(speaker)
        samples += len(signal)
    return EncodedClips(
        statistics=np.stack(statistics) if statistics else np.zeros((0, 1, 1, 1), np.float32),
        speakers=tuple(speakers),
        seconds=samples / SAMPLING_RATE,
        unusable=unusable,
    )


def fit_checked(model: Model, encoded: EncodedClips, speakers: SpeakerStatsStore, source: str) -> Adaptation:
    """As `fit_adaptation`, or a reason why not.

    Args:
        model: As there.
        encoded: As there.
        speakers: As there.
        source: Name of the clips in messages.

    Raises:
        BimodalError: There are too few clips, or they seem to hold one emotion alone.
    """
    found = len(encoded.statistics)
    if found < LEAST_CLIPS:
        raise BimodalError(
            f"{source}: {found} usable clips ({encoded.unusable} silent or too short), at least {LEAST_CLIPS} are "
            "needed to adapt; give more recordings"
        )
    adaptation = fit_adaptation(model, encoded, speakers)
    if not adaptation.share:
        raise BimodalError(
            f"{source}: the recordings seem to hold mostly one emotion. A model that is adapted to them would take "
            "this emotion for their usual sound. Give recordings of several emotions, or use the model as it is"
        )
    return adaptation


def fit_adaptation(model: Model, encoded: EncodedClips, speakers: SpeakerStatsStore) -> Adaptation:
    """How a model is adapted to clips, with a correction learnt from its answers where there are enough.

    Args:
        model: With a speech network that uses recordings.
        encoded: The clips.
        speakers: Statistics of the speakers; empty to use the corpus's alone.
    """
    session, uses = make_session(model.folder / GRAPHS["speech"], threads=1), _uses_speaker_stats(model.config)
    trained = _trained_statistics(model)
    network = SpeechScorer(session=session, uses_speaker_stats=uses, emotions=model.emotions, trained=trained)
    variance = model.config.speech.logit_variance if model.config.speech else 0.0
    if not variance:
        log.warning(
            "%s: this model does not know how its logits scatter, so nothing is checked: give recordings of several "
            "emotions, or train the model again",
            model.folder,
        )
    return fit_to_clips(network, encoded, speakers, variance)


@dataclass(frozen=True, kw_only=True)
class SpeechScorer:
    """A speech network and what adaptation needs of it.

    Attributes:
        session: ONNX session.
        uses_speaker_stats: As in `score_statistics`.
        emotions: C.
        trained: Centre and deviation (P, L, D) of the statistics that it was trained on.
    """

    session: Any
    uses_speaker_stats: bool
    emotions: Sequence[str]
    trained: tuple[Floats, Floats]

    def logits(self, statistics: Floats, own: Sequence[RunningStats], adaptation: Adaptation | None) -> Floats:
        """Logits (n, C), as `score_statistics` gives them."""
        return score_statistics(self.session, self.uses_speaker_stats, statistics, own, adaptation)[1]


def fit_to_clips(
    network: SpeechScorer, encoded: EncodedClips, speakers: SpeakerStatsStore, logit_variance: float
) -> Adaptation:
    """As `fit_adaptation`; `logit_variance` is that of the training data, 0 to adapt fully, whatever the clips hold."""
    statistics, shape = encoded.statistics, encoded.statistics.shape[1:]
    own = [speakers.of(speaker, shape) for speaker in encoded.speakers]
    plain = plain_adaptation(measure_stats(statistics), *network.trained, emotions=len(network.emotions))
    if logit_variance:
        unadapted = network.logits(statistics, [empty_stats(shape)] * len(own), None)
        standard = (statistics - network.trained[0]) / network.trained[1]
        several = zip(encoded.speakers, own, strict=True)  # one clip of a speaker tells nothing of how it differs
        groups = np.array([str(speaker) if one.count > 1 else "" for speaker, one in several])
        columns = emotion_columns(network.emotions)
        scatter = relative_scatter(unadapted[:, columns], standard, logit_variance, groups)
        sure = sure_scatter(scatter, len(statistics))
        plain = replace(plain, share=share_for(sure))
        if sure < CORRECTED_SCATTER:
            return plain
    if len(statistics) < ENOUGH_CLIPS:
        return plain
    logits = network.logits(statistics, own, plain)
    _, standard = standardise_adapted(statistics, own, plain)
    weight, bias = self_train(standard, logits)
    fitted = replace(plain, weight=weight, bias=bias)
    return replace(fitted, sharpness=equal_sharpness(correct_logits(standard, logits, fitted), logits))


def describe_encoded(encoded: EncodedClips, by: By, share: float) -> str:
    """What a model was adapted to, in words for its card."""
    named = len({speaker for speaker in encoded.speakers if speaker})
    who = f" of {named} named speakers" if named else ""
    how = "each speaker by their own clips" if by == "speaker" else "all together"
    part = "" if share == 1.0 else f", adapted by {100 * share:.0f} % only, since they seem to hold few emotions"
    return f"{len(encoded.statistics)} unlabelled clips, {encoded.seconds:.0f} s{who}, {how}{part}"


def _uses_speaker_stats(config: ModelConfig) -> bool:
    return config.speech is not None and config.speech.speaker_stats


def check_adaptable(model: Model) -> None:
    """Refuse a model that cannot be adapted.

    Raises:
        BimodalError: It uses no recordings, or is adapted already.
    """
    speech, folder = model.config.speech, model.folder
    if speech is None or speech.columns:
        raise BimodalError(f"{folder}: only a speech network that uses recordings can be adapted; train one on audio")
    if model.config.adapted_to:
        raise BimodalError(f"{folder}: is adapted already ({model.config.adapted_to}); adapt the original model")


def _trained_statistics(model: Model) -> tuple[Floats, Floats]:
    """Centre and deviation (P, L, D) of the statistics that the network was trained on.

    Raises:
        ModelFolderError: The folder lacks its weights, or they do not fit.
    """
    file = model.folder / WEIGHTS
    names = ("mean", "within") if _uses_speaker_stats(model.config) else ("mean", "deviation")
    try:
        with safe_open(file, framework="numpy") as held:
            centre, spread = (held.get_tensor(f"speech.standardise.{name}") for name in names)
    except (OSError, SafetensorError) as error:
        raise ModelFolderError(f"{file}: the speech network's statistics cannot be read ({error})") from error
    description = model.speech_backbone.description
    shape = (len(model.pooling.statistics), len(description.layers), description.width)
    spread = np.sqrt(spread) if names[1] == "within" else spread
    if not all(one.size == math.prod(shape) and np.isfinite(one).all() for one in (centre, spread)):
        raise ModelFolderError(
            f"{file}: the speech network's statistics are not finite, or not of the shape {shape}; copy the model "
            "folder again"
        )
    return centre.reshape(shape), spread.reshape(shape)


def _write(
    model: Model, out: Path, adaptation: Adaptation, speakers: SpeakerStatsStore | None, adapted_to: str
) -> Path:
    """Copy the model folder and put the adaptation beside the graphs."""
    # its scores are others than those that the prediction sets were calibrated on
    files: Sequence[str] = [*(name for name in model.config.files if name != PREDICTION_SETS), CARD]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(out) as unfinished:
            unfinished.mkdir()
            for name in files:
                if (model.folder / name).is_file():
                    shutil.copy2(model.folder / name, unfinished / name)
            copy_own_backbones(model.folder, unfinished)
            save_adaptation(unfinished / ADAPTATION, adaptation)
            if speakers is not None:
                save_speaker_stats(unfinished / SPEAKERS, speakers)
            config = save_model_config(unfinished, replace(model.config, adapted_to=adapted_to))
            card = unfinished / CARD
            before = card.read_text(encoding="utf-8") if card.is_file() else f"# {config.name}\n"
            card.write_text(before + _addition(config, model.config), encoding="utf-8")
    except (OSError, SafetensorError) as error:
        raise ModelFolderError(f"{out}: cannot be written ({error}); free some space") from error
    return out


def _addition(config: ModelConfig, original: ModelConfig) -> str:
    """What the card says of the adaptation."""
    return f"""
## Adapted
This is revision {config.revision}: the speech network of revision {original.revision}, adapted to
{config.adapted_to}. No label was used. **The figures above are those of the unadapted model**: re-evaluate this one on
labelled recordings like those it was adapted to, and report that it was adapted. The licence is unchanged:
{config.licence}. The folder holds statistics of the recordings (means and deviations, no speech); protect them as you
protect the recordings.
"""
