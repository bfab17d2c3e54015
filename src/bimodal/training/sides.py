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

from bimodal.config import SpeechConfig, StageConfig, TextConfig
from bimodal.data import Examples, Inputs, Window, array_examples, speech_examples, window_examples
from bimodal.features.backbone import BackboneDescription, SpeechBlocks, collapse_blocks, join_blocks
from bimodal.features.cache import FeatureCache, cache_key
from bimodal.features.extraction import read_blocks, read_pooled
from bimodal.features.views import PLAIN
from bimodal.models.layers import HeadShape
from bimodal.models.speech import BaselineNetwork, ColumnsNetwork, SpeechNetwork
from bimodal.models.text import ContextTextNetwork, TextNetwork
from bimodal.records import Utterance
from bimodal.text import preceding_rows, same_speaker
from bimodal.training.baselines import Groups, draw_earlier, order_earlier, with_baselines
from bimodal.training.loop import rate_of

Modality = Literal["speech", "text"]
_FITTED_AT_ONCE: Final = 256
_FRONTS_KEPT: Final = 2


@dataclass(frozen=True, kw_only=True)
class Front:
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
        view_share: Probability that one does.
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
    view_share: float
    present: npt.NDArray[np.bool_]
    build: Callable[[], nn.Module]
    fit_front: Callable[[tuple[int, ...]], Front]
    identity: str
    emotions: int
    rates: Mapping[str, float] = field(default_factory=dict)

    def fresh_network(self, rows: Sequence[int], seed: int) -> nn.Module:
        """A network whose start depends on the seed alone and whose statistics fit the rows."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = self.build()
        fitted = self.fit_front(tuple(rows)).buffers
        for name, buffer in network.named_buffers():
            if name in fitted:
                buffer.copy_(fitted[name])
        for name, value in network.named_parameters():
            value.requires_grad_(rate_of(name, self.rates) > 0)
        return network

    def head_examples(self, rows: Sequence[int]) -> Examples | None:
        """What the head of `fresh_network(rows)` is trained on; None where what precedes it is trained too."""
        features, targets = self.fit_front(tuple(rows)).features, self.examples.targets[list(rows)]
        return None if features is None else _view_examples(features, targets, self.view_share)

    def seen_by_head(self, network: Any, rows: Sequence[int]) -> Examples:
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


def audio_side(
    keys: Mapping[str, Keys],
    cache: FeatureCache,
    targets: npt.NDArray[Any],
    backbone: BackboneDescription,
    config: SpeechConfig,
    emotions: int,
) -> Side:
    """The speech side from cached blocks.

    Args:
        keys: Cache keys of all N by view, for every view that the configuration names; None where a row has no
            recording.
        cache: Holds the blocks.
        targets: (N,) or (N, C).
        backbone: What made the blocks.
        config: Of the speech stage.
        emotions: C.
    """
    frozen = config.attention_width == 0
    trained = [[keys[view]] for view in (PLAIN, *config.views)]
    heard = [keys[view] for view in (PLAIN, *config.heard_views)]
    if frozen:
        views = [_whole_examples(chosen, cache, backbone, targets) for chosen in trained]
        examples = _whole_examples(heard, cache, backbone, targets) if config.heard_views else views[0]
        augmented = views[0]
    else:
        readers = [partial(_read_joined, chosen, cache) for chosen in trained]
        views = [speech_examples(reader, targets) for reader in readers]
        examples = speech_examples(partial(_read_joined, heard, cache), targets)
        augmented = speech_examples(partial(_read_any, readers, config.view_share), targets)
    build = partial(
        SpeechNetwork,
        layers=len(backbone.layers),
        width=backbone.width,
        attention_width=config.attention_width,
        components=config.components,
        emotions=emotions,
        shape=head_shape(config),
    )
    return Side(
        modality="speech",
        examples=examples,
        augmented=augmented,
        view_share=config.view_share,
        present=np.array([key is not None for key in keys[PLAIN]]),
        build=build,
        fit_front=_remembered(build, partial(_fit_speech, views), views if frozen else ()),
        identity=cache_key(backbone.digest, *(item for view, chosen in keys.items() for item in (view, *chosen))),
        emotions=emotions,
    )


def baseline_side(
    keys: Mapping[str, Keys],
    cache: FeatureCache,
    targets: npt.NDArray[Any],
    backbone: BackboneDescription,
    config: SpeechConfig,
    emotions: int,
    groups: Groups,
) -> Side:
    """The speech side of networks that stand on a speaker's earlier clips; otherwise as `audio_side`.

    Training sees every view with every amount of earlier clips of the same view; dev and evidence see what came
    before in a random order.

    Args:
        keys: As in `audio_side`.
        cache: As in `audio_side`.
        targets: As in `audio_side`.
        backbone: As in `audio_side`.
        config: Of the speech stage.
        emotions: C.
        groups: Whose clip each row is.
    """
    heard = [group if key else None for group, key in zip(groups, keys["plain"], strict=True)]
    plain = [_whole_examples([chosen], cache, backbone, targets) for chosen in keys.values()]
    views = [with_baselines(plain[0], order_earlier(heard, seed=0))]
    for number, examples in enumerate(plain):
        drawn = [draw_earlier(heard, amount, 1 + number) for amount in config.baseline]
        views += [with_baselines(examples, rows) for rows in drawn]
    build = partial(
        BaselineNetwork,
        layers=len(backbone.layers),
        width=backbone.width,
        components=config.components,
        strength=config.baseline_strength,
        emotions=emotions,
        shape=head_shape(config),
    )
    named = [group or f"row {row}" for row, group in enumerate(heard)]
    inputs = (item for view, chosen in keys.items() for item in (view, *chosen))
    return Side(
        modality="speech",
        examples=views[0],
        augmented=views[0],
        view_share=config.view_share,
        present=np.array([key is not None for key in keys["plain"]]),
        build=build,
        fit_front=_remembered(build, partial(_fit_baseline, plain[0], views, named), views),
        identity=cache_key(backbone.digest, *inputs, "baselines", *groups),
        emotions=emotions,
    )


def _fit_baseline(
    plain: Examples, views: Sequence[Examples], groups: Sequence[str], network: Any, rows: Sequence[int]
) -> None:
    """Fit what precedes the head: statistics of speakers to the plain utterances, components to all views."""
    network.standardise.fit(_statistics(plain, network, rows)[1], [groups[row] for row in rows])
    standard = [network.standard(**batch) for examples in views for batch in _batches(examples, rows)]
    network.project.fit(torch.cat(standard))


def _remembered(
    build: Callable[[], nn.Module], fit: Callable[[Any, Sequence[int]], None], views: Sequence[Examples]
) -> Callable[[tuple[int, ...]], Front]:
    """A function of rows that fits what precedes the head to them; folds x seeds ask for the same rows again.

    Args:
        build: Makes a network.
        fit: Fits its buffers to rows.
        views: Whose features of the rows are kept; none where parameters precede the head.
    """

    def fit_front(rows: tuple[int, ...]) -> Front:
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            network: Any = build()
            fit(network, rows)
            features = [_features(network, examples, rows) for examples in views]
        buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
        return Front(buffers=buffers, features=features or None)

    return lru_cache(maxsize=_FRONTS_KEPT)(fit_front)


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


def _whole_examples(
    keys: Sequence[Keys], cache: FeatureCache, backbone: BackboneDescription, targets: npt.NDArray[Any]
) -> Examples:
    """Whole segments as one block each, in memory at 16 bits (6 KiB an utterance); an absent row is zero.

    Args:
        keys: Of every view that is heard together.
        cache: Holds the blocks.
        backbone: What made them.
        targets: (N,) or (N, C).
    """
    rows = len(keys[0])
    shape = (rows, 1, len(backbone.layers), backbone.width)
    mean, std = np.zeros(shape, np.float16), np.zeros(shape, np.float16)
    count = np.zeros(shape[:2], np.float32)
    for row in range(rows):
        if keys[0][row] is not None:
            whole = collapse_blocks(_read_joined(keys, cache, row))
            mean[row], std[row], count[row] = whole.mean, whole.std, whole.count

    def read(indices: Sequence[int]) -> Inputs:
        rows = list(indices)
        return {"mean": mean[rows].astype(np.float32), "std": std[rows].astype(np.float32), "count": count[rows]}

    return Examples(size=rows, read=read, targets=targets)


def _read_joined(keys: Sequence[Keys], cache: FeatureCache, index: int) -> SpeechBlocks:
    return join_blocks([read_blocks(cache, chosen[index] or "") for chosen in keys])


def _read_any(readers: Sequence[Callable[[int], SpeechBlocks]], share: float, index: int) -> SpeechBlocks:
    """The plain utterance, or with probability `share` one of its views."""
    augmented = len(readers) > 1 and float(torch.rand(())) < share
    return readers[1 + int(torch.randint(len(readers) - 1, ())) if augmented else 0](index)


def columns_side(
    columns: npt.NDArray[np.float32],
    targets: npt.NDArray[Any],
    names: Sequence[str],
    config: StageConfig,
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
        view_share=0.0,
        present=np.asarray(~np.isnan(columns).all(axis=1)),
        build=build,
        fit_front=_remembered(build, fit, [examples]),
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
        view_share=0.0,
        present=texts.present,
        build=build,
        fit_front=_remembered(build, fit, [examples]),
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
        view_share=0.0,
        present=texts.present,
        build=build,
        fit_front=_remembered(build, fit, ()),
        identity=cache_key(texts.identity, *windows, *same),
        emotions=emotions,
    )


def head_shape(config: StageConfig) -> HeadShape:
    """Shape of the head that a stage's configuration asks for."""
    return HeadShape(
        heads=config.heads,
        hidden_width=config.hidden_width,
        embedding_width=config.embedding_width,
        input_dropout=config.input_dropout,
        dropout=config.dropout,
        noise=config.noise,
        scale=config.scale,
    )


def _fit_speech(views: Sequence[Examples], network: Any, rows: Sequence[int]) -> None:
    """Fit what precedes the head: standardisation to the plain utterances, principal components to all views."""
    pooled = []
    for number, examples in enumerate(views):
        means, statistics = _statistics(examples, network, rows)
        pooled.append(statistics)
        if number == 0:
            network.pool.standardise.fit(means)
            network.standardise.fit(statistics)
    network.project.fit(torch.cat([network.standardise(statistics) for statistics in pooled]))


def _statistics(examples: Examples, network: Any, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Every fourth block mean (K, L D), and the pooled statistics (N, 2 L D), of some rows."""
    means, pooled = [], []
    for batch in _batches(examples, rows):
        pooled.append(network.pool(**batch).flatten(1))
        means.append(batch["mean"].flatten(2)[batch["count"] > 0][::4])
    return torch.cat(means), torch.cat(pooled)
