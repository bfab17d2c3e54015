"""What a search will do: outer folds that are reported, inner folds that choose, and how long it takes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec

from bimodal.config import TrainConfig
from bimodal.data.folds import make_folds
from bimodal.data.manifest import ManifestSource
from bimodal.data.splits import Fold
from bimodal.errors import SplitError
from bimodal.evaluation.estimate import describe_seconds, estimate_plan
from bimodal.evaluation.plan import Plan, plan_folds, with_dev
from bimodal.evaluation.protocols import check_untouched
from bimodal.evaluation.search.space import Dimension, read_space, value_of, with_values
from bimodal.features.cache import cache_key
from bimodal.records import digested
from bimodal.training.rows import LabelledRows

ALL: Final = "all"
"""Name of the study on all rows, which chooses the settings that are written down."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """One search: trials on inner folds.

    Attributes:
        name: Of the outer fold, or `ALL`.
        inner: Folds of the rows that may choose; no speaker is in train and test of one.
        outer: The fold that is reported; None for the study on all rows.
    """

    name: str
    inner: tuple[Fold, ...]
    outer: Fold | None

    @property
    def rows(self) -> list[int]:
        """The rows that choose."""
        return sorted({row for fold in self.inner for row in (*fold.train, *(fold.dev or ()), *fold.test)})


@dataclass(frozen=True, kw_only=True)
class SearchPlan:
    """A search before it begins.

    Attributes:
        outer: Rows, outer folds, settings that the search starts from.
        space: What is tried.
        studies: One for each outer fold; of several, also one on all rows, the last.
        cluster: Unit of the intervals.
    """

    outer: Plan
    space: tuple[Dimension, ...]
    studies: tuple[Study, ...]
    cluster: str = "speaker"

    @property
    def key(self) -> str:
        """Digest of all that decides the trials; the number of trials may grow."""
        config = replace(self.outer.config, name="", licence="", trained_on="", threads=0)
        rows = hashlib.sha256(msgspec.json.encode(self.outer.rows.utterances) + self.outer.rows.targets.tobytes())
        folds = [(one.name, one.inner, one.outer) for one in self.studies]
        return cache_key(msgspec.json.encode(digested(config)), rows.hexdigest(), self.space, folds, self.cluster)


def plan_search(
    manifest: ManifestSource,
    config: TrainConfig,
    space: Path | None,
    *,
    folds: str = "5",
    inner: int = 3,
    allow_overlap: str = "",
    cluster: str = "speaker",
) -> SearchPlan:
    """Divide a manifest into outer folds, and the training rows of each into inner folds of whole speakers.

    Args:
        manifest: CSV or JSON Lines.
        config: Settings that the search starts from.
        space: TOML file of the space; None for the default space.
        folds: Outer folds, see `bimodal.data.folds.PROTOCOLS`.
        inner: Number of inner folds, at least 2.
        allow_overlap: As in `plan_folds`, for the outer folds.
        cluster: Unit of the intervals: speaker, dialogue or utterance.

    Raises:
        BimodalError: A problem with the manifest, the folds or the space.
    """
    outer = plan_folds(manifest, folds, config, allow_overlap)
    chosen = read_space(space, config, trained_parts(outer.rows, outer.config))
    studies = [_study(outer, fold, inner) for fold in outer.folds]
    if len(studies) > 1:
        everything = sorted({row for fold in outer.folds for row in (*fold.train, *(fold.dev or ()), *fold.test)})
        studies.append(Study(name=ALL, inner=_inner_folds(outer, everything, inner, ALL), outer=None))
    return SearchPlan(outer=outer, space=chosen, studies=tuple(studies), cluster=cluster)


def trained_parts(rows: LabelledRows, config: TrainConfig) -> list[str]:
    """The stages that the rows allow: those of the modalities that some row has, and the fusion of both."""
    has_speech = bool(config.speech.columns) or any(row.path for row in rows.utterances)
    has_text = any(row.transcript for row in rows.utterances)
    return ["speech"] * has_speech + ["text"] * has_text + ["fusion"] * (has_speech and has_text)


def _study(outer: Plan, fold: Fold, count: int) -> Study:
    rows = sorted({*fold.train, *(fold.dev or ())})
    study = Study(name=fold.name, inner=_inner_folds(outer, rows, count, fold.name), outer=fold)
    check_untouched({"choice of settings": study.rows}, fold.test, f"outer fold {fold.name}")
    return study


def _inner_folds(outer: Plan, rows: Sequence[int], count: int, name: str) -> tuple[Fold, ...]:
    """Folds of whole speakers of some rows, with their dev parts."""
    part = outer.rows.subset(rows)
    try:
        folds = make_folds(str(count), part.utterances, part.names(range(len(rows))), seed=outer.config.seed)
        found = [
            Fold(
                name=f"{name}.{fold.name}",
                train=tuple(rows[place] for place in fold.train),
                test=tuple(rows[place] for place in fold.test),
            )
            for fold in folds
        ]
        return tuple(with_dev(outer.rows, fold, outer.config) for fold in found)
    except SplitError as error:
        raise SplitError(f"inner folds of outer fold {name!r}: {error}; set --inner or --folds") from error


def feature_settings(plan: SearchPlan) -> list[TrainConfig]:
    """Settings under which features must be encoded before the trials: as they are, and for each choice of features."""
    config, found = plan.outer.config, [plan.outer.config]
    for one in plan.space:
        if one.name in ("speech_backbone", "text_backbone", "speech.augmentations", "speech.tta"):
            found += [with_values(config, {one.name: value}) for value in one.choices if value != one.default]
    return found


def estimate_search(plan: SearchPlan, trials: Sequence[int], cache: Path | None) -> list[str]:
    """Sentences on how long a search takes at most, from the first clips and one epoch of each network.

    Args:
        plan: What will be done.
        trials: Trials that are left, of each study.
        cache: Folder of the feature cache; None in memory.

    Raises:
        BimodalError: A problem with a recording, a backbone or the data, as it would occur later.
    """
    first = plan.studies[0]
    views = {view for one in feature_settings(plan) for view in value_of(one, "speech.augmentations")}
    config = with_values(plan.outer.config, {"speech.augmentations": sorted(views)})
    found = estimate_plan(replace(plan.outer, folds=first.inner, config=config), cache, None, plan.cluster)
    each = found.training_seconds / max(1, found.folds)
    count = sum(left * len(study.inner) for left, study in zip(trials, plan.studies, strict=True))
    count += 2 * sum(study.outer is not None for study in plan.studies)
    parts = [f"{count} trainings of about {describe_seconds(each)}"]
    if found.missing:
        parts.insert(0, f"{describe_seconds(found.feature_seconds)} for features of {found.missing:,} inputs")
    total = describe_seconds(found.feature_seconds + count * each)
    basis = "measured on the first clips and one epoch on this machine"
    pruned = "pruned trials take less, and settings that make networks larger take more"
    return [f"estimate: about {total} ({', '.join(parts)}), {basis}; {pruned}"]
