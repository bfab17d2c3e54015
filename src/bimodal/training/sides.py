"""A side is one modality of a list of utterances: its inputs, where it is there, and the network that reads it."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from bimodal.config import HeadConfig, SpeechConfig, TextConfig
from bimodal.data.batches import Examples, Inputs, Window, array_examples, main_emotion, window_examples
from bimodal.data.text import preceding_rows, same_speaker
from bimodal.features.backbone import BackboneDescription
from bimodal.features.cache import FeatureCache, cache_key
from bimodal.features.extraction import read_pooled, read_statistics
from bimodal.features.pooling import Pooling, select
from bimodal.models.layers import HeadShape, speaker_directions
from bimodal.models.speech import ColumnsNetwork, SpeakerNormalizedNetwork, SpeechNetwork
from bimodal.models.text import ContextTextNetwork, TextNetwork
from bimodal.records import Utterance
from bimodal.training.loop import lr_multiplier_of
from bimodal.training.rows import LabelledRows
from bimodal.training.speaker_stats import Groups, draw_earlier, order_earlier, with_speaker_stats

Modality = Literal["speech", "text"]
_FITTED_AT_ONCE: Final = 256
_FITTED_KEPT: Final = 2


@dataclass(frozen=True, kw_only=True)
class FittedPreprocessing:
    """What precedes a network's head, fitted to chosen training rows; the same for any seed and loss.

    Attributes:
        buffers: Of the network, by name: statistics, components.
        features: What the head sees of the rows, one array (n, P) a view; None where parameters precede the head.
    """

    buffers: Mapping[str, Tensor]
    features: Sequence[npt.NDArray[np.float32]] | None


@dataclass(frozen=True, kw_only=True)
class Side:
    """One modality of N utterances.

    Attributes:
        modality: `speech` or `text`.
        examples: Inputs of all N; only rows that are present may be read.
        augmented: The same for training, where views of an utterance may stand for it, drawn by torch's generator.
        augmentation_prob: Probability that one does.
        present: Where the modality is there, (N,) bool.
        build: Makes a fresh network for C emotions.
        fit_front: What precedes the network's head, fitted to chosen rows; the last ones are remembered.
        identity: Digest of the inputs of all N and of what they are made with; other recordings are another run.
        emotions: C.
        rates: Factors of the learning rate of parts of the network, as `Run` takes them; 0 keeps a part as it is.
    """

    modality: Modality
    examples: Examples
    augmented: Examples
    augmentation_prob: float
    present: npt.NDArray[np.bool_]
    build: Callable[[], nn.Module]
    fit_preprocessing: Callable[[tuple[int, ...]], FittedPreprocessing]
    identity: str
    emotions: int
    rates: Mapping[str, float] = field(default_factory=dict)

    def fresh_network(self, rows: Sequence[int], seed: int) -> nn.Module:
        """A network whose start depends on the seed alone and whose statistics fit the rows."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = self.build()
        fitted = self.fit_preprocessing(tuple(rows)).buffers
        for name, buffer in network.named_buffers():
            if name in fitted:
                buffer.copy_(fitted[name])
        for name, value in network.named_parameters():
            value.requires_grad_(value.requires_grad and lr_multiplier_of(name, self.rates) > 0)
        return network

    def head_examples(self, rows: Sequence[int]) -> Examples | None:
        """What the head of `fresh_network(rows)` is trained on; None where what precedes it is trained too."""
        features, targets = self.fit_preprocessing(tuple(rows)).features, self.examples.targets[list(rows)]
        return None if features is None else _view_examples(features, targets, self.augmentation_prob)

    def head_inputs(self, network: Any, rows: Sequence[int]) -> Examples:
        """What a network's head sees of any rows, plain."""
        with torch.inference_mode():
            features = _features(network, self.examples, rows)
        return array_examples({"features": features}, self.examples.targets[list(rows)])


def _view_examples(views: Sequence[npt.NDArray[np.float32]], targets: npt.NDArray[Any], share: float) -> Examples:
    """Features (n, P) by view, the plain one first; with probability `share` another one stands for it."""
    if len(views) == 1:
        return array_examples({"features": views[0]}, targets)
    held = np.stack(views)

    def read(indices: Sequence[int]) -> Inputs:
        shape = (len(indices),)
        view = torch.randint(1, len(held), shape) * (torch.rand(shape) < share)
        return {"features": held[view.numpy(), list(indices)]}

    return Examples(size=len(targets), read=read, targets=targets)


