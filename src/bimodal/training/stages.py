"""The three stages of the method as functions: speech (201), text (202), fusion of cached features (203, 204)."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from bimodal.arrays import Floats
from bimodal.config import FusionConfig, StageConfig
from bimodal.data.batches import Examples, Inputs, array_examples, count_targets, main_emotion, single_emotion
from bimodal.data.splits import Fold, crossed_folds
from bimodal.errors import TrainingError
from bimodal.evaluation.metrics import count_confusions, unweighted_average_recall
from bimodal.features.cache import cache_key
from bimodal.models.fusions.gate import FusionNetwork
from bimodal.models.fusions.reference import ConcatenationNetwork, ExpertsNetwork
from bimodal.models.losses.focal import target_distribution
from bimodal.training.loop import Run, StageRecord, fit, predict
from bimodal.training.sides import Side

OnEpoch = Callable[[dict[str, float]], None]


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """Where and how a stage runs.

    Attributes:
        seed: Decides start and order.
        device: Torch device.
        folder: Folder of the stage; None leaves no trace.
        on_epoch: Called after each epoch, for progress.
    """

    seed: int = 0
    device: str = "cpu"
    folder: Path | None = None
    on_epoch: OnEpoch = lambda entry: None

    def below(self, name: str) -> "RunContext":
        """The same, in a folder below."""
        folder = None if self.folder is None else self.folder / name
        return RunContext(seed=self.seed, device=self.device, folder=folder, on_epoch=self.on_epoch)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a side's network found in N utterances: the emotion features that are cached for the fusion (step 203).

    Attributes:
        embedding: (N, E), zero where absent.
        logits: (N, C), zero where absent.
        present: (N,) bool.
        identity: Digest of the networks and of their inputs; empty where the evidence itself must tell it apart. The
            same networks may find another last digit with another number of threads, and that is no other evidence.
    """

    embedding: Floats
    logits: Floats
    present: npt.NDArray[np.bool_]
    identity: str = ""


def uar_score(logits: Floats, targets: npt.NDArray[Any]) -> float:
    """Unweighted average recall of logits (N, C), 0 to 1; what decides between epochs.

    Targets of several emotions are left out; 0 where no other is there.
    """
    alone = single_emotion(targets)
    matrix = count_confusions(main_emotion(targets)[alone], logits[alone].argmax(axis=1), logits.shape[1])
    return float(unweighted_average_recall(matrix)) if alone.any() else 0.0


def train_side(
    side: Side, train: Sequence[int], dev: Sequence[int], config: StageConfig, where: RunContext
) -> tuple[nn.Module, StageRecord]:
    """Train the network of one side (step 201 or 202).

    Args:
        side: Speech or text of all utterances.
        train: Rows to train on; rows where the side is absent are skipped.
        dev: Rows whose UAR decides which epoch is kept, if the configuration's patience is above 0.
        config: How to train.
        where: Where it runs.

    Raises:
        TrainingError: No row to train on, or fewer than two emotions in them.
    """
    rows = _present(side, train)
    if np.count_nonzero(count_targets(side.examples.targets[rows], side.emotions)) < 2:
        raise TrainingError(
            f"the {side.modality} stage has {len(rows)} training utterances with {side.modality} and fewer than two "
            "emotions among them"
        )
    network: Any = side.fresh_network(rows, where.seed)
    network.head.limit_to(torch.from_numpy(count_targets(side.examples.targets[rows], side.emotions) > 0))
    trained, examples, watched = _trained_part(side, network, rows, _present(side, dev) if config.patience else [])
    network.to(where.device)
    record = fit(
        trained,
        Run(
            train=examples,
            dev=watched,
            config=config,
            emotions=side.emotions,
            embedding_width=network.head.shape.embedding_width,
            seed=where.seed,
            device=where.device,
            folder=where.folder,
            identity=cache_key(side.identity, *map(int, rows), "dev", *map(int, dev if config.patience else [])),
            rates=side.rates,
            score=uar_score,
            on_epoch=where.on_epoch,
        ),
    )
    return network.eval(), record


def _trained_part(
    side: Side, network: Any, rows: Sequence[int], dev: Sequence[int]
) -> tuple[nn.Module, Examples, Examples | None]:
    """What of a network is trained, and on what; the head alone, on what it sees, where nothing before it is trained.

    What the head sees is computed once for all steps, seeds and losses (step 203 of the method, taken one layer on).
    """
    seen = side.head_examples(rows)
    if seen is None:
        return network, side.augmented.subset(rows), side.examples.subset(dev) if dev else None
    return network.head, seen, side.head_inputs(network, dev) if dev else None


