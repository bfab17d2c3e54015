"""A side is one modality of a list of utterances: its inputs, where it is there, and the network that reads it."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from bimodal.config import SpeechConfig, StageConfig
from bimodal.data import Examples, array_examples, speech_examples
from bimodal.features.backbone import BackboneDescription, SpeechBlocks, collapse_blocks
from bimodal.features.cache import FeatureCache, cache_key
from bimodal.features.extraction import read_blocks, read_pooled
from bimodal.models.layers import HeadShape
from bimodal.models.speech import ColumnsNetwork, SpeechNetwork
from bimodal.models.text import TextNetwork
from bimodal.training.loop import rate_of

Modality = Literal["speech", "text"]
_FITTED_AT_ONCE: Final = 64


@dataclass(frozen=True, kw_only=True)
class Side:
    """One modality of N utterances.

    Attributes:
        modality: `speech` or `text`.
        examples: Inputs of all N; only rows that are present may be read.
        augmented: The same for training, where views of an utterance may stand for it, drawn by torch's generator.
        present: Where the modality is there, (N,) bool.
        build: Makes a fresh network for C emotions.
        standardise: Fits a network's standardisation to chosen rows.
        identity: Digest of the inputs of all N and of what they are made with; other recordings are another run.
        emotions: C.
        rates: Factors of the learning rate of parts of the network, as `Run` takes them; 0 keeps a part as it is.
    """

    modality: Modality
    examples: Examples
    augmented: Examples
    present: npt.NDArray[np.bool_]
    build: Callable[[], nn.Module]
    standardise: Callable[[Any, Sequence[int]], None]
    identity: str
    emotions: int
    rates: Mapping[str, float] = field(default_factory=dict)

    def fresh_network(self, rows: Sequence[int], seed: int) -> nn.Module:
        """A network whose start depends on the seed alone and whose standardisation fits the rows."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = self.build()
        self.standardise(network, rows)
        for name, value in network.named_parameters():
            value.requires_grad_(rate_of(name, self.rates) > 0)
        return network


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
        keys: Cache keys of all N by view, `plain` first; None where a row has no recording.
        cache: Holds the blocks.
        targets: (N,) or (N, C).
        backbone: What made the blocks.
        config: Of the speech stage.
        emotions: C.
    """
    readers = [_reader(chosen, cache, collapse=config.attention_width == 0) for chosen in keys.values()]
    views = [speech_examples(reader, targets) for reader in readers]
    return Side(
        modality="speech",
        examples=views[0],
        augmented=speech_examples(partial(_read_any, readers, config.view_share), targets),
        present=np.array([key is not None for key in next(iter(keys.values()))]),
        build=partial(
            SpeechNetwork,
            layers=len(backbone.layers),
            width=backbone.width,
            attention_width=config.attention_width,
            components=config.components,
            emotions=emotions,
            shape=head_shape(config),
        ),
        standardise=partial(_standardise_speech, views),
        identity=cache_key(backbone.digest, *(item for view, chosen in keys.items() for item in (view, *chosen))),
        emotions=emotions,
    )


def _reader(keys: Keys, cache: FeatureCache, collapse: bool) -> Callable[[int], SpeechBlocks]:
    """Blocks read from the cache at each use; or, without attention over time, whole segments kept in memory."""
    if not collapse:
        return lambda index: read_blocks(cache, keys[index] or "")
    whole = [None if key is None else _halved(collapse_blocks(read_blocks(cache, key))) for key in keys]

    def held(index: int) -> SpeechBlocks:
        blocks = whole[index]
        assert blocks is not None, "an absent row was read"  # noqa: S101
        return blocks

    return held


def _read_any(readers: Sequence[Callable[[int], SpeechBlocks]], share: float, index: int) -> SpeechBlocks:
    """The plain utterance, or with probability `share` one of its views."""
    augmented = len(readers) > 1 and float(torch.rand(())) < share
    return readers[1 + int(torch.randint(len(readers) - 1, ())) if augmented else 0](index)


def _halved(blocks: SpeechBlocks) -> SpeechBlocks:
    """The same in 16 bits: 6 KiB an utterance."""
    return SpeechBlocks(mean=blocks.mean.astype(np.float16), std=blocks.std.astype(np.float16), count=blocks.count)


def columns_side(
    columns: npt.NDArray[np.float32],
    targets: npt.NDArray[Any],
    names: Sequence[str],
    config: StageConfig,
    emotions: int,
) -> Side:
    """Numeric feature columns (N, F) in place of speech; a row of NaN is absent."""
    examples = array_examples({"columns": columns}, targets)

    def standardise(network: Any, rows: Sequence[int]) -> None:
        network.standardise.fit(torch.from_numpy(columns[list(rows)]))

    return Side(
        modality="speech",
        examples=examples,
        augmented=examples,
        present=np.asarray(~np.isnan(columns).all(axis=1)),
        build=partial(ColumnsNetwork, width=columns.shape[1], emotions=emotions, shape=head_shape(config)),
        standardise=standardise,
        identity=cache_key("columns", *names, hashlib.sha256(np.ascontiguousarray(columns).tobytes()).hexdigest()),
        emotions=emotions,
    )


def text_side(
    keys: Sequence[str | None],
    cache: FeatureCache,
    targets: npt.NDArray[Any],
    backbone: BackboneDescription,
    config: StageConfig,
    emotions: int,
) -> Side:
    """The text side from cached pooled layers; a key is None where a row has no words."""
    shape = (len(backbone.layers), backbone.width)
    pooled = (
        np.stack([np.zeros(shape, np.float32) if key is None else read_pooled(cache, key) for key in keys])
        if keys
        else np.zeros((0, *shape), np.float32)
    )

    def standardise(network: Any, rows: Sequence[int]) -> None:
        network.standardise.fit(torch.from_numpy(pooled[list(rows)]).flatten(1))

    examples = array_examples({"pooled": pooled}, targets)
    return Side(
        modality="text",
        examples=examples,
        augmented=examples,
        present=np.array([key is not None for key in keys]),
        build=partial(TextNetwork, layers=shape[0], width=shape[1], emotions=emotions, shape=head_shape(config)),
        standardise=standardise,
        identity=cache_key(backbone.digest, *keys),
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


def _standardise_speech(views: Sequence[Examples], network: Any, rows: Sequence[int]) -> None:
    """Fit what precedes the head: standardisation to the plain utterances, principal components to all views."""
    pooled = []
    with torch.inference_mode():
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
    for first in range(0, len(rows), _FITTED_AT_ONCE):
        batch = examples.read(rows[first : first + _FITTED_AT_ONCE])
        mean, std, count = (torch.from_numpy(batch[name]) for name in ("mean", "std", "count"))
        pooled.append(network.pool(mean, std, count).flatten(1))
        means.append(mean.flatten(2)[count > 0][::4])
    return torch.cat(means), torch.cat(pooled)
