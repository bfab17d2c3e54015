"""The fusions by name: the gate, and what it is compared with.

A new fusion is one file of this folder, with a network, and one line of this table. Its name must also stand in the
`Literal` of `bimodal.config.FusionConfig`, which imports no torch; a test compares both.

A network has `speech_width` and `text_width`; `set_prior(counts)` takes the training utterances of each emotion;
`forward` is that of `FusionNetwork`. One with `start_at(speech, text)` can start at weights that fit the training rows.
One with `set_modalities(temperatures, counts, neutral)` is told what it needs of both modalities, and its scores are
calibrated: it gets no temperatures of its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from torch import nn

from bimodal.models.fusions.gate import FusionNetwork
from bimodal.models.fusions.plain_words import PlainWordsNetwork
from bimodal.models.fusions.reference import ConcatenationNetwork, ExpertsNetwork


@dataclass(frozen=True, kw_only=True)
class Fusion:
    """One way to fuse speech and text.

    Attributes:
        network: Makes the network, from `speech_width`, `text_width`, `emotions` and what follows.
        settings: Names of the settings of the fusion stage that it takes, too.
        options: Further arguments.
        learns_embedding: Whether parameters precede its embedding, so that an affinity loss has something to train.
    """

    network: Callable[..., nn.Module]
    settings: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    learns_embedding: bool = True


_EMBEDS: Final = ("embedding_width", "dropout", "modality_dropout")

FUSIONS: Final[Mapping[str, Fusion]] = {
    "gate": Fusion(network=FusionNetwork, settings=("hidden_width", *_EMBEDS)),
    "concatenation": Fusion(network=ConcatenationNetwork, settings=_EMBEDS),
    "experts": Fusion(network=ExpertsNetwork, options={"late": False}, learns_embedding=False),
    "late": Fusion(network=ExpertsNetwork, options={"late": True}, learns_embedding=False),
    "plain_words": Fusion(
        network=PlainWordsNetwork, settings=("plain_words_prob", "text_exponent"), learns_embedding=False
    ),
}
"""By `fusion.kind`."""
