"""What a cross-validation will do: rows, folds with their dev parts, what the parts share. Nothing is trained here."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bimodal.config import TrainConfig
from bimodal.data.folds import make_folds
from bimodal.data.leaks import Pair, crossing_pairs, describe_leak, repeated_rows, same_recordings
from bimodal.data.manifest import ManifestSource, open_manifest
from bimodal.data.similar_texts import text_overlaps
from bimodal.data.split_files import SPLITS_FILE, write_splits
from bimodal.data.splits import Fold, Overlap, inner_dev, one_speaker
from bimodal.errors import BimodalError, SplitError
from bimodal.evaluation.predict import Notes, really_paired
from bimodal.inference.model_folder import LABEL_MATCHED, NO_EVIDENCE
from bimodal.records import Utterance
from bimodal.training.rows import LabelledRows, label_rows


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A cross-validation before it begins.

    Attributes:
        rows: The labelled utterances.
        folder: Folder that their paths are relative to.
        folds: With their dev parts.
        protocol: What stood behind `--folds`.
        config: Settings; with the accepted overlap as `official_split`.
        notes: Sentences for the report.
        caveat: Sentence for the first lines of the report: what train and test share; empty if nothing.
    """

    rows: LabelledRows
    folder: Path
    folds: tuple[Fold, ...]
    protocol: str
    config: TrainConfig
    notes: Notes
    caveat: str = ""


def plan_folds(manifest: ManifestSource, folds: str, config: TrainConfig, allow_overlap: str = "") -> Plan:
    """Label the rows, divide them, take each fold's dev part from its training part, and look for what leaks.

    Args:
        manifest: CSV or JSON Lines.
        folds: See `bimodal.data.folds.PROTOCOLS`.
        config: Settings.
        allow_overlap: Name under which speakers and recordings may be in train and test; empty refuses them.

    Raises:
        BimodalError: A problem with the manifest or the folds, or an overlap that no name allows.
    """
    read = open_manifest(manifest)
    config = replace(config, official_split=allow_overlap or config.official_split)
    notes: list[str] = [NO_EVIDENCE] if config.fusion.pairing == LABEL_MATCHED else []
    utterances = really_paired(read.utterances, notes)
    rows = label_rows(utterances, config.vocabulary, multiple_labels=config.multiple_labels)
    emotions = rows.names(range(len(rows.utterances)))
    chosen = make_folds(folds, rows.utterances, emotions, read.utterances, config.seed)
    caveats = [*_check_speakers(rows.utterances, chosen, config), *_check_recordings(rows, chosen, read.folder, config)]
    nested = tuple(with_dev(rows, fold, config) for fold in chosen)
    return Plan(
        rows=rows,
        folder=read.folder,
        folds=nested,
        protocol=folds,
        config=config,
        notes=(_told(folds, nested, config), *_described(rows, nested), *notes),
        caveat=f"WARNING: {'; '.join(caveats)}." if caveats else "",
    )


