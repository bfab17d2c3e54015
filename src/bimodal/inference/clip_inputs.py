"""What the networks of a model are given of clips beside their speech: feature columns, words with those before."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bimodal.arrays import Floats
from bimodal.data.text import dialogue_turns, same_speaker
from bimodal.errors import BimodalError
from bimodal.features.backbone import TextBackbone
from bimodal.records import Clip

if TYPE_CHECKING:
    from bimodal.data.batches import Window


def read_columns(clips: Sequence[Clip], count: int) -> Floats:
    """The feature columns of those clips that have any, (N, count).

    Raises:
        BimodalError: A clip has another number of columns.

    Example:
        >>> read_columns([Clip(columns=[0.5, 1.0]), Clip(transcript="Hi.")], 2).tolist()
        [[0.5, 1.0]]
    """
    given = [clip.columns for clip in clips if clip.columns is not None]
    if wrong := [len(one) for one in given if len(one) != count]:
        raise BimodalError(f"{wrong[0]} feature columns, expected the {count} that the model was trained on")
    return np.array(given, np.float32).reshape(len(given), count)


def read_windows(clips: Sequence[Clip], context: int, backbone: TextBackbone) -> "list[Window]":
    """Each clip's words with those of up to `context` turns before it; texts that clips share are encoded once."""
    from bimodal.data.batches import Window  # start-up: few models read context

    turns = [dialogue_turns(clip)[-context - 1 :] for clip in clips]
    texts = list(dict.fromkeys(text for one in turns for text, _ in one))
    pooled = dict(zip(texts, backbone.extract(texts), strict=True))
    return [
        Window(
            pooled=np.stack([pooled[text] for text, _ in one]),
            same=same_speaker([speaker for _, speaker in one]),
        )
        for one in turns
    ]