Keys = Sequence[str | None]
Shrunk = Callable[[Tensor, Sequence[int]], Tensor | None]


def audio_side(
    keys: Mapping[str, Keys],
    heard: Keys,
    cache: FeatureCache,
    rows: LabelledRows,
    backbone: BackboneDescription,
    config: SpeechConfig,
) -> Side:
    """The speech side from cached statistics.

    Args:
        keys: Cache keys of all N by view, the plain one first, for every view that is trained on; None where a row has
            no recording.
        heard: Keys of what recognition hears of each.
        cache: Holds the statistics.
        rows: The utterances; who speaks counts where speakers are shrunk.
        backbone: What made the statistics.
        config: Of the speech stage.
    """
    read = partial(_statistics_examples, cache=cache, backbone=backbone, config=config, targets=rows.targets)
    views = [read(chosen) for chosen in keys.values()]
    build = partial(SpeechNetwork, **_speech_shape(backbone, config, len(rows.emotions)))
    shrunk = partial(_speaker_directions, rows, config.speaker_shrinkage)
    return Side(
        modality="speech",
        examples=read(heard),
        augmented=views[0],
        augmentation_prob=config.augmentation_prob,
        present=np.array([key is not None for key in heard]),
        build=build,
        fit_preprocessing=_remembered(build, partial(_fit_speech, views, shrunk), views),
        identity=_speech_identity(keys, heard, backbone, config, _shrunk_identity(rows, config)),
        emotions=len(rows.emotions),
    )


def speaker_stats_side(
    keys: Mapping[str, Keys],
    heard: Keys,
    cache: FeatureCache,
    rows: LabelledRows,
    backbone: BackboneDescription,
    config: SpeechConfig,
    groups: Groups,
) -> Side:
    """The speech side of networks that stand on a speaker's earlier clips; otherwise as `audio_side`.

    Training sees every view with every amount of earlier clips of the same view; dev and evidence see what came
    before in a random order.

    Args:
        keys: As in `audio_side`.
        heard: As in `audio_side`.
        cache: As in `audio_side`.
        rows: As in `audio_side`.
        backbone: As in `audio_side`.
        config: Of the speech stage.
        groups: Whose clip each row is.
    """
    whose = [group if key else None for group, key in zip(groups, heard, strict=True)]
    read = partial(_statistics_examples, cache=cache, backbone=backbone, config=config, targets=rows.targets)
    plain = [read(chosen) for chosen in keys.values()]
    first = order_earlier(whose, seed=0)
    examples, views = with_speaker_stats(read(heard), first), [with_speaker_stats(plain[0], first)]
    for number, one in enumerate(plain):
        drawn = [draw_earlier(whose, amount, 1 + number) for amount in config.speaker_stats]
        views += [with_speaker_stats(one, earlier) for earlier in drawn]
    shape = _speech_shape(backbone, config, len(rows.emotions))
    build = partial(SpeakerNormalizedNetwork, **shape, strength=config.speaker_stats_strength)
    named = [group or f"row {row}" for row, group in enumerate(whose)]
    shrunk = partial(_speaker_directions, rows, config.speaker_shrinkage)
    return Side(
        modality="speech",
        examples=examples,
        augmented=views[0],
        augmentation_prob=config.augmentation_prob,
        present=np.array([key is not None for key in heard]),
        build=build,
        fit_preprocessing=_remembered(build, partial(_fit_speaker_normalized, plain[0], views, named, shrunk), views),
        identity=_speech_identity(
            keys, heard, backbone, config, ["baselines", *groups, *_shrunk_identity(rows, config)]
        ),
        emotions=len(rows.emotions),
    )


def _speech_shape(backbone: BackboneDescription, config: SpeechConfig, emotions: int) -> dict[str, Any]:
    return {
        "statistics": len(config.statistics),
        "layers": len(backbone.layers),
        "width": backbone.width,
        "pca_components": config.pca_components,
        "emotions": emotions,
        "shape": head_shape(config),
    }


def _speech_identity(
    keys: Mapping[str, Keys], heard: Keys, backbone: BackboneDescription, config: SpeechConfig, others: Sequence[Any]
) -> str:
    inputs = (item for view, chosen in {**keys, "heard": heard}.items() for item in (view, *chosen))
    return cache_key(backbone.digest, *inputs, *config.statistics, config.speech_only, *others)


