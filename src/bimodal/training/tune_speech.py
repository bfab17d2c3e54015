"""Tune the upper layers of a speech encoder over the cached lower ones, and store it as a backbone (step 201)."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from bimodal.audio.decode import SAMPLING_RATE, load_signal
from bimodal.audio.level import normalise_level
from bimodal.config import SpeechConfig, SpeechHeadConfig, TuneSpeechConfig
from bimodal.data.batches import Examples, frame_examples
from bimodal.data.manifest import ManifestSource
from bimodal.errors import BackboneError, TrainingError
from bimodal.features.augmentation import PLAIN, apply_augmentation, augmentation_key, check_augmentation
from bimodal.features.backbone import BackboneDescription, cut_evenly
from bimodal.features.backbones.contract import silent
from bimodal.features.cache import FeatureCache, cache_key
from bimodal.features.extraction import recording, recording_digest
from bimodal.features.logmel import log_mel
from bimodal.features.pooling import SpeechFrames, frame_levels, pool_all
from bimodal.features.whisper import TunableWhisper, load_whisper_encoder
from bimodal.models.speech import SpeechNetwork, TunedSpeechNetwork
from bimodal.training.checkpoint import StageRecord
from bimodal.training.modality import Modality, head_shape
from bimodal.training.outputs import weights_digest
from bimodal.training.prepare import Progress
from bimodal.training.processes import join_processes
from bimodal.training.rows import LabelledRows
from bimodal.training.speech import SpeechKeys, recordings_modality
from bimodal.training.stage import OnEpoch, RunContext, train_modality
from bimodal.training.tune import (
    RUN,
    add_lora,
    describe_tuned,
    encoder_folder,
    layer_lr_multipliers,
    merge_lora,
    read_tuning_data,
    store_backbone,
)

_PREPROCESSING: Final = "level -20 dB, Whisper log-mel, unpadded"
_EXPOSED: Final = (2, 3, 4)
_MAX_SECONDS: Final = 30.0


@dataclass(frozen=True, kw_only=True)
class SpeechModel:
    """A pretrained speech encoder and how it is cut.

    Attributes:
        source: Hub id or folder.
        encoder: A WhisperEncoder.
        layers: 1-based numbers of the exposed layers.
        frozen: Lowest blocks that stay as they are.
        digest: Of the encoder's weights.
    """

    source: str
    encoder: Any
    layers: tuple[int, ...]
    frozen: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class TunedSpeech:
    """What a speech encoder is tuned on.

    Attributes:
        first: Speech by the untuned encoder: its head is trained first, and the tuning starts from it.
        tuned: Speech whose network is the encoder's upper part with that head.
        encoded: What that network is given of all utterances in each view, the plain one first.
    """

    first: Modality
    tuned: Modality
    encoded: Sequence[Examples]


def tune_speech(
    manifest: ManifestSource,
    out: str | Path,
    config: TuneSpeechConfig,
    cache: str | Path | None,
    *,
    progress: Progress = lambda items, label: items,
    on_epoch: OnEpoch = lambda entry: None,
) -> Path:
    """Tune the upper layers of a speech encoder on the recordings of a manifest and write it as a backbone folder.

    Args:
        manifest: CSV or JSON Lines; rows without a recording are left out. A part named `test` is never touched.
        out: Folder to write: the backbone, usable as `speech_backbone` at once; `encoder/`, to tune it further;
            `run/`, the tuning itself. Called again, a finished one is returned, an interrupted one goes on.
        config: How to tune.
        cache: Folder of the feature cache; None keeps features in memory.
        progress: Wraps iterables with a bar.
        on_epoch: Called after each epoch.

    Returns:
        The backbone folder.

    Raises:
        BimodalError: What is wrong with the manifest, a recording, the configuration, the encoder or the folder.
    """
    out, data = Path(out), read_tuning_data(manifest, config)
    pretrained = load_speech_model(config)
    processes, device = join_processes(config.device)
    where = RunContext(seed=config.seed, device=device, folder=out / RUN, on_epoch=on_epoch, processes=processes)
    with processes.noticing_loss():
        with processes.first_alone(), FeatureCache(cache) as features:
            speech = tuned_speech(data.rows, data.folder, pretrained, config, features, progress)
        network, record = train_tuned(speech, data.parts.train, data.parts.dev, config, where)
        description = describe_tuned(config, _described(pretrained, config, record.identity))
        if processes.writes:
            store_backbone(out, description, [_whole_encoder(network, pretrained)])
        processes.wait()
    return out


def load_speech_model(config: TuneSpeechConfig) -> SpeechModel:
    """Load the encoder that a configuration names.

    Raises:
        BackboneError: There is none, or without the layers that are to be exposed.
        TrainingError: Nothing would be tuned.
    """
    with silent():
        encoder = load_whisper_encoder(encoder_folder(config.source), attention="sdpa").eval()
    layers = config.layers or _EXPOSED
    if max(layers) > len(encoder.layers):
        raise BackboneError(f"{config.source}: has {len(encoder.layers)} layers, expected {layers} to be among them")
    if config.frozen >= max(layers):
        raise TrainingError(f"frozen is {config.frozen}, layers {layers} are exposed; leave at least one to tune")
    return SpeechModel(
        source=config.source, encoder=encoder, layers=layers, frozen=config.frozen, digest=weights_digest(encoder)
    )


def train_tuned(
    speech: TunedSpeech, train: Sequence[int], dev: Sequence[int], config: TuneSpeechConfig, where: RunContext
) -> tuple[TunedSpeechNetwork, StageRecord]:
    """Train the head on the untuned encoder, then encoder and head together.

    A head that starts at random would first spoil what it hangs on (Kumar et al. 2022, arXiv 2202.10054). What is
    returned lies between where the tuning began and where it ended, as `interpolation` says.

    Args:
        speech: From `tuned_speech`.
        train: Rows to train on.
        dev: Rows whose UAR decides which epoch is kept, if the configuration's patience is above 0.
        config: How to tune; its `head` says how the head is trained first.
        where: Where it runs.

    Raises:
        TrainingError: As `train_modality`.
    """
    head, _ = train_modality(speech.first, train, dev, config.head, where.below("head"))
    tuned = replace(speech.tuned, options={**speech.tuned.options, "head": head})
    network, record = train_modality(tuned, train, dev, config, where.below("tuned"))
    assert isinstance(network, TunedSpeechNetwork)  # noqa: S101
    first: Any = tuned.network(**tuned.options).to(where.device)
    for one in (network, first):
        merge_lora(one.encoder)
    _interpolate(network, first, config.interpolation)
    return network, record


def _interpolate(network: nn.Module, first: nn.Module, share: float) -> None:
    """Bring the parameters of a network back towards those that it started from; 1 leaves it as it is."""
    with torch.no_grad():
        for value, start in zip(network.parameters(), first.parameters(), strict=True):
            value.copy_(start.lerp(value, share))


def tuned_speech(
    rows: LabelledRows,
    folder: Path,
    pretrained: SpeechModel,
    config: TuneSpeechConfig,
    cache: FeatureCache,
    progress: Progress = lambda items, label: items,
    precision: Literal["float32", "bfloat16"] = "float32",
) -> TunedSpeech:
    """Speech whose network is the encoder's upper part, for any of the stages' functions.

    Args:
        rows: Labelled utterances; absent if they have no recording.
        folder: Folder that their paths are relative to.
        pretrained: Where every fresh network starts.
        config: How to tune; the views of its `head` are used in both trainings.
        cache: Read and written: what the lower layers give, for every view.
        progress: Wraps iterables with a bar.
        precision: Of what is cached.

    Raises:
        AudioError: A recording that cannot be used.
        TrainingError: No utterance has one.
    """
    for view in config.head.augmentations:
        check_augmentation(view)
    if not any(utterance.path for utterance in rows.utterances):
        raise TrainingError("no utterance has a recording; a speech encoder cannot be tuned on words alone")
    lower = LowerLayers(pretrained, config.device, precision)
    views = (PLAIN, *config.head.augmentations)
    keys = {view: _cache_lower(rows, folder, lower, cache, view, progress) for view in views}
    described, emotions = _described(pretrained, config, ""), len(rows.emotions)
    pooled = {view: [None if key is None else key[0] for key in chosen] for view, chosen in keys.items()}
    frames = {view: [None if key is None else key[1] for key in chosen] for view, chosen in keys.items()}
    stage = _as_stage(config.head)
    first = recordings_modality(SpeechKeys(views=pooled, encoded=pooled[PLAIN]), cache, rows, described, stage)
    lengths = [np.array([0 if key is None else len(_frames(cache, key)) for key in of]) for of in frames.values()]
    crop = round(config.crop_seconds * (100 if pretrained.frozen == 0 else 50))
    readers = [partial(_read, cache, chosen) for chosen in frames.values()]
    encoded = [frame_examples(read, length, rows.targets) for read, length in zip(readers, lengths, strict=True)]
    tuned = replace(
        first,
        examples=encoded[0],
        augmented=_augmented(readers, crop, config.head.augmentation_prob, lengths[0], rows.targets),
        network=tuned_network,
        options={"pretrained": pretrained, "config": config, "emotions": emotions},
        preprocessing=None,
        identity=cache_key(first.identity, "tuned", pretrained.digest, pretrained.frozen, config.crop_seconds),
        lr_multipliers=_lr_multipliers(pretrained, config),
    )
    return TunedSpeech(first=first, tuned=tuned, encoded=encoded)


def _as_stage(head: SpeechHeadConfig) -> SpeechConfig:
    """The speech stage that a head's settings amount to: on mean and deviation of each recording by itself."""
    return SpeechConfig(**{item.name: getattr(head, item.name) for item in fields(SpeechHeadConfig)})


