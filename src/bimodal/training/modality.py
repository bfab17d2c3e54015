"""A modality of a list of utterances, as data: its inputs, where it is present, and the network that reads it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from bimodal.arrays import Floats
from bimodal.config import HeadConfig
from bimodal.data.batches import Examples, Inputs, array_examples, main_emotion
from bimodal.inference.model_config import ModalityConfig
from bimodal.models.layers import HeadShape, speaker_directions
from bimodal.training.loop import lr_multiplier_of

_FITTED_AT_ONCE: Final = 256
_FITTED_KEPT: Final = 4


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """Inputs to fit the layers before a network's head (standardisation, PCA), before the head is trained.

    Attributes:
        standardised: Plain inputs of all N, one array each: the network standardises by their statistics.
        groups: Speaker (or other group) of each of the N, for a network that standardises by speaker; else empty.
        views: Inputs of all N that the head is trained on, one for each view, the plain one first. Principal
            components are fitted to all views. Empty if parameters precede the head.
        has_components: Whether the network uses principal components.
        speakers: Who speaks in each of the N.
        shrinkage: How much to shrink the directions in which speakers differ, before PCA; 0 disables it.
        shift_prob: Probability, 0 to 1, that a training utterance is moved to another speaker; see `shift_speakers`.
    """

    standardised: Examples
    groups: tuple[str, ...] = ()
    views: tuple[Examples, ...] = ()
    has_components: bool = False
    speakers: tuple[str | None, ...] = ()
    shrinkage: float = 0.0
    shift_prob: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Modality:
    """One modality of N utterances.

    Attributes:
        name: `speech` or `text`.
        network: Makes a new network: its class, or a function.
        options: Keyword arguments of `network`.
        examples: Inputs of all N; only rows that are present may be read.
        augmented: The same for training: an augmented copy may replace an utterance, drawn by torch's generator.
        augmentation_prob: Probability, 0 to 1, of such a replacement.
        present: Whether an utterance has the modality, (N,) bool.
        preprocessing: Inputs to fit the layers before the head; None if a new network needs no fitting.
        identity: Digest of all inputs and of how they are made. Other recordings give another digest.
        emotions: C.
        lr_multipliers: Factors of the learning rate of parts of the network, as `Run` takes them; 0 freezes a part.
        described: How a model folder describes the modality.
    """

    name: Literal["speech", "text"]
    network: Callable[..., nn.Module]
    options: Mapping[str, Any]
    examples: Examples
    augmented: Examples
    augmentation_prob: float = 0.0
    present: npt.NDArray[np.bool_]
    preprocessing: Preprocessing | None
    identity: str
    emotions: int
    lr_multipliers: Mapping[str, float] = field(default_factory=dict)
    described: ModalityConfig = field(default_factory=ModalityConfig)

    def present_rows(self, rows: Sequence[int]) -> list[int]:
        """The given rows that have the modality."""
        return [row for row in rows if self.present[row]]


def fresh_network(modality: Modality, rows: Sequence[int], seed: int) -> nn.Module:
    """A network whose start depends on the seed alone and whose statistics fit the rows."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = modality.network(**modality.options)
    fitted = {} if modality.preprocessing is None else fit_preprocessing(modality, tuple(rows)).buffers
    for name, buffer in network.named_buffers():
        if name in fitted:
            buffer.copy_(fitted[name])
    for name, value in network.named_parameters():
        value.requires_grad_(value.requires_grad and lr_multiplier_of(name, modality.lr_multipliers) > 0)
    return network


def head_examples(modality: Modality, rows: Sequence[int]) -> Examples | None:
    """What the head of `fresh_network(modality, rows)` is trained on; None if what precedes it is trained too."""
    given = modality.preprocessing
    if given is None or not given.views:
        return None
    features, targets = fit_preprocessing(modality, tuple(rows)).features, modality.examples.targets[list(rows)]
    examples = view_examples(features, targets, modality.augmentation_prob)
    if not given.shift_prob:
        return examples
    speakers = [given.speakers[row] or f"row {row}" for row in rows]
    return shift_speakers(examples, speaker_centres(features[0], speakers, targets), given.shift_prob)


def head_inputs(modality: Modality, network: Any, rows: Sequence[int]) -> Examples:
    """What a network's head sees of any rows, plain."""
    with torch.inference_mode():
        features = _features(network, modality.examples, rows)
    return array_examples({"features": features}, modality.examples.targets[list(rows)])


def view_examples(views: Sequence[Floats], targets: npt.NDArray[Any], share: float) -> Examples:
    """Features (n, P) by view, the plain one first; with probability `share` another one replaces it."""
    if len(views) == 1:
        return array_examples({"features": views[0]}, targets)
    held = np.stack(views)

    def read(indices: Sequence[int]) -> Inputs:
        shape = (len(indices),)
        view = torch.randint(1, len(held), shape) * (torch.rand(shape) < share)
        return {"features": held[view.numpy(), list(indices)]}

    return Examples(size=len(targets), read=read, targets=targets)


