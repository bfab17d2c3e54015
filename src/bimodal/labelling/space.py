"""What the few-shot head sees of a clip: the packaged speech network's embedding, its log scores, and its statistics.

All of it is fitted on the clips of the folder without their labels: the network is adapted to them (`bimodal adapt`),
and two bases of principal components are taken. Every step is a fixed function of the pooled statistics, so that an
exported model folder computes the same inside its graph (`bimodal.labelling.graph`).
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bimodal.arrays import Doubles, Floats
from bimodal.errors import BimodalError, LabellingError
from bimodal.features.adaptation import Adaptation, standardise, take_part
from bimodal.features.speaker_stats import RunningStats, SpeakerStatsStore, empty_stats, measure_stats
from bimodal.inference.adapt import LEAST_CLIPS, EncodedClips, check_adaptable, fit_checked
from bimodal.inference.model import Model
from bimodal.inference.speaker_normalization import score_statistics
from bimodal.labelling.head import log_softmax
from bimodal.records import UNKNOWN

EMBEDDING_COMPONENTS: Final = 48
STATISTICS_COMPONENTS: Final = 50
LOWEST: Final = -12.0
"""Lowest log score of an emotion that the packaged model knows: it may be wrong, and labels must be able to say so."""

_SMALLEST: Final = 1e-6


@dataclass(frozen=True, kw_only=True)
class Block:
    """A centred and scaled basis of principal components.

    Attributes:
        centre: (W,).
        basis: (W, K), scaled so that the clips have features of mean square 1 / K each.
    """

    centre: Doubles
    basis: Doubles

    def project(self, values: npt.NDArray[Any]) -> Doubles:
        """Features (N, K) of values (N, W)."""
        found: Doubles = (values - self.centre) @ self.basis
        return found


@dataclass(frozen=True, kw_only=True)
class Space:
    """How clips become features.

    Attributes:
        emotions: The vocabulary C.
        columns: Of each emotion, its column in the model's logits; -1 where the speech network does not know it.
        temperature: Of the model's speech scores.
        adaptation: To the clips of the folder; None where the model cannot be adapted to them.
        corpus: Statistics of the clips, which standardise them.
        embedding: Basis of the embeddings.
        statistics: Basis of the standardised statistics.
    """

    emotions: tuple[str, ...]
    columns: tuple[int, ...]
    temperature: float
    adaptation: Adaptation | None
    corpus: RunningStats
    embedding: Block
    statistics: Block

    @property
    def width(self) -> int:
        """Number of features F."""
        return int(self.embedding.basis.shape[1] + self.statistics.basis.shape[1])


def fit_space(model: Model, statistics: Floats, emotions: Sequence[str]) -> Space:
    """Learn from clips without labels how they become features.

    Args:
        model: With a speech network that uses recordings.
        statistics: Pooled statistics of the clips, (N, P, L, D).
        emotions: The vocabulary.

    Raises:
        LabellingError: There are fewer than two clips.
        BimodalError: The model uses no recordings.
    """
    if len(statistics) < 2:
        raise LabellingError(f"{len(statistics)} clips with speech, expected at least 2; give more recordings")
    model.check_takes_audio()
    assert model.config.speech is not None  # noqa: S101
    adaptation = _adapt(model, statistics)
    corpus = adapted_to(measure_stats(statistics), adaptation)
    embedding, logits = run_speech(model, statistics, adaptation)
    known = logits.max(axis=0) > UNKNOWN / 4
    place = {emotion: number for number, emotion in enumerate(model.emotions)}
    columns = tuple(place[one] if one in place and known[place[one]] else -1 for one in emotions)
    return Space(
        emotions=tuple(emotions),
        columns=columns,
        temperature=model.config.speech.temperature,
        adaptation=adaptation,
        corpus=corpus,
        embedding=_block(embedding.astype(np.float64), EMBEDDING_COMPONENTS),
        statistics=_block(_standard(statistics, corpus), STATISTICS_COMPONENTS),
    )


def head_inputs(model: Model, space: Space, statistics: Floats) -> tuple[Doubles, Doubles]:
    """Features (N, F) and log scores of the packaged model (N, C), from pooled statistics (N, P, L, D)."""
    embedding, logits = run_speech(model, statistics, space.adaptation)
    blocks = [space.embedding.project(embedding), space.statistics.project(_standard(statistics, space.corpus))]
    return np.concatenate(blocks, axis=1), prior_of(space, logits)


def prior_of(space: Space, logits: npt.NDArray[Any]) -> Doubles:
    """Log scores of the packaged model in the vocabulary, (N, C); an emotion that it does not know has the mean share.

    Example:
        >>> block = Block(centre=np.zeros(1), basis=np.eye(1))
        >>> space = Space(emotions=("anger", "boredom"), columns=(0, -1), temperature=1.0, adaptation=None,
        ...     corpus=empty_stats((1,)), embedding=block, statistics=block)
        >>> prior_of(space, np.array([[0.0, -1.0]])).round(2).tolist()
        [[-0.31, -0.69]]
    """
    scores = np.maximum(log_softmax(logits / space.temperature), LOWEST)
    found = np.full((len(logits), len(space.emotions)), -np.log(len(space.emotions)))
    for number, column in enumerate(space.columns):
        if column >= 0:
            found[:, number] = scores[:, column]
    return found


def run_speech(model: Model, statistics: Floats, adaptation: Adaptation | None) -> tuple[Floats, Floats]:
    """Embeddings (N, E) and logits (N, M) of the speech network, adapted to the clips or as it is."""
    assert model.config.speech is not None  # noqa: S101
    own = [empty_stats(statistics.shape[1:])] * len(statistics)
    return score_statistics(model.session("speech"), model.config.speech.speaker_stats, statistics, own, adaptation)


def adapted_to(corpus: RunningStats, adaptation: Adaptation | None) -> RunningStats:
    """Statistics by which clips are standardised: those of the adaptation, where there is one."""
    return corpus if adaptation is None else take_part(adaptation.corpus, adaptation)


def standard_block(statistics: Floats, components: int) -> Callable[[Floats], Doubles]:
    """What projects pooled statistics (N, P, L, D), standardised by those of these clips, on principal components."""
    corpus = measure_stats(statistics)
    block = _block(_standard(statistics, corpus), components)
    return lambda values: block.project(_standard(values, corpus))


def _adapt(model: Model, statistics: Floats) -> Adaptation | None:
    """The adaptation of `bimodal adapt` to clips; None where it refuses them."""
    speech = model.config.speech
    if len(statistics) < LEAST_CLIPS or (speech is not None and speech.speaker_stats) or model.adaptation is not None:
        return None
    clips = EncodedClips(statistics=statistics, speakers=(None,) * len(statistics), seconds=0.0, unusable=0)
    try:
        check_adaptable(model)
        return fit_checked(model, clips, SpeakerStatsStore(), "the clips")
    except BimodalError as error:
        logging.getLogger(__name__).info("the model is used as it is: %s", error)
        return None


def _standard(statistics: Floats, corpus: RunningStats) -> Doubles:
    """Standardised statistics, flat, (N, W)."""
    return standardise(statistics, corpus).reshape(len(statistics), -1).astype(np.float64)


def _block(values: Doubles, components: int) -> Block:
    """Principal components of values (N, W), by the smaller of the two Gram matrices."""
    centre = values.mean(axis=0)
    centred = values - centre
    if len(values) <= values.shape[1]:
        powers, left = np.linalg.eigh(centred @ centred.T)
        basis = centred.T @ (left / np.sqrt(np.maximum(powers, _SMALLEST)))
    else:
        powers, basis = np.linalg.eigh(centred.T @ centred)
    kept = np.argsort(powers)[::-1][: min(components, len(values) - 1)]
    kept = kept[powers[kept] > _SMALLEST * max(float(powers.max()), _SMALLEST)]
    basis = basis[:, kept]
    size = np.sqrt(((centred @ basis) ** 2).sum(axis=1).mean()) if len(kept) else 1.0
    return Block(centre=centre, basis=basis / max(float(size), _SMALLEST))