def save_plan(plan: Plan, out: Path) -> None:
    """Write the folds as `splits.json`, which `--folds` takes again.

    Raises:
        BimodalError: The folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        ids = [utterance.id for utterance in plan.rows.utterances]
        write_splits(out / SPLITS_FILE, plan.folds, ids, plan.protocol, plan.config.seed)
    except OSError as error:
        raise BimodalError(f"{out}: the splits cannot be written ({error.strerror})") from error


def with_dev(rows: LabelledRows, fold: Fold, config: TrainConfig) -> Fold:
    """The fold with its dev part; where it has none, it is taken from the training part. None if `dev_share` is 0.

    Raises:
        SplitError: No dev speakers can be held out.
    """
    if fold.dev is not None:
        return fold
    if not config.dev_share:
        return replace(fold, dev=())
    try:
        held = inner_dev(
            [rows.utterances[row].speaker for row in fold.train],
            rows.names(fold.train),
            share=config.dev_share,
            seed=config.seed,
            by=config.split_by,
        )
    except SplitError as error:
        raise SplitError(f"fold {fold.name!r}, dev part: {error}") from error
    dev = tuple(fold.train[place] for place in held)
    return replace(fold, train=tuple(sorted(set(fold.train) - set(dev))), dev=dev)


def _check_speakers(utterances: Sequence[Utterance], folds: Sequence[Fold], config: TrainConfig) -> list[str]:
    """Sentences on speakers in train and test, and on rows whose speaker is unknown.

    Raises:
        SplitError: Speakers overlap, and no name allows it.
    """
    speakers = [utterance.speaker for utterance in utterances]
    allowed = config.official_split or ("split_by=utterance" if config.split_by == "utterance" else None)
    if len(set(speakers)) == 1 and all(speakers) and not allowed:
        raise SplitError(one_speaker({speaker for speaker in speakers if speaker}))
    found = fold_overlap(speakers, folds, "speakers in train and test", allowed)
    if found.shared and allowed is None:
        raise SplitError(
            f"{found}: a model that knows the test speakers looks better than it is; keep them apart (--folds loso, a "
            "number, script+speaker), or accept it under a name that the report repeats: --allow-overlap NAME"
        )
    if found.shared:
        return [f"{found}; expect less on new speakers"]
    unknown = (
        f"{found.unknown_rows} of {len(utterances)} rows have no speaker: whether train and test share any is unknown"
    )
    return [unknown] if found.unknown_rows else []


def fold_overlap(values: Sequence[str | None], folds: Sequence[Fold], what: str, allowed: str | None = None) -> Overlap:
    """What the folds' test parts share with their own training and dev parts.

    Args:
        values: One per utterance, such as its speaker; None if unknown.
        folds: Of these utterances.
        what: For example `speakers in train and test`.
        allowed: Name under which the overlap is accepted.

    Example:
        >>> folds = [Fold(name="1", train=(0,), test=(1, 2))]
        >>> fold_overlap(["ann", "ann", "bob"], folds, "speakers in train and test").share_of_rows
        0.5
    """
    shared, rows = set[str | None](), 0
    for fold in folds:
        trained = {values[row] for row in (*fold.train, *(fold.dev or ()))} - {None}
        found = [values[row] for row in fold.test if values[row] in trained]
        shared |= set(found)
        rows += len(found)
    tested = sum(len(fold.test) for fold in folds)
    return Overlap(
        what=what,
        shared=len(shared),
        share_of_rows=rows / max(1, tested),
        unknown_rows=sum(value is None for value in values),
        allowed=allowed if shared else None,
    )


def _check_recordings(rows: LabelledRows, folds: Sequence[Fold], folder: Path, config: TrainConfig) -> list[str]:
    """Sentences on recordings that are in train and test, by whatever path.

    Raises:
        SplitError: There are such recordings, and no name allows it.
    """
    files = [folder / row.path if row.path else None for row in rows.utterances]
    numbers = same_recordings([file for file in files if file is not None])
    pairs = repeated_rows(rows.utterances, [None if file is None else numbers[file] for file in files])
    crossing = [pair for fold in folds for pair in _crossing(pairs, fold, len(files))]
    if not crossing:
        return []
    told = describe_leak("train", "test", crossing, rows.utterances)
    if not config.official_split:
        raise SplitError(
            f"{told}: a model would be tested on what it learnt from; 'bimodal check' names the rows: take them out of "
            "one part, or accept it under a name that the report repeats: --allow-overlap NAME"
        )
    return [f"{told}; accepted as the official split {config.official_split!r}"]


def _crossing(pairs: Sequence[Pair], fold: Fold, count: int) -> list[Pair]:
    """The pairs of equal recordings of which the fold tests one and learns from the other."""
    if not pairs:
        return []
    parts: list[str | None] = [None] * count
    for name, chosen in (("train", (*fold.train, *(fold.dev or ()))), ("test", fold.test)):
        for row in chosen:
            parts[row] = name
    return list(crossing_pairs(pairs, parts).get(("train", "test"), []))


def _told(folds: str, chosen: Sequence[Fold], config: TrainConfig) -> str:
    """How the rows were divided."""
    dev = "each fold's dev part comes from its training part" if any(fold.dev for fold in chosen) else "no dev part"
    many = f"{len(chosen)} folds" if len(chosen) > 1 else "1 fold"
    return f"{many} ({folds}), seed {config.seed}; {dev}; no tested row chose anything"


def _described(rows: LabelledRows, folds: Sequence[Fold]) -> list[str]:
    """What else a reader of the report should know of the rows."""
    notes = [f"{count} rows left out: {reason}" for reason, count in rows.dropped.items()]
    tested = [row for fold in folds for row in fold.test]
    if several := len(tested) - len(rows.single(tested)):
        notes.append(f"{several} rows with several labels are used for training (soft targets), not for testing")
    unused = [len(rows.utterances) - len({*fold.train, *(fold.dev or ()), *fold.test}) for fold in folds]
    if any(unused):
        mean = sum(unused) / len(unused)
        notes.append(f"{mean:.0f} rows on average are in no part of a fold, {max(unused)} at most")
    words = [utterance.transcript for utterance in rows.utterances]
    equal = text_overlaps(words, folds) if any(words) else ()
    return [*notes, *(str(found) for place, found in enumerate(equal) if found.shared or place == 0)]
