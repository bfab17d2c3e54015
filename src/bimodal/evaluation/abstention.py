"""What abstaining below a threshold of confidence buys. The threshold is never chosen on the rows that are reported."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bimodal.arrays import Doubles, Integers
from bimodal.data.splits import speaker_folds
from bimodal.errors import BimodalError, ConfigError
from bimodal.evaluation import metrics
from bimodal.evaluation.figures import Estimate, Resampling, confusions_of, estimate, mean_estimate, ratio_estimate
from bimodal.evaluation.predictions import Predictions
from bimodal.evaluation.score_table import canonical

FOLDS: Final = 5  # of the cross-fitting
FEW_ROWS: Final = 20  # predicted as an emotion; with fewer, its threshold is that of all emotions
NO_ANSWER: Final = "no answer"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """When to abstain. One of the two is given.

    Attributes:
        coverage: Share of the utterances to answer, above 0 and at most 1.
        abstain_cost: What an abstention costs; None for a rule of coverage.
        wrong_costs: What a wrong answer costs, by the true emotion; 1 for those without an entry.
    """

    coverage: float | None = None
    abstain_cost: float | None = None
    wrong_costs: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse both, none, and numbers out of range."""
        if (self.coverage is None) == (self.abstain_cost is None):
            raise ConfigError("give either a coverage target or costs")
        if self.coverage is not None and not 0 < self.coverage <= 1:
            raise ConfigError(f"the coverage target is {self.coverage}, expected above 0 and at most 1, such as 0.8")

    def told(self) -> str:
        """The rule as a sentence.

        Example:
            >>> Rule(coverage=0.8).told()
            'answer 80 % of the utterances'
        """
        if self.coverage is not None:
            return f"answer {100 * self.coverage:g} % of the utterances"
        costs = ", ".join(f"{name} {cost:g}" for name, cost in self.wrong_costs.items())
        return f"least cost: {self.abstain_cost:g} to abstain, to be wrong 1{f' ({costs})' if costs else ''}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Abstention:
    """What a rule buys for one system.

    Attributes:
        system: Whose answers these are.
        rule: The rule as a sentence.
        chosen_on: Which rows the thresholds were chosen on.
        thresholds: Least confidence of an answer, by predicted emotion; one entry for each fold of the cross-fitting.
            None: never answered.
        rows: Utterances that the system has scores for.
        answered: Those that it answers under the rule.
        coverage: Share that it answers.
        error: Share of wrong ones among the answered.
        error_of_all: Share of wrong ones if it answers everything.
        uar: Unweighted average recall among the answered.
        cost: Mean cost of an utterance; None for a rule of coverage.
        cost_of_all: Mean cost if it answers everything; None likewise.
    """

    system: str
    rule: str
    chosen_on: str
    thresholds: tuple[Mapping[str, float | None], ...]
    rows: int
    answered: int
    coverage: Estimate
    error: Estimate
    error_of_all: Estimate
    uar: Estimate
    cost: Estimate | None = None
    cost_of_all: Estimate | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """Thresholds of one system.

    Attributes:
        each: Least confidence of an answer, (N,) for the rows that have scores.
        fitted: By fold and predicted emotion, (F, C).
        chosen_on: Which rows they were chosen on.
    """

    each: Doubles
    fitted: Doubles
    chosen_on: str


