"""Text as a modality: pooled layers of a language model, of each utterance by itself or with those before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from bimodal.config import TextConfig
from bimodal.data.batches import Window, array_examples, window_examples
from bimodal.data.text import preceding_rows, same_speaker
from bimodal.features.backbone import BackboneDescription
from bimodal.features.cache import FeatureCache, cache_key
from bimodal.features.extraction import read_pooled
from bimodal.models.text import ContextTextNetwork, TextNetwork
from bimodal.training.modality import Modality, Preprocessing, head_shape
from bimodal.training.rows import LabelledRows


@dataclass(frozen=True, kw_only=True)
class Texts:
    """What a text backbone made of N transcripts.

    Attributes:
        pooled: Pooled layers (N, L, D), zero if there are no words.
        present: Where there are any, (N,).
        identity: Digest of transcripts and backbone.
    """

    pooled: npt.NDArray[np.float32]
    present: npt.NDArray[np.bool_]
    identity: str


def read_texts(keys: Sequence[str | None], cache: FeatureCache, backbone: BackboneDescription) -> Texts:
    """Cached pooled layers in memory; a key is None if a row has no words."""
    shape = (len(backbone.layers), backbone.width)
    nothing = np.zeros(shape, np.float32)
    pooled = [nothing if key is None else read_pooled(cache, key) for key in keys]
    return Texts(
        pooled=np.stack(pooled) if pooled else np.zeros((0, *shape), np.float32),
        present=np.array([key is not None for key in keys]),
        identity=cache_key(backbone.digest, *keys),
    )


def text_modality(texts: Texts, rows: LabelledRows, config: TextConfig) -> Modality:
    """The text of utterances each by itself."""
    layers, width = texts.pooled.shape[1:]
    examples, emotions = array_examples({"pooled": texts.pooled}, rows.targets), len(rows.emotions)
    return Modality(
        name="text",
        network=TextNetwork,
        options={"layers": layers, "width": width, "emotions": emotions, "shape": head_shape(config)},
        examples=examples,
        augmented=examples,
        present=texts.present,
        preprocessing=Preprocessing(standardised=examples, views=(examples,)),
        identity=texts.identity,
        emotions=emotions,
    )


def dialogue_modality(texts: Texts, rows: LabelledRows, config: TextConfig) -> Modality:
    """The text of utterances with what was said before each in its dialogue."""
    utterances, alone = rows.utterances, text_modality(texts, rows, config)
    windows = [[*before, row] for row, before in enumerate(preceding_rows(utterances, config.context))]
    same = [same_speaker([utterances[row].speaker for row in chosen]) for chosen in windows]
    examples = window_examples(partial(_window, texts, windows, same), config.context + 1, rows.targets)
    return Modality(
        name="text",
        network=ContextTextNetwork,
        options={**alone.options, "context": config.context, "context_width": config.context_width},
        examples=examples,
        augmented=examples,
        present=texts.present,
        preprocessing=Preprocessing(standardised=alone.examples),
        identity=cache_key(texts.identity, *windows, *same),
        emotions=alone.emotions,
    )


def _window(texts: Texts, windows: Sequence[Sequence[int]], same: Sequence[Sequence[bool]], row: int) -> Window:
    """An utterance's pooled layers after those before it."""
    return Window(pooled=texts.pooled[list(windows[row])], same=same[row])