def _shrunk_identity(rows: LabelledRows, config: SpeechConfig) -> Sequence[Any]:
    """What else decides the components where speakers are shrunk: who speaks, and how hard."""
    speakers = [row.speaker for row in rows.utterances] if config.speaker_shrinkage else []
    return [*speakers, config.speaker_shrinkage]


def pooling_of(config: SpeechConfig) -> Pooling:
    """Which statistics a speech stage is shown."""
    return Pooling(statistics=config.statistics, speech_only=config.speech_only)


def _speaker_directions(rows: LabelledRows, strength: float, values: Tensor, chosen: Sequence[int]) -> Tensor | None:
    """In what the speakers of chosen rows differ, as `Project.fit` takes it; None where nothing is to be shrunk."""
    if not strength:
        return None
    speakers = [rows.utterances[row].speaker or f"row {row}" for row in chosen]
    return speaker_directions(values, speakers, main_emotion(rows.targets[list(chosen)]).tolist(), strength)


def _fit_speech(views: Sequence[Examples], shrunk: Shrunk, network: Any, rows: Sequence[int]) -> None:
    """Fit what precedes the head: standardisation to the plain utterances, principal components to all views."""
    network.standardise.fit(_flat_statistics(views[0], rows))
    standard = [torch.cat([network.standard(**batch) for batch in _batches(view, rows)]) for view in views]
    network.project.fit(torch.cat(standard), shrunk(standard[0], rows))


def _flat_statistics(examples: Examples, rows: Sequence[int]) -> Tensor:
    return torch.cat([batch["statistics"].flatten(1) for batch in _batches(examples, rows)])


def _fit_speaker_normalized(
    plain: Examples,
    views: Sequence[Examples],
    groups: Sequence[str],
    shrunk: Shrunk,
    network: Any,
    rows: Sequence[int],
) -> None:
    """Fit what precedes the head: statistics of speakers to the plain utterances, components to all views."""
    network.standardise.fit(_flat_statistics(plain, rows), [groups[row] for row in rows])
    standard = [torch.cat([network.standard(**batch) for batch in _batches(view, rows)]) for view in views]
    network.project.fit(torch.cat(standard), shrunk(standard[0], rows))


def _remembered(
    build: Callable[[], nn.Module], fit: Callable[[Any, Sequence[int]], None], views: Sequence[Examples]
) -> Callable[[tuple[int, ...]], FittedPreprocessing]:
    """A function of rows that fits what precedes the head to them; folds x seeds ask for the same rows again.

    Args:
        build: Makes a network.
        fit: Fits its buffers to rows.
        views: Whose features of the rows are kept; none where parameters precede the head.
    """

    def fit_preprocessing(rows: tuple[int, ...]) -> FittedPreprocessing:
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            network: Any = build()
            fit(network, rows)
            features = [_features(network, examples, rows) for examples in views]
        buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
        return FittedPreprocessing(buffers=buffers, features=features or None)

    return lru_cache(maxsize=_FITTED_KEPT)(fit_preprocessing)


def _features(network: Any, examples: Examples, rows: Sequence[int]) -> npt.NDArray[np.float32]:
    """What the network's head sees of rows, (n, P)."""
    found = [network.features(**batch) for batch in _batches(examples, rows)]
    features: npt.NDArray[np.float32] = torch.cat(found).numpy()
    return features


def _batches(examples: Examples, rows: Sequence[int]) -> Iterator[dict[str, Tensor]]:
    """Inputs of some rows, a batch at a time."""
    for first in range(0, len(rows), _FITTED_AT_ONCE):
        batch = examples.read(rows[first : first + _FITTED_AT_ONCE])
        yield {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in batch.items()}


def _statistics_examples(
    keys: Keys,
    *,
    cache: FeatureCache,
    backbone: BackboneDescription,
    config: SpeechConfig,
    targets: npt.NDArray[Any],
) -> Examples:
    """Statistics of all rows, in memory at 16 bits (6 KiB an utterance); an absent row is zero."""
    shape = (len(keys), len(config.statistics), len(backbone.layers), backbone.width)
    held = np.zeros(shape, np.float16)
    for row, key in enumerate(keys):
        if key is not None:
            held[row] = select(read_statistics(cache, key), pooling_of(config))
    return Examples(
        size=len(keys),
        read=lambda indices: {"statistics": held[list(indices)].astype(np.float32)},
        targets=targets,
    )