def read_costs(path: Path) -> Rule:
    """A rule from a TOML file: `abstain = 0.3`, and a table `[wrong]` of true emotions and costs.

    Raises:
        ConfigError: The file is missing, no TOML, or has another key or a cost that is no number of at least 0.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: the costs cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not a TOML file ({error})") from error
    wrong = content.get("wrong", {})
    if set(content) - {"abstain", "wrong"} or "abstain" not in content or not isinstance(wrong, dict):
        raise ConfigError(f"{path}: found {sorted(content)}, expected 'abstain = 0.3' and a table [wrong] of emotions")
    for name, cost in {"abstain": content["abstain"], **wrong}.items():
        if isinstance(cost, bool) or not isinstance(cost, int | float) or not 0 <= cost < float("inf"):
            raise ConfigError(f"{path}: {name} is {cost!r}, expected a cost of at least 0")
    return Rule(abstain_cost=float(content["abstain"]), wrong_costs={name: float(one) for name, one in wrong.items()})


def abstain(
    predictions: Predictions, rule: Rule, resampling: Resampling, held_out: Predictions | None = None, told: str = ""
) -> tuple[tuple[Abstention, ...], Predictions]:
    """What a rule buys, of each system with scores; and the predictions with a column `abstained_SYSTEM` of reasons.

    Args:
        predictions: The rows that are reported.
        rule: When to abstain.
        resampling: Of the intervals.
        held_out: Other rows of the same systems to choose the thresholds on. None: they are chosen for each fifth of
            the speakers (dialogues, utterances) on the other four.
        told: What the held-out rows are.

    Raises:
        BimodalError: There are no other rows, as all are of one speaker; or a cost is of an unknown emotion.
    """
    found, columns = [], {}
    for system in predictions.systems:
        columns[f"abstained_{system}"] = _unanswered(predictions, system)
        if predictions.labels_only(system) or not predictions.answered(system).any():
            continue
        chosen = choose_thresholds(predictions, system, rule, held_out, told)
        found.append(_abstention(predictions, system, rule, chosen, resampling))
        columns[f"abstained_{system}"] = _reasons(predictions, system, chosen)
    return tuple(found), replace(predictions, extra={**predictions.extra, **columns})


def choose_thresholds(
    predictions: Predictions, system: str, rule: Rule, held_out: Predictions | None = None, told: str = ""
) -> Thresholds:
    """Thresholds of a system for the rows that it has scores for; see `abstain`."""
    rows = predictions.answered(system)
    guesses = predictions.scores[system][rows].argmax(axis=1)
    if held_out is not None and system in held_out.scores and held_out.answered(system).any():
        where = _other_rows(predictions, held_out, told or "other rows")
        fitted = _by_name(_fit(held_out, system, held_out.answered(system), rule), held_out, predictions)
        return Thresholds(each=fitted[guesses], fitted=fitted[None], chosen_on=where)
    clusters = [predictions.clusters[row] for row in np.flatnonzero(rows)]
    if len(set(clusters)) < 2:
        raise BimodalError(
            f"there is one {predictions.cluster_name} only, so no threshold can be chosen on others; "
            "name a split of other rows with --threshold-split"
        )
    places = np.flatnonzero(rows)
    each, all_fitted = np.empty(len(places)), []
    folds = speaker_folds(clusters, min(FOLDS, len(set(clusters))))
    for fold in folds:
        mask = np.zeros(len(rows), np.bool_)
        mask[places[list(fold.train)]] = True
        all_fitted.append(_fit(predictions, system, mask, rule))
        each[list(fold.test)] = all_fitted[-1][guesses[list(fold.test)]]
    unit = predictions.cluster_name
    chosen_on = f"the other {unit}s, {len(folds)} folds (cross-fitting)"
    return Thresholds(each=each, fitted=np.stack(all_fitted), chosen_on=chosen_on)


def _other_rows(predictions: Predictions, held_out: Predictions, told: str) -> str:
    """What the held-out rows are, and whether they have speakers of the reported rows.

    Raises:
        BimodalError: They are reported rows themselves.
    """
    if shared := set(predictions.ids) & set(held_out.ids):
        raise BimodalError(
            f"{told}: {len(shared)} rows to choose thresholds on are reported, too, such as {min(shared)!r}; name a "
            "split of other rows"
        )
    same = set(predictions.clusters) & set(held_out.clusters)
    return f"{told}, with {len(same)} {predictions.cluster_name}s of the reported rows" if same else told


def _by_name(fitted: Doubles, held_out: Predictions, predictions: Predictions) -> Doubles:
    """Thresholds in the order of the reported emotions; for one that the held-out rows lack, the greatest."""
    known = dict(zip(held_out.emotions, fitted.tolist(), strict=True))
    return np.array([known.get(name, fitted.max()) for name in predictions.emotions])


def coverage_threshold(confidence: Doubles, coverage: float) -> float:
    """The greatest threshold under which at least a share of the rows is answered.

    Example:
        >>> coverage_threshold(np.array([0.9, 0.8, 0.7, 0.3]), 0.5)
        0.8
    """
    place = int(np.ceil(coverage * len(confidence) - 1e-9)) - 1
    return float(np.sort(confidence)[::-1][max(place, 0)])


def cost_threshold(confidence: Doubles, wrong: Doubles, abstain_cost: float) -> float:
    """The threshold of least total cost; infinite if it is cheapest to abstain always.

    Args:
        confidence: (N,).
        wrong: What each answer would cost, (N,): 0 for a right one.
        abstain_cost: What each abstention costs.

    Example:
        >>> cost_threshold(np.array([0.9, 0.8, 0.7, 0.3]), np.array([0.0, 0.0, 1.0, 1.0]), 0.3)
        0.8
    """
    levels, group = np.unique(confidence, return_inverse=True)
    gains = np.bincount(group, weights=wrong - abstain_cost)[::-1].cumsum()  # of answering from the top down
    best = int(gains.argmin())
    return float(levels[::-1][best]) if gains[best] < 0 else float("inf")


def _fit(predictions: Predictions, system: str, rows: NDArray[np.bool_], rule: Rule) -> Doubles:
    """Thresholds by predicted emotion, (C,), from some rows."""
    scores, targets = predictions.scores[system][rows], predictions.targets[rows]
    confidence, guesses = scores.max(axis=1), scores.argmax(axis=1)
    count = scores.shape[1]
    if rule.coverage is not None:
        return np.full(count, coverage_threshold(confidence, rule.coverage))
    wrong = np.where(guesses == targets, 0.0, _costs(predictions, rule)[targets])
    cost = float(rule.abstain_cost or 0.0)
    thresholds = np.full(count, cost_threshold(confidence, wrong, cost))
    for emotion in range(count):
        here = guesses == emotion
        if here.sum() >= FEW_ROWS:
            thresholds[emotion] = cost_threshold(confidence[here], wrong[here], cost)
    return thresholds


def _costs(predictions: Predictions, rule: Rule) -> Doubles:
    """What a wrong answer costs by true emotion, (C,)."""
    given = {canonical(name): cost for name, cost in rule.wrong_costs.items()}
    if unknown := [name for name in rule.wrong_costs if canonical(name) not in map(canonical, predictions.emotions)]:
        raise ConfigError(f"costs of {unknown[0]!r}, expected emotions of {list(predictions.emotions)}")
    return np.array([given.get(canonical(name), 1.0) for name in predictions.emotions])


def _abstention(
    predictions: Predictions, system: str, rule: Rule, chosen: Thresholds, resampling: Resampling
) -> Abstention:
    rows = predictions.answered(system)
    places = np.flatnonzero(rows)
    scores, targets = predictions.scores[system][places], predictions.targets[places]
    clusters = [predictions.clusters[row] for row in places]
    answered: NDArray[np.bool_] = scores.max(axis=1) >= chosen.each
    wrong = (scores.argmax(axis=1) != targets).astype(np.float64)
    kept = rows.copy()
    kept[places] = answered
    return Abstention(
        system=system,
        rule=rule.told(),
        chosen_on=chosen.chosen_on,
        thresholds=tuple(_named(row, predictions.emotions) for row in chosen.fitted),
        rows=len(places),
        answered=int(answered.sum()),
        coverage=mean_estimate(answered.astype(np.float64), clusters, resampling),
        error=ratio_estimate(wrong * answered, answered.astype(np.float64), clusters, resampling),
        error_of_all=mean_estimate(wrong, clusters, resampling),
        uar=_uar(predictions, system, kept, resampling),
        **_mean_costs(rule, _costs(predictions, rule)[targets] * wrong, answered, clusters, resampling),
    )


def _uar(predictions: Predictions, system: str, kept: NDArray[np.bool_], resampling: Resampling) -> Estimate:
    if not kept.any():
        return Estimate(value=None)
    return estimate(confusions_of(predictions, system, kept), metrics.unweighted_average_recall, resampling)


def _mean_costs(
    rule: Rule, wrong: Doubles, answered: NDArray[np.bool_], clusters: Sequence[str], resampling: Resampling
) -> dict[str, Any]:
    if rule.abstain_cost is None:
        return {}
    return {
        "cost": mean_estimate(np.where(answered, wrong, rule.abstain_cost), clusters, resampling),
        "cost_of_all": mean_estimate(wrong, clusters, resampling),
    }


def _named(thresholds: Doubles, emotions: Sequence[str]) -> dict[str, float | None]:
    """Thresholds by emotion, infinite ones as None, which JSON knows."""
    return {
        name: float(one) if np.isfinite(one) else None for name, one in zip(emotions, thresholds.tolist(), strict=True)
    }


def _unanswered(predictions: Predictions, system: str) -> tuple[str | None, ...]:
    """Why a system has no scores for a row, as far as it is known; None where it has."""
    given = predictions.extra.get(f"abstained_{system}", (None,) * len(predictions.ids))
    return tuple(
        None if answered else reason or NO_ANSWER
        for answered, reason in zip(predictions.answered(system), given, strict=True)
    )


def _reasons(predictions: Predictions, system: str, chosen: Thresholds) -> tuple[str | None, ...]:
    """Why a system abstains from each row; None where it answers."""
    reasons = list(_unanswered(predictions, system))
    places: Integers = np.flatnonzero(predictions.answered(system))
    for row, threshold in zip(places.tolist(), chosen.each.tolist(), strict=True):
        confidence = float(predictions.scores[system][row].max())
        below = f"confidence {confidence:.4f} below {threshold:.4f}"
        reasons[row] = below if confidence < threshold else None
    return tuple(reasons)
