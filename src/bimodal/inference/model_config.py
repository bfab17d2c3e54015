"""What `config.json` of a model folder says: emotions, modalities, temperatures, licence, digests."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from bimodal.features.pooling import Pooling

SCHEMA: Final = 3
GIVEN: Final = "given"


@dataclass(frozen=True, kw_only=True)
class ModalityConfig:
    """How a model uses one modality.

    Attributes:
        backbone: Name of the frozen feature extractor; empty if feature columns replace recordings.
        backbone_digest: Its digest; another backbone is refused.
        columns: Numeric manifest columns that replace recordings, in order; empty for audio.
        pooling: How the frames of a recording are pooled.
        tta: Test-time augmentations of whole clips.
        speaker_stats: Whether the network uses statistics of a speaker's earlier clips.
        context: Number of earlier utterances that the text network reads.
        temperature: Divides the logits of this modality alone; fitted on held-out speakers.
        embedding_width: Width E of the emotion embedding.
        logit_variance: Of the training data, as `features.adaptation.logit_variance`; 0 if it was not measured.
    """

    backbone: str = ""
    backbone_digest: str = ""
    columns: tuple[str, ...] = ()
    pooling: Pooling = field(default_factory=Pooling)
    tta: tuple[str, ...] = ()
    speaker_stats: bool = False
    context: int = 0
    temperature: float = 1.0
    embedding_width: int = 0
    logit_variance: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What a model folder holds.

    Attributes:
        name: Name of the model.
        emotions: The C emotions, in the order of the logits.
        vocabulary: Name of the vocabulary or map they come from; a map of your own is stored in the folder.
        priors: Share of each emotion in the training data.
        speech: None if the model has no speech network.
        text: None if the model has no text network.
        fusion_temperatures: Divide the fused logits with both modalities, speech alone, text alone; empty if there is
            no fusion stage.
        pairing: Training pairs of the fusion stage: `given`, or `label_matched`, which are no evidence.
        licence: Of the weights; weights carry the licence of their training data.
        trained_on: Names of the training data.
        adapted_to: The unlabelled recordings that the speech network was adapted to; empty if it was not.
        files: SHA-256 of each file of the folder but this one.
        version: Semantic version of the model.
        schema: Version of this layout.
    """

    name: str
    emotions: tuple[str, ...]
    vocabulary: str
    priors: tuple[float, ...]
    speech: ModalityConfig | None = None
    text: ModalityConfig | None = None
    fusion_temperatures: tuple[float, ...] = ()
    pairing: str = GIVEN
    licence: str = "unknown: set it to that of the training data"
    trained_on: str = ""
    adapted_to: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    version: str = "0.1.0"
    schema: int = SCHEMA

    @property
    def revision(self) -> str:
        """Digest of weights and configuration, 12 hexadecimal digits."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:12]