def columns_side(
    columns: npt.NDArray[np.float32],
    targets: npt.NDArray[Any],
    names: Sequence[str],
    config: HeadConfig,
    emotions: int,
) -> Side:
    """Numeric feature columns (N, F) in place of speech; a row of NaN is absent."""
    examples = array_examples({"columns": columns}, targets)

    def fit(network: Any, rows: Sequence[int]) -> None:
        network.standardise.fit(torch.from_numpy(columns[list(rows)]))

    build = partial(ColumnsNetwork, width=columns.shape[1], emotions=emotions, shape=head_shape(config))
    return Side(
        modality="speech",
        examples=examples,
        augmented=examples,
        augmentation_prob=0.0,
        present=np.asarray(~np.isnan(columns).all(axis=1)),
        build=build,
        fit_preprocessing=_remembered(build, fit, [examples]),
        identity=cache_key("columns", *names, hashlib.sha256(np.ascontiguousarray(columns).tobytes()).hexdigest()),
        emotions=emotions,
    )


@dataclass(frozen=True, kw_only=True)
class Texts:
    """What a text backbone made of N transcripts.

    Attributes:
        pooled: Pooled layers (N, L, D), zero where there are no words.
        present: Where there are any, (N,).
        identity: Digest of transcripts and backbone.
    """

    pooled: npt.NDArray[np.float32]
    present: npt.NDArray[np.bool_]
    identity: str


def read_texts(keys: Keys, cache: FeatureCache, backbone: BackboneDescription) -> Texts:
    """Cached pooled layers in memory; a key is None where a row has no words."""
    shape = (len(backbone.layers), backbone.width)
    nothing = np.zeros(shape, np.float32)
    pooled = [nothing if key is None else read_pooled(cache, key) for key in keys]
    return Texts(
        pooled=np.stack(pooled) if pooled else np.zeros((0, *shape), np.float32),
        present=np.array([key is not None for key in keys]),
        identity=cache_key(backbone.digest, *keys),
    )


def text_side(texts: Texts, targets: npt.NDArray[Any], config: TextConfig, emotions: int) -> Side:
    """The text side of utterances each on its own."""

    def fit(network: Any, rows: Sequence[int]) -> None:
        network.standardise.fit(torch.from_numpy(texts.pooled[list(rows)]).flatten(1))

    layers, width = texts.pooled.shape[1:]
    examples = array_examples({"pooled": texts.pooled}, targets)
    build = partial(TextNetwork, layers=layers, width=width, emotions=emotions, shape=head_shape(config))
    return Side(
        modality="text",
        examples=examples,
        augmented=examples,
        augmentation_prob=0.0,
        present=texts.present,
        build=build,
        fit_preprocessing=_remembered(build, fit, [examples]),
        identity=texts.identity,
        emotions=emotions,
    )


def context_side(
    texts: Texts, utterances: Sequence[Utterance], targets: npt.NDArray[Any], config: TextConfig, emotions: int
) -> Side:
    """The text side of utterances with what was said before each in its dialogue."""
    windows = [[*before, row] for row, before in enumerate(preceding_rows(utterances, config.context))]
    same = [same_speaker([utterances[row].speaker for row in rows]) for rows in windows]

    def fit(network: Any, rows: Sequence[int]) -> None:
        network.standardise.fit(torch.from_numpy(texts.pooled[list(rows)]).flatten(1))

    def window(row: int) -> Window:
        return Window(pooled=texts.pooled[windows[row]], same=same[row])

    layers, width = texts.pooled.shape[1:]
    examples = window_examples(window, config.context + 1, targets)
    build = partial(
        ContextTextNetwork,
        layers=layers,
        width=width,
        emotions=emotions,
        context=config.context,
        context_width=config.context_width,
        shape=head_shape(config),
    )
    return Side(
        modality="text",
        examples=examples,
        augmented=examples,
        augmentation_prob=0.0,
        present=texts.present,
        build=build,
        fit_preprocessing=_remembered(build, fit, ()),
        identity=cache_key(texts.identity, *windows, *same),
        emotions=emotions,
    )


def head_shape(config: HeadConfig) -> HeadShape:
    """Shape of the head that a stage's configuration asks for."""
    return HeadShape(
        ensemble_size=config.ensemble_size,
        hidden_width=config.hidden_width,
        embedding_width=config.embedding_width,
        input_dropout=config.input_dropout,
        dropout=config.dropout,
        input_noise_std=config.input_noise_std,
        embedding_norm=config.embedding_norm,
    )
