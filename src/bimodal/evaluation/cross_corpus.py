"""Cross-corpus evaluation: train on each corpus and test on each other one, in every direction, and all but one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bimodal.config import TrainConfig
from bimodal.data.similar_texts import text_overlaps
from bimodal.data.splits import Fold, speaker_folds
from bimodal.errors import SplitError
from bimodal.evaluation.corpora import Corpora, LabelMap, describe_labels
from bimodal.evaluation.fold_store import fold_key, load_fold, run_folder, save_fold
from bimodal.evaluation.plan import Plan, with_dev
from bimodal.evaluation.predict import Progress, plain
from bimodal.evaluation.predictions import Predictions, concatenate
from bimodal.evaluation.protocols import predict_rows, train_fold
from bimodal.evaluation.report import Report, evaluate
from bimodal.features.cache import FeatureCache

if TYPE_CHECKING:  # torch, which the evaluation of a model does not need
    from bimodal.training.prepare import Prepared

WITHIN: Final = "within"
"""Kind of a cell whose corpus is tested by folds of its own speakers."""

ACROSS: Final = "across"
ALL_BUT_ONE: Final = "all but one"
INNER_FOLDS: Final = 5


@dataclass(frozen=True, kw_only=True)
class CellPlan:
    """One cell of the table before it is computed.

    Attributes:
        train: Corpora to train on, as the table names them.
        test: Corpus to test on.
        kind: `within`, `across` or `all but one`.
        folds: One, or the inner folds of a corpus.
    """

    train: str
    test: str
    kind: str
    folds: tuple[Fold, ...]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of the table.

    Attributes:
        train: As in `CellPlan`.
        test: As in `CellPlan`.
        kind: As in `CellPlan`.
        report: All systems side by side, with intervals.
    """

    train: str
    test: str
    kind: str
    report: Report


@dataclass(frozen=True, kw_only=True)
class CrossCorpus:
    """Result of a cross-corpus evaluation; written as `cross_corpus.json`.

    Attributes:
        cells: In the order of the table.
        labels: What became of the labels.
        notes: Sentences that help to read the table.
        caveat: Sentence for the first lines; empty for none.
        schema: Version of this record.
    """

    cells: tuple[Cell, ...]
    labels: LabelMap
    notes: tuple[str, ...]
    caveat: str = ""
    schema: int = 1


def plan_cells(corpora: Corpora, config: TrainConfig, inner: int = INNER_FOLDS) -> tuple[CellPlan, ...]:
    """All cells: each corpus by its own folds, each to each other, and all others together to each.

    Args:
        corpora: Two or more.
        config: Settings.
        inner: Folds of speakers within a corpus; fewer where it has fewer speakers.

    Raises:
        SplitError: A corpus cannot be divided.
    """
    cells = []
    for train in corpora.names:
        own = corpora.places[train]
        for test in corpora.names:
            if test == train:
                cells.append(CellPlan(train=train, test=test, kind=WITHIN, folds=_inner(corpora, train, config, inner)))
            else:
                fold = Fold(name=f"{train} > {test}", train=own, test=corpora.places[test])
                cells.append(_cell(corpora, config, train, test, ACROSS, fold))
    if len(corpora.names) > 2:
        for test in corpora.names:
            others = tuple(row for name in corpora.names if name != test for row in corpora.places[name])
            fold = Fold(name=f"all but {test}", train=others, test=corpora.places[test])
            cells.append(_cell(corpora, config, f"all but {test}", test, ALL_BUT_ONE, fold))
    return tuple(cells)


def _cell(corpora: Corpora, config: TrainConfig, train: str, test: str, kind: str, fold: Fold) -> CellPlan:
    return CellPlan(train=train, test=test, kind=kind, folds=(with_dev(corpora.rows, fold, config),))


def _inner(corpora: Corpora, name: str, config: TrainConfig, count: int) -> tuple[Fold, ...]:
    """Folds of a corpus's own speakers."""
    own = corpora.places[name]
    speakers = [corpora.rows.utterances[row].speaker for row in own]
    try:
        folds = speaker_folds(speakers, min(count, max(2, len(set(speakers)))), seed=config.seed)
    except SplitError as error:
        raise SplitError(f"{name}: {error}") from error
    return tuple(
        with_dev(
            corpora.rows,
            Fold(
                name=f"{name} {fold.name}",
                train=tuple(own[row] for row in fold.train),
                test=tuple(own[row] for row in fold.test),
            ),
            config,
        )
        for fold in folds
    )


def plan_of(corpora: Corpora, cells: Sequence[CellPlan], config: TrainConfig) -> Plan:
    """The trainings of all cells, as an estimate of time and disk takes them."""
    folds = tuple(fold for cell in cells for fold in cell.folds)
    return Plan(
        rows=corpora.rows,
        folder=corpora.folder,
        folds=folds,
        protocol="cross-corpus",
        config=config,
        notes=corpora.notes,
    )