def _present(side: Side, rows: Sequence[int]) -> list[int]:
    return [row for row in rows if side.present[row]]


def find_evidence(network: nn.Module, side: Side, device: str = "cpu") -> Evidence:
    """Run a side's network once over every utterance that has the side (step 203)."""
    rows = np.flatnonzero(side.present)
    embedding, logits = predict(network, side.examples.subset(rows.tolist()), device)[:2]
    return _scatter_rows(embedding, logits, rows, side, cache_key(side.identity, weights_digest(network)))


def _scatter_rows(embedding: Floats, logits: Floats, rows: npt.NDArray[Any], side: Side, identity: str) -> Evidence:
    """Evidence of all N utterances from that of some rows."""
    count = len(side.present)
    whole = Evidence(
        embedding=np.zeros((count, embedding.shape[1]), np.float32),
        logits=np.zeros((count, logits.shape[1]), np.float32),
        present=side.present,
        identity=identity,
    )
    whole.embedding[rows], whole.logits[rows] = embedding, logits
    return whole


def check_paired(rows: Sequence[int]) -> None:
    """Refuse a fusion stage without training rows that have both sides.

    Raises:
        TrainingError: There is none.
    """
    if not rows:
        raise TrainingError(
            "no training utterance has both speech and words; the fusion stage needs paired ones (or, for a model "
            "whose figures are no evidence, fusion.pairing=label_matched)"
        )


def cross_fit(side: Side, final: nn.Module, folds: Sequence[Fold], config: StageConfig, where: RunContext) -> Evidence:
    """Evidence of the training rows from networks that did not train on them; of all other rows from the final one.

    Without it the gate would learn to trust whichever side overfitted more. The networks of different parts agree in
    what an axis of their embedding means only up to a rotation, which is undone against the final network.

    Args:
        side: Speech or text of all utterances.
        final: The network trained on all training rows.
        folds: Each training row is tested in one of them; see `cross_fitting_folds`.
        config: Of the side's stage.
        where: Where it runs; each fold has a folder of its own.
    """
    whole, made = find_evidence(final, side, where.device), []
    for number, fold in enumerate(folds):
        rows, others = np.array(_present(side, fold.test)), fold.train
        if len(rows) == 0:
            continue
        network, _ = train_side(side, others, [], config, where.below(f"part{number + 1}"))
        reference = np.array(_present(side, others))
        turn = rotation(
            predict(network, side.examples.subset(reference.tolist()), where.device)[0],
            predict(final, side.examples.subset(reference.tolist()), where.device)[0],
        )
        embedding, logits = predict(network, side.examples.subset(rows.tolist()), where.device)[:2]
        whole.embedding[rows], whole.logits[rows] = embedding @ turn, logits
        made += [weights_digest(network), *rows.tolist()]
    return replace(whole, identity=cache_key(whole.identity, *made))


def weights_digest(module: nn.Module) -> str:
    """SHA-256 of a module's weights.

    Example:
        >>> weights_digest(nn.Identity())[:8]
        'e3b0c442'
    """
    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def rotation(source: Floats, target: Floats) -> Floats:
    """The orthogonal matrix (E, E) that turns source (N, E) nearest to target (N, E): orthogonal Procrustes.

    Schoenemann 1966, Psychometrika 31(1).

    Example:
        >>> turn = rotation(np.eye(3, dtype=np.float32)[[1, 0, 2]], np.eye(3, dtype=np.float32))
        >>> (np.eye(3)[[1, 0, 2]] @ turn).round(4).tolist() == np.eye(3).tolist()
        True
    """
    left, _, right = np.linalg.svd(source.T.astype(np.float64) @ target.astype(np.float64))
    turned: Floats = (left @ right).astype(np.float32)
    return turned


