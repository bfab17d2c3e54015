"""The fusion stage (step 204 of the method): the third network, trained on outputs of both modalities."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from bimodal.config import FusionConfig
from bimodal.data.batches import Examples, Inputs, array_examples, count_targets
from bimodal.errors import TrainingError
from bimodal.features.cache import cache_key
from bimodal.inference.outputs import ModalityOutputs
from bimodal.models.fusions import FUSIONS
from bimodal.models.fusions.experts import fit_experts
from bimodal.models.losses.focal import target_distribution
from bimodal.training.checkpoint import StageRecord
from bimodal.training.loop import Run, fit
from bimodal.training.stage import RunContext, uar_score


def check_paired(rows: Sequence[int]) -> None:
    """Refuse a fusion stage without training rows that have both modalities.

    Raises:
        TrainingError: There is none.
    """
    if not rows:
        raise TrainingError(
            "no training utterance has both speech and words, which the fusion stage needs; give such utterances, or "
            "pair by label with fusion.pairing=label_matched (its figures are no evidence that fusion helps)"
        )


def fusion_examples(
    speech: ModalityOutputs,
    text: ModalityOutputs,
    targets: npt.NDArray[Any],
    confidence: npt.NDArray[np.float32] | None = None,
) -> Examples:
    """The fusion network's inputs from the outputs of both modalities.

    Args:
        speech: Of N utterances.
        text: Likewise.
        targets: (N,) or (N, C).
        confidence: Of a speech recogniser in the words, (N,) from 0 to 1; None if all were given.
    """
    text_weight = np.ones(len(text.present), np.float32) if confidence is None else confidence
    return array_examples(
        {
            "speech": speech.embedding,
            "speech_logits": speech.logits,
            "text": text.embedding,
            "text_logits": text.logits,
            "present": np.stack([speech.present, text.present * text_weight], axis=1).astype(np.float32),
        },
        targets,
    )


def train_fusion(
    examples: Examples,
    train: Sequence[int],
    dev: Sequence[int],
    config: FusionConfig,
    where: RunContext,
    identity: str = "",
) -> tuple[nn.Module, StageRecord]:
    """Train the third network on the cached outputs of both modalities (step 204); late fusion has nothing to train.

    Args:
        examples: From `fusion_examples`; the training rows' outputs cross-fitted.
        train: Rows to train on.
        dev: Rows whose UAR decides which epoch is kept, if the configuration's patience is above 0.
        config: How to train.
        where: Where it runs.
        identity: Digest of what made the outputs; empty to digest the outputs themselves.

    Raises:
        TrainingError: No training row has both modalities.
    """
    present = examples.read(range(examples.size))["present"]
    paired = [row for row in train if present[row].all()]
    check_paired(paired)
    chosen = list(dev) if config.patience else []
    rows = [*paired, *chosen]
    identity = cache_key(identity, *rows) if identity else outputs_digest(examples, rows)
    return fit_fusion(examples.subset(paired), examples.subset(chosen) if chosen else None, config, where, identity)


def fit_fusion(
    train: Examples, dev: Examples | None, config: FusionConfig, where: RunContext, identity: str
) -> tuple[nn.Module, StageRecord]:
    """A fusion network fitted to examples, whichever way they were paired.

    Args:
        train: Examples to train on.
        dev: Examples whose UAR decides which epoch is kept; None keeps the last.
        config: How to train.
        where: Where it runs.
        identity: Digest of the outputs; other outputs are another run.
    """
    inputs = train.read([0])
    emotions = inputs["speech_logits"].shape[1]
    network: Any = build_fusion(inputs["speech"].shape[1], inputs["text"].shape[1], emotions, config, where.seed)
    network.set_prior(torch.from_numpy(count_targets(train.targets, emotions)))
    if config.init == "fitted" and hasattr(network, "start_at"):
        network.start_at(*_fitted_weights(network, train, config, where.seed))
    if not FUSIONS[config.kind].learns_embedding:
        config = replace(config, loss=replace(config.loss, affinity="none"), epochs=config.epochs * _trained(network))
    record = fit(
        network,
        Run(
            train=shuffle_words(train, config.shuffled_words_prob) if config.shuffled_words_prob else train,
            dev=dev,
            config=config,
            emotions=emotions,
            embedding_width=config.embedding_width,
            seed=where.seed,
            device=where.device,
            folder=where.folder,
            identity=identity,
            score=uar_score,
            on_epoch=where.tell,
            processes=where.processes,
        ),
    )
    return network, record


def _fitted_weights(network: Any, train: Examples, config: FusionConfig, seed: int) -> tuple[float, float]:
    """How much speech and text count at the start of a gate, as fits the training examples best."""
    prior = network.log_prior.numpy()
    targets = target_distribution(torch.from_numpy(train.targets), len(prior)).numpy()
    return fit_experts(train.read(range(train.size)), targets, prior, config.shuffled_words_prob, seed)


def shuffle_words(examples: Examples, share: float) -> Examples:
    """The same examples of a fusion, where a share of the utterances has another one's words at each reading."""
    return replace(examples, read=partial(_read_shuffled, examples, share))


def _read_shuffled(examples: Examples, share: float, indices: Sequence[int]) -> Inputs:
    inputs = dict(examples.read(indices))
    chosen = torch.rand(len(indices)) < share
    others = examples.read(torch.randint(examples.size, (len(indices),)).tolist())
    for name in ("text", "text_logits"):
        inputs[name] = np.where(chosen.numpy()[:, None], others[name], inputs[name])
    return inputs


def _trained(network: nn.Module) -> bool:
    """Whether there is anything to train."""
    return any(parameter.requires_grad for parameter in network.parameters())


def build_fusion(speech_width: int, text_width: int, emotions: int, config: FusionConfig, seed: int) -> nn.Module:
    """A fresh fusion network whose start depends on the seed alone.

    Raises:
        TrainingError: `FUSIONS` has none of that name.
    """
    if config.kind not in FUSIONS:
        raise TrainingError(f"fusion.kind is '{config.kind}', expected one of {', '.join(FUSIONS)}")
    kind = FUSIONS[config.kind]
    settings = {name: getattr(config, name) for name in kind.settings}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind.network(
            speech_width=speech_width, text_width=text_width, emotions=emotions, **settings, **kind.options
        )


def outputs_digest(examples: Examples, rows: Sequence[int]) -> str:
    """A fingerprint of the outputs, so that a changed speech or text stage is another fusion run."""
    digest = hashlib.sha256()
    for name, array in sorted(examples.read(list(rows)).items()):
        digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
