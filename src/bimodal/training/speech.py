"""Speech as a modality: pooled features of recordings, with or without the speaker's statistics, or numeric columns."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bimodal.config import HeadConfig, SpeechConfig
from bimodal.data.batches import Examples, array_examples
from bimodal.features.backbone import BackboneDescription
from bimodal.features.cache import FeatureCache, cache_key
from bimodal.features.extraction import read_statistics
from bimodal.features.pooling import Pooling, select
from bimodal.models.speech import ColumnsNetwork, SpeakerNormalizedNetwork, SpeechNetwork
from bimodal.training.modality import Modality, Preprocessing, head_shape
from bimodal.training.rows import LabelledRows
from bimodal.training.speaker_stats import Groups, draw_earlier, order_earlier, with_speaker_stats

Keys = Sequence[str | None]
"""Where the cache holds the features of each of N utterances; None if one has no recording."""


@dataclass(frozen=True, kw_only=True)
class SpeechKeys:
    """Where the cache holds the statistics of N recordings.

    Attributes:
        views: Keys by view, the plain one first, for every view that is trained on.
        encoded: Keys of what recognition encodes of each: the plain recording, or several views together.
    """

    views: Mapping[str, Keys]
    encoded: Keys


def recordings_modality(
    keys: SpeechKeys,
    cache: FeatureCache,
    rows: LabelledRows,
    backbone: BackboneDescription,
    config: SpeechConfig,
    groups: Groups = (),
) -> Modality:
    """Speech from cached statistics of recordings.

    With `groups`, networks use the statistics of a speaker's earlier clips. Training then sees every view with every
    amount of earlier clips of the same view; dev and outputs see what came before in a random order.

    Args:
        keys: Of the statistics.
        cache: Holds them.
        rows: The utterances; who speaks counts where speakers are shrunk.
        backbone: What made the statistics.
        config: Of the speech stage.
        groups: Whose clip each row is; empty for networks that take each clip by itself.
    """
    plain = [_statistics_examples(one, cache, backbone, config, rows.targets) for one in keys.views.values()]
    encoded = _statistics_examples(keys.encoded, cache, backbone, config, rows.targets)
    views, whose = plain, [group if key else None for group, key in zip(groups, keys.encoded, strict=bool(groups))]
    if groups:
        first = order_earlier(whose, seed=0)
        encoded, views = with_speaker_stats(encoded, first), [with_speaker_stats(plain[0], first)]
        for number, one in enumerate(plain):
            drawn = [draw_earlier(whose, amount, 1 + number) for amount in config.speaker_stats]
            views += [with_speaker_stats(one, earlier) for earlier in drawn]
    options = _network_options(backbone, config, len(rows.emotions))
    return Modality(
        name="speech",
        network=SpeakerNormalizedNetwork if groups else SpeechNetwork,
        options=options | ({"strength": config.speaker_stats_strength} if groups else {}),
        examples=encoded,
        augmented=views[0],
        augmentation_prob=config.augmentation_prob,
        present=np.array([key is not None for key in keys.encoded]),
        preprocessing=Preprocessing(
            standardised=plain[0],
            groups=tuple(group or f"row {row}" for row, group in enumerate(whose)),
            views=tuple(views),
            has_components=True,
            speakers=tuple(row.speaker for row in rows.utterances),
            shrinkage=config.speaker_shrinkage,
            shift_prob=config.speaker_shift_prob,
        ),
        identity=_identity(keys, rows, backbone, config, groups),
        emotions=len(rows.emotions),
    )


def _network_options(backbone: BackboneDescription, config: SpeechConfig, emotions: int) -> dict[str, Any]:
    return {
        "statistics": len(config.statistics),
        "layers": len(backbone.layers),
        "width": backbone.width,
        "pca_components": config.pca_components,
        "emotions": emotions,
        "shape": head_shape(config),
    }


def _identity(
    keys: SpeechKeys, rows: LabelledRows, backbone: BackboneDescription, config: SpeechConfig, groups: Groups
) -> str:
    """Digest of all inputs. `heard` and `baselines` stay: other words would change the digests of stored runs."""
    inputs = (item for view, chosen in {**keys.views, "heard": keys.encoded}.items() for item in (view, *chosen))
    others = ["baselines", *groups] if groups else []
    speakers = [row.speaker for row in rows.utterances] if config.speaker_shrinkage or config.speaker_shift_prob else []
    shrunk = (*speakers, config.speaker_shrinkage)
    moved = ("shift", config.speaker_shift_prob) if config.speaker_shift_prob else ()
    return cache_key(backbone.digest, *inputs, *config.statistics, config.speech_only, *others, *shrunk, *moved)


def pooling_of(config: SpeechConfig) -> Pooling:
    """Which statistics a speech stage is shown."""
    return Pooling(statistics=config.statistics, speech_only=config.speech_only)


def _statistics_examples(
    keys: Keys,
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


def columns_modality(
    columns: npt.NDArray[np.float32],
    targets: npt.NDArray[Any],
    names: Sequence[str],
    config: HeadConfig,
    emotions: int,
) -> Modality:
    """Numeric feature columns (N, F) in place of speech; a row of NaN is absent."""
    examples = array_examples({"columns": columns}, targets)
    return Modality(
        name="speech",
        network=ColumnsNetwork,
        options={"width": columns.shape[1], "emotions": emotions, "shape": head_shape(config)},
        examples=examples,
        augmented=examples,
        present=np.asarray(~np.isnan(columns).all(axis=1)),
        preprocessing=Preprocessing(standardised=examples, views=(examples,)),
        identity=cache_key("columns", *names, hashlib.sha256(np.ascontiguousarray(columns).tobytes()).hexdigest()),
        emotions=emotions,
    )
