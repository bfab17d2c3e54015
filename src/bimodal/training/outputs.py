"""What the speech and text networks give for each utterance, cached for the fusion stage (step 203).

The fusion stage learns from outputs of networks that did not train on the utterance: cross-fitting.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import nn

from bimodal.arrays import Floats
from bimodal.config import StageConfig, TrainConfig
from bimodal.data.splits import Fold, comparable_text, crossed_folds
from bimodal.errors import SplitError, TrainingError
from bimodal.features.cache import cache_key
from bimodal.inference.outputs import ModalityOutputs, scatter_outputs
from bimodal.records import Utterance
from bimodal.training.loop import predict
from bimodal.training.modality import Modality
from bimodal.training.rows import LabelledRows, Parts
from bimodal.training.stage import RunContext, train_modality


def compute_outputs(network: nn.Module, modality: Modality, device: str = "cpu") -> ModalityOutputs:
    """Run a modality's network once over every utterance that has the modality (step 203)."""
    rows = np.flatnonzero(modality.present)
    embedding, logits = predict(network, modality.examples.subset(rows.tolist()), device)[:2]
    whole = scatter_outputs(
        (embedding, logits), rows.tolist(), len(modality.present), (embedding.shape[1], logits.shape[1])
    )
    return replace(whole, identity=cache_key(modality.identity, weights_digest(network)))


def cross_fit(
    modality: Modality, final: nn.Module, folds: Sequence[Fold], config: StageConfig, where: RunContext
) -> ModalityOutputs:
    """Outputs of the training rows from networks that did not train on them; of all other rows from the final one.

    Without it the gate would learn to trust whichever modality overfitted more. The networks of different parts agree
    in what an axis of their embedding means only up to a rotation, which is undone against the final network.

    Args:
        modality: Speech or text of all utterances.
        final: The network trained on all training rows.
        folds: Each training row is tested in one of them; see `cross_fitting_folds`.
        config: Of the modality's stage.
        where: Where it runs; each fold has a folder of its own.
    """
    whole, made = compute_outputs(final, modality, where.device), []
    for number, fold in enumerate(folds):
        rows, others = modality.present_rows(fold.test), fold.train
        if not rows:
            continue
        network, _ = train_modality(modality, others, [], config, where.below(f"part{number + 1}"))
        reference = modality.examples.subset(modality.present_rows(others))
        turn = rotation(
            predict(network, reference, where.device)[0],
            predict(final, reference, where.device)[0],
        )
        embedding, logits = predict(network, modality.examples.subset(rows), where.device)[:2]
        whole.embedding[rows], whole.logits[rows] = embedding @ turn, logits
        made += [weights_digest(network), *rows]
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


def inner_folds(rows: LabelledRows, parts: Parts, config: TrainConfig) -> tuple[Fold, ...]:
    """Folds of the training rows for the cross-fitting; no dialogue or speaker crosses them, nor a text if asked for.

    Raises:
        SplitError: One speaker (dialogue) alone is left to train on, so none can be held out.
        TrainingError: A row has no text of the column `fusion.hold_out_texts`.
    """
    train, column, texts = parts.train, config.fusion.hold_out_texts, None
    groups = [row.dialogue or row.speaker or row.id for row in rows.utterances]
    if config.split_by == "utterance" and len({groups[row] for row in train}) < 2:
        groups = [utterance.id for utterance in rows.utterances]
    if len({groups[row] for row in train}) < 2:
        raise SplitError(
            f"cross-fitting scores speakers (dialogues) with networks that did not train on them, but only "
            f"{groups[train[0]]!r} is left to train on; give recordings of more speakers, train speech and text alone, "
            "or let speakers be in train and dev with --set split_by=utterance"
        )
    if column:
        texts = [_text_name(utterance, column) for utterance in rows.utterances]
    return cross_fitting_folds(groups, texts, train, config.fusion.n_folds, config.seed)


def _text_name(utterance: Utterance, column: str) -> str:
    """What tells whether two rows say the same; a row without words says nothing that another one says."""
    cell = utterance.transcript if column == "transcript" else utterance.extra.get(column)
    if cell is None and column != "transcript":
        raise TrainingError(f"utterance '{utterance.id}' has no column '{column}', which fusion.hold_out_texts names")
    return comparable_text(cell or "") or f"\0{utterance.id}"


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