def fusion_examples(
    speech: Evidence, text: Evidence, targets: npt.NDArray[Any], confidence: npt.NDArray[np.float32] | None = None
) -> Examples:
    """The fusion network's inputs from both sides' evidence.

    Args:
        speech: Of N utterances.
        text: Likewise.
        targets: (N,) or (N, C).
        confidence: Of a speech recogniser in the words, (N,) from 0 to 1; None where all were given.
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
    """Train the third network on both sides' cached evidence (step 204); late fusion has nothing to train.

    Args:
        examples: From `fusion_examples`; the training rows' evidence cross-fitted.
        train: Rows to train on.
        dev: Rows whose UAR decides which epoch is kept, if the configuration's patience is above 0.
        config: How to train.
        where: Where it runs.
        identity: Digest of what the evidence was made with; empty for that of the evidence.

    Raises:
        TrainingError: No training row has both sides.
    """
    present = examples.read(range(examples.size))["present"]
    paired = [row for row in train if present[row].all()]
    check_paired(paired)
    chosen = list(dev) if config.patience else []
    rows = [*paired, *chosen]
    identity = cache_key(identity, *rows) if identity else evidence_digest(examples, rows)
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
        identity: Digest of the evidence; other evidence is another run.
    """
    inputs = train.read([0])
    emotions = inputs["speech_logits"].shape[1]
    network: Any = build_fusion(inputs["speech"].shape[1], inputs["text"].shape[1], emotions, config, where.seed)
    network.set_prior(torch.from_numpy(count_targets(train.targets, emotions)))
    if config.init == "fitted" and config.kind == "gate":
        network.start_at(*fit_experts(train, network.log_prior.numpy(), config.shuffled_words_prob, where.seed))
    if config.kind in ("experts", "late"):  # no parameter precedes their embedding
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
            on_epoch=where.on_epoch,
        ),
    )
    return network, record


def shuffle_words(examples: Examples, share: float) -> Examples:
    """The same examples of a fusion, where a share of the utterances has another one's words at each reading."""

    def read(indices: Sequence[int]) -> Inputs:
        inputs = dict(examples.read(indices))
        chosen = torch.rand(len(indices)) < share
        others = examples.read(torch.randint(examples.size, (len(indices),)).tolist())
        for name in ("text", "text_logits"):
            inputs[name] = np.where(chosen.numpy()[:, None], others[name], inputs[name])
        return inputs

    return replace(examples, read=read)


def fit_experts(examples: Examples, log_prior: Floats, shuffled_words_prob: float, seed: int) -> tuple[float, float]:
    """Weights (speech, text) of a product of experts, `l + a (log p_s - l) + b (log p_t - l)`, that fit best.

    Least negative log-likelihood over a grid from 0 to 1.5 each, so that no expert is sharpened much; then the weaker
    side gets the smallest weight that is within one standard error of it (Breiman et al. 1984, 3.4.3), so that a side
    that told nothing of these rows gets 0. Unsure words count less, as in `FusionNetwork`.

    Args:
        examples: Of a fusion, with both sides, their evidence cross-fitted; hard targets count, soft ones by share.
        log_prior: l, (C,).
        shuffled_words_prob: How much the same rows with one another's words count.
        seed: Of the shuffling.
    """
    inputs = examples.read(range(examples.size))
    text_weight = inputs["present"][:, 1:]
    speech, text = (_above_prior(inputs[name], log_prior) for name in ("speech_logits", "text_logits"))
    mixed = text[np.random.default_rng(seed).permutation(len(text))]
    targets = target_distribution(torch.from_numpy(examples.targets), len(log_prior)).numpy()

    def loss(a: float, b: float, words: Floats) -> Floats:
        share, sharper = a / max(a + b, 1e-6), ((a + b) / 2) ** text_weight  # as FusionNetwork weighs unsure words
        voice, told = (1 + text_weight) * (1 - text_weight * (1 - share)), (1 + text_weight) * text_weight * (1 - share)
        logits = log_prior + sharper * (voice * speech + told * words)
        rows: Floats = (-targets * (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))).sum(axis=1)
        return rows

    def both(a: float, b: float) -> Floats:
        plain = loss(a, b, text)
        return (
            (1 - shuffled_words_prob) * plain + shuffled_words_prob * loss(a, b, mixed)
            if shuffled_words_prob
            else plain
        )

    grid = np.linspace(0, 1.5, 31)
    a, b = _within_error(np.array([[both(a, b) for b in grid] for a in grid], np.float32))
    return float(grid[a]), float(grid[b])