def evaluate_corpora(
    corpora: Corpora,
    cells: Sequence[CellPlan],
    config: TrainConfig,
    cache: str | Path | None,
    *,
    store: Path | None = None,
    cluster: str = "speaker",
    progress: Progress = plain,
) -> tuple[CrossCorpus, tuple[Predictions, ...]]:
    """Train and test all cells.

    Args:
        corpora: The rows.
        cells: From `plan_cells`.
        config: Settings.
        cache: Folder of the feature cache; None keeps features in memory.
        store: Folder of finished cells, from which an interrupted call continues; None keeps none.
        cluster: Unit of the intervals.
        progress: Wraps iterables with a bar.

    Returns:
        The result, and the predictions of each cell.

    Raises:
        BimodalError: A problem with a recording or the data.
    """
    from bimodal.training.prepare import (
        prepare_modalities,
    )  # imports torch, which the evaluation of a model does without

    with FeatureCache(cache) as features:
        prepared = prepare_modalities(corpora.rows, corpora.folder, config, features, progress)
    found = _all_folds(prepared, cells, config, store, cluster, progress)
    pooled = tuple(concatenate(*(found[fold.name] for fold in cell.folds)) for cell in cells)
    results = tuple(
        Cell(
            train=cell.train, test=cell.test, kind=cell.kind, report=evaluate(one, title=f"{cell.train} > {cell.test}")
        )
        for cell, one in zip(cells, pooled, strict=True)
    )
    return CrossCorpus(
        cells=results, labels=corpora.labels, notes=_notes(corpora, cells), caveat=corpora.caveat
    ), pooled


def _all_folds(
    prepared: "Prepared",
    cells: Sequence[CellPlan],
    config: TrainConfig,
    store: Path | None,
    cluster: str,
    progress: Progress,
) -> dict[str, Predictions]:
    """Predictions by fold. What trains on the same rows is trained once."""
    trainings: dict[tuple[int, ...], list[Fold]] = {}
    for cell in cells:
        for fold in cell.folds:
            trainings.setdefault(fold.train, []).append(fold)
    found: dict[str, Predictions] = {}
    for folds in progress(list(trainings.values()), "trainings"):
        found |= _one_training(prepared, folds, config, store, cluster)
    return found


def _one_training(
    prepared: "Prepared", folds: Sequence[Fold], config: TrainConfig, store: Path | None, cluster: str
) -> dict[str, Predictions]:
    """Predictions of folds that train on the same rows; finished ones come from the store."""
    keys = {fold.name: fold_key(prepared, fold, config, cluster) for fold in folds}
    loaded = {name: None if store is None else load_fold(store, key) for name, key in keys.items()}
    found = {name: one for name, one in loaded.items() if one is not None}
    missing = [fold for fold in folds if fold.name not in found]
    if missing:
        run = None if store is None else run_folder(store, keys[folds[0].name])
        trained, parts = train_fold(prepared, folds[0], config, run)
        for number, fold in enumerate(missing, start=1):
            found[fold.name] = predict_rows(trained, prepared, parts, fold.test, cluster)
            if store is not None:
                done = keys[folds[0].name] if number == len(missing) else ""
                save_fold(store, keys[fold.name], found[fold.name], run=done)
    return found


def _notes(corpora: Corpora, cells: Sequence[CellPlan]) -> tuple[str, ...]:
    within = {cell.train: len(cell.folds) for cell in cells if cell.kind == WITHIN}
    many = ", ".join(f"{name} {count}" for name, count in within.items())
    return (
        f"A corpus tested on itself: folds of its own speakers ({many}). All other cells test on all its rows.",
        "No row of a test corpus trained or chose anything; the dev part comes from the training corpora.",
        *describe_labels(corpora.labels),
        *corpora.notes,
        *(sentence for cell in cells if cell.kind == WITHIN for sentence in _own_texts(corpora, cell)),
    )


def _own_texts(corpora: Corpora, cell: CellPlan) -> list[str]:
    """A sentence on texts that the folds of a corpus share."""
    equal, _ = text_overlaps([row.transcript for row in corpora.rows.utterances], cell.folds)
    shown = replace(equal, what=f"{cell.test}, folds of its own speakers: {equal.what}", unknown_rows=0)
    return [str(shown)] if equal.shared else []


def mean_across(cells: Sequence[Cell], metric: str = "uar") -> Mapping[str, float]:
    """Mean of a metric over the cells that test on another corpus than they train on, by system."""
    across = [cell for cell in cells if cell.kind == ACROSS]
    values: dict[str, list[float]] = {}
    for cell in across:
        for system in cell.report.systems:
            value = system.metrics[metric].value
            values.setdefault(system.system, []).extend([] if value is None else [value])
    return {system: sum(found) / len(found) for system, found in values.items() if len(found) == len(across)}