def _lr_multipliers(pretrained: SpeechModel, config: TuneSpeechConfig) -> Mapping[str, float]:
    blocks = [f"encoder.blocks.{number}." for number in range(max(pretrained.layers) - pretrained.frozen)]
    return layer_lr_multipliers(["encoder.convolutions."], blocks, replace(config, frozen=0))


def tuned_network(
    pretrained: SpeechModel, config: TuneSpeechConfig, emotions: int, head: nn.Module | None = None
) -> TunedSpeechNetwork:
    """A network with a copy of the encoder's upper part, so that the pretrained one stays as it is.

    Args:
        pretrained: The encoder.
        config: How to tune.
        emotions: C.
        head: A trained `SpeechNetwork` that it starts with; None for a fresh one.
    """
    network = SpeechNetwork(
        layers=len(pretrained.layers),
        width=pretrained.encoder.config.d_model,
        emotions=emotions,
        statistics=2,
        pca_components=config.head.pca_components,
        shape=head_shape(config.head),
    )
    if head is not None:
        network.load_state_dict(head.state_dict())
    upper = deepcopy(TunableWhisper(pretrained.encoder, pretrained.layers, pretrained.frozen))
    add_lora(upper, config.lora_rank)
    return TunedSpeechNetwork(encoder=upper, network=network)