def _within_error(losses: Floats) -> tuple[int, int]:
    """Place in a grid of losses (A, B, N) of two weights where the weaker side's is least, within an error of the best.

    The weaker side is the one whose best loss without the other (weight 0) is worse.
    """
    means = losses.mean(axis=2)
    turned = means[:, 0].min() > means[0].min()  # speech is the weaker one
    if turned:
        losses, means = losses.swapaxes(0, 1), means.T
    best = np.unravel_index(int(means.argmin()), means.shape)
    for weak in range(means.shape[1]):
        strong = int(means[:, weak].argmin())
        worse = losses[strong, weak] - losses[best]
        if worse.mean() <= worse.std() / len(worse) ** 0.5:
            break
    return (weak, strong) if turned else (strong, weak)


def _above_prior(logits: Floats, log_prior: Floats) -> Floats:
    """What an expert (N, C) says beyond the prior: log p - l."""
    above: Floats = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True) - log_prior
    return above


def _trained(network: nn.Module) -> bool:
    """Whether there is anything to train."""
    return any(parameter.requires_grad for parameter in network.parameters())


def build_fusion(speech_width: int, text_width: int, emotions: int, config: FusionConfig, seed: int) -> nn.Module:
    """A fresh fusion network whose start depends on the seed alone."""
    options: dict[str, Any] = {"speech_width": speech_width, "text_width": text_width, "emotions": emotions}
    regular = {"dropout": config.dropout, "modality_dropout": config.modality_dropout}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if config.kind in ("experts", "late"):
            return ExpertsNetwork(**options, late=config.kind == "late")
        options |= {"embedding_width": config.embedding_width, **regular}
        if config.kind == "concatenation":
            return ConcatenationNetwork(**options)
        return FusionNetwork(**options, hidden_width=config.hidden_width)


def evidence_digest(examples: Examples, rows: Sequence[int]) -> str:
    """A fingerprint of the evidence, so that a changed side stage is another fusion run."""
    digest = hashlib.sha256()
    for name, array in sorted(examples.read(list(rows)).items()):
        digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def cross_fitting_folds(
    groups: Sequence[str], texts: Sequence[str] | None, rows: Sequence[int], count: int, seed: int
) -> tuple[Fold, ...]:
    """Folds of the training rows for `cross_fit`; no group crosses them, and no text where texts are given.

    Where leaving out the rows of a shared text would cost no fold more than half of its training rows, parts are of
    groups alone; else, as where everybody says the same sentences, groups are crossed with texts.

    Args:
        groups: Speaker or dialogue of every utterance.
        texts: Name of every utterance's text, or None to let texts be shared.
        rows: The training rows.
        count: Parts of the groups (and of the texts, where they are crossed).
        seed: Decides the parts.
    """
    folds = []
    for number, part in enumerate(parts_by_group(groups, rows, count, seed), start=1):
        others = sorted(set(rows) - set(part))
        known = {texts[row] for row in part} if texts is not None else set()
        kept = [row for row in others if texts is None or texts[row] not in known]
        if 2 * len(kept) < len(others) and texts is not None:
            return _crossed(groups, texts, rows, count, seed)
        folds.append(Fold(name=str(number), train=tuple(kept), test=tuple(part)))
    return tuple(folds)


def _crossed(
    groups: Sequence[str], texts: Sequence[str], rows: Sequence[int], count: int, seed: int
) -> tuple[Fold, ...]:
    chosen = sorted(rows)
    parts = min(count, len({groups[row] for row in chosen}), len({texts[row] for row in chosen}))
    folds = crossed_folds([groups[row] for row in chosen], [texts[row] for row in chosen], parts, seed=seed)
    return tuple(
        Fold(
            name=fold.name,
            train=tuple(chosen[place] for place in fold.train),
            test=tuple(chosen[place] for place in fold.test),
        )
        for fold in folds
    )


def parts_by_group(groups: Sequence[str], rows: Sequence[int], count: int, seed: int) -> list[list[int]]:
    """Rows in up to `count` parts of similar size; a group (speaker, dialogue) stays within one part.

    Example:
        >>> [sorted(part) for part in parts_by_group(["a", "a", "b", "c"], [0, 1, 2, 3], 2, seed=0)]
        [[0, 1], [2, 3]]
    """
    members: dict[str, list[int]] = {}
    for row in rows:
        members.setdefault(groups[row], []).append(row)
    order = np.random.default_rng(seed).permutation(len(members))
    shuffled = [list(members.values())[index] for index in order]
    parts: list[list[int]] = [[] for _ in range(max(2, min(count, len(members))))]
    for group in sorted(shuffled, key=len, reverse=True):
        min(parts, key=len).extend(group)
    return sorted((part for part in parts if part), key=lambda part: part[0])