def speaker_centres(
    features: Floats, speakers: Sequence[str], targets: npt.NDArray[Any]
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Where the speakers of some utterances lie, whatever they express.

    Args:
        features: Of the utterances, (n, P).
        speakers: Who speaks in each, (n,).
        targets: Emotions (n,), or distributions over emotions (n, C). The mean of each emotion is taken away first, so
            that a speaker who is often sad does not lie where sadness lies.

    Returns:
        Centre of each of K speakers, (K, P), and the speaker of each utterance, (n,), a row of it.

    Example:
        >>> speaker_centres(np.array([[1.0], [3.0], [2.0], [4.0]]), ["a", "a", "b", "b"], np.array([0, 1, 0, 1]))
        (array([[-0.5],
               [ 0.5]], dtype=float32), array([0, 0, 1, 1]))
    """
    shares = np.eye(int(targets.max()) + 1)[targets] if targets.ndim == 1 else targets
    means = shares.T @ features / np.maximum(shares.sum(axis=0), 1.0)[:, None]
    rest = features - shares @ means
    names, own = np.unique(np.array(speakers), return_inverse=True)
    centres = np.stack([rest[own == number].mean(axis=0) for number in range(len(names))])
    return centres.astype(np.float32), own.astype(np.int64)


def shift_speakers(examples: Examples, centres: tuple[Floats, npt.NDArray[np.int64]], probability: float) -> Examples:
    """Examples whose features are moved, with a probability, as if another of the speakers had spoken.

    The difference between the centres of the two speakers is added. So a network learns to do without what tells
    speakers, microphones and rooms apart. Speaker and chance are drawn by torch's generator.

    Args:
        examples: With `features` (n, P).
        centres: As `speaker_centres` gives them.
        probability: 0 to 1.
    """
    means, own = centres

    def read(indices: Sequence[int]) -> Inputs:
        batch = examples.read(indices)
        other = torch.randint(len(means), (len(indices),)).numpy()
        moved = (torch.rand(len(indices)) < probability).numpy()[:, None]
        return {**batch, "features": batch["features"] + moved * (means[other] - means[own[list(indices)]])}

    return Examples(size=examples.size, read=read, targets=examples.targets, lengths=examples.lengths)


@dataclass(frozen=True, kw_only=True)
class FittedPreprocessing:
    """What precedes a network's head, fitted to chosen training rows; the same for any seed and loss.

    Attributes:
        buffers: Of the network, by name: statistics, components.
        features: What the head sees of the rows, one array (n, P) a view; empty if parameters precede the head.
    """

    buffers: Mapping[str, Tensor]
    features: Sequence[Floats]


@lru_cache(maxsize=_FITTED_KEPT)
def fit_preprocessing(modality: Modality, rows: tuple[int, ...]) -> FittedPreprocessing:
    """Fit what precedes the head to some rows: standardisation to the plain utterances, components to all views.

    The last ones are remembered, as folds x seeds x losses ask for the same rows again.

    Args:
        modality: With a `preprocessing`.
        rows: Training rows.
    """
    given: Any = modality.preprocessing
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        network: Any = modality.network(**modality.options)
        plain = torch.cat([next(iter(batch.values())).flatten(1) for batch in _batches(given.standardised, rows)])
        network.standardise.fit(plain, *([[given.groups[row] for row in rows]] if given.groups else []))
        if given.has_components:
            standard = [_concatenated(network.standard, view, rows) for view in given.views]
            shrunk = _speaker_directions(given, standard[0], modality.examples.targets, rows)
            network.project.fit(torch.cat(standard), shrunk)
        features = [_features(network, view, rows) for view in given.views]
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    return FittedPreprocessing(buffers=buffers, features=features)


def _speaker_directions(
    given: Preprocessing, values: Tensor, targets: npt.NDArray[Any], rows: Sequence[int]
) -> Tensor | None:
    """In what the speakers of some rows differ, as `Project.fit` takes it; None if nothing is to be shrunk."""
    if not given.shrinkage:
        return None
    speakers = [given.speakers[row] or f"row {row}" for row in rows]
    return speaker_directions(values, speakers, main_emotion(targets[list(rows)]).tolist(), given.shrinkage)


def _features(network: Any, examples: Examples, rows: Sequence[int]) -> Floats:
    """What the network's head sees of rows, (n, P)."""
    features: Floats = _concatenated(network.features, examples, rows).numpy()
    return features


def _concatenated(function: Callable[..., Tensor], examples: Examples, rows: Sequence[int]) -> Tensor:
    """What a function gives of some rows' inputs, (n, ...), taken a batch at a time."""
    return torch.cat([function(**batch) for batch in _batches(examples, rows)])


def _batches(examples: Examples, rows: Sequence[int]) -> Iterator[dict[str, Tensor]]:
    for first in range(0, len(rows), _FITTED_AT_ONCE):
        batch = examples.read(rows[first : first + _FITTED_AT_ONCE])
        yield {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in batch.items()}


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