class LowerLayers:
    """The untuned encoder: what the lower layers give, and the statistics of the exposed ones.

    Args:
        pretrained: The encoder.
        device: Torch device.
        precision: Of the large products; what is cached for use is made in float32.
    """

    def __init__(
        self, pretrained: SpeechModel, device: str, precision: Literal["float32", "bfloat16"] = "float32"
    ) -> None:
        self.pretrained, self.device, self.halved = pretrained, device, precision == "bfloat16"
        self.whole = TunableWhisper(pretrained.encoder, tuple(range(1, max(pretrained.layers) + 1)), 0).to(device)
        self.given = TunableWhisper(pretrained.encoder, pretrained.layers, pretrained.frozen).given

    def encode(self, signal: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.float16]]:
        """Statistics of the exposed layers, as `pool_all`, and the inputs (T, K, D) to be tuned on."""
        parts = cut_evenly(normalise_level(signal), int(_MAX_SECONDS * SAMPLING_RATE))
        mels = [log_mel(part) for part in parts]
        with torch.inference_mode(), torch.autocast(torch.device(self.device).type, torch.bfloat16, self.halved):
            states = torch.cat([self._states(mel) for mel in mels], dim=1)
            exposed = states[[layer - 1 for layer in self.pretrained.layers]]
        level = np.concatenate(
            [frame_levels(part, (mel.shape[1] + 1) // 2) for part, mel in zip(parts, mels, strict=True)]
        )
        frames = SpeechFrames(states=exposed.float().permute(1, 0, 2).cpu().numpy(), level=level)
        statistics = pool_all(frames).astype(np.float16)
        if not self.pretrained.frozen:
            return statistics, np.concatenate(mels, axis=1).T.astype(np.float16)
        given = states[[layer - 1 for layer in self.given]].permute(1, 0, 2)
        return statistics, given.cpu().numpy().astype(np.float16)

    def _states(self, mel: npt.NDArray[np.float32]) -> torch.Tensor:
        states, real = self.whole(
            torch.from_numpy(mel.T.copy())[None].to(self.device), torch.tensor([mel.shape[1]], device=self.device)
        )
        found: torch.Tensor = states[0, :, : int(real[0])]
        return found


Keys = list[tuple[str, str] | None]


def _cache_lower(
    rows: LabelledRows, folder: Path, lower: LowerLayers, cache: FeatureCache, view: str, progress: Progress
) -> Keys:
    """Cache keys of each utterance's statistics and frames; what is missing is computed."""
    keys: Keys = []
    pretrained = lower.pretrained
    with cache:
        for utterance in progress(rows.utterances, "lower layers" if view == PLAIN else f"lower layers, {view}"):
            if utterance.path is None:
                keys.append(None)
                continue
            file = recording(utterance, folder)
            source = (recording_digest(file), utterance.start, utterance.end, augmentation_key(view), _PREPROCESSING)
            made = (
                pretrained.digest,
                str(pretrained.layers),
                pretrained.frozen,
                *(["bfloat16"] if lower.halved else []),
            )
            pooled, frames = (cache_key("lower", kind, *source, *made) for kind in ("statistics", "frames"))
            if pooled not in cache or frames not in cache:
                signal = load_signal(file, start=utterance.start, end=utterance.end)
                statistics, given = lower.encode(apply_augmentation(signal, view))
                cache.write(pooled, {"statistics": statistics}, source[0])
                cache.write(frames, {"frames": given}, source[0])
            keys.append((pooled, frames))
    return keys


def _frames(cache: FeatureCache, key: str) -> npt.NDArray[np.float16]:
    frames: npt.NDArray[np.float16] = cache.read(key)["frames"]
    return frames


def _read(cache: FeatureCache, keys: Sequence[str | None], index: int) -> npt.NDArray[np.float16]:
    return _frames(cache, keys[index] or "")


def _augmented(
    readers: Sequence[Callable[[int], npt.NDArray[Any]]],
    crop: int,
    share: float,
    lengths: npt.NDArray[np.int64],
    targets: npt.NDArray[Any],
) -> Examples:
    """Training examples: a view replaces the plain one with probability `share`; a random `crop` of frames."""

    def read(index: int) -> npt.NDArray[Any]:
        other = len(readers) > 1 and float(torch.rand(())) < share
        frames = readers[1 + int(torch.randint(len(readers) - 1, ())) if other else 0](index)
        if not crop or len(frames) <= crop:
            return frames
        first = int(torch.randint(len(frames) - crop + 1, ()))
        return frames[first : first + crop]

    return frame_examples(read, np.minimum(lengths, crop) if crop else lengths, targets)


def _described(pretrained: SpeechModel, config: TuneSpeechConfig, identity: str) -> BackboneDescription:
    return BackboneDescription(
        name=f"{config.name}-{identity[:8]}",
        kind="speech",
        source=config.source,
        licence=config.licence,
        layers=pretrained.layers,
        width=pretrained.encoder.config.d_model,
        weights=config.weights,
        preprocessing=_PREPROCESSING,
    )


def _whole_encoder(network: TunedSpeechNetwork, pretrained: SpeechModel) -> Any:
    """The pretrained encoder with the tuned upper part in its place."""
    encoder, upper = deepcopy(pretrained.encoder), network.encoder.cpu()
    for number, block in enumerate(upper.blocks):  # type: ignore[arg-type]
        encoder.layers[pretrained.frozen + number].load_state_dict(block.state_dict())
    for name, convolution in zip(("conv1", "conv2"), upper.convolutions, strict=False):  # type: ignore[arg-type]
        getattr(encoder, name).load_state_dict(convolution.state_dict())
    return encoder
