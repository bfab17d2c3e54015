"""Consistency: do related clips get the answer that their relation lets one expect?

Each emotion is answered by its own name more often than by any other. Takes of a sentence by the same speaker agree
more than clips of that emotion in general. A strong emotion is recognised at least as well as a weak one. Scores of an
emotion are alike over sentences. Thresholds are simulated from the number of clips.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final

import numpy as np

from bimodal.arrays import Doubles, Integers, ratio
from bimodal.data.text import normalise_transcript
from bimodal.evaluation.metrics import recall_per_class
from bimodal.evaluation.model_tests.records import (
    LEAST_CLIPS,
    Material,
    Outcome,
    TestOptions,
    answers,
    judged,
    skipped,
)
from bimodal.evaluation.model_tests.thresholds import LEVEL, agreement_of_random, fair_thresholds, group_confusions

CATEGORY: Final = "consistency"
MOST_PAIRS: Final = 20_000  # more are drawn from at random: the share hardly changes, the time does
MOST_TEXTS: Final = 60
AGREEMENT_RUNS: Final = 500
AGREEMENT_LEVEL: Final = 0.95
STRONG: Final = ("strong", "high", "hi")
WEAK: Final = ("normal", "weak", "low", "lo")
_INTENSITY: Final = ("intensity", "level")
_CORPUS: Final = ("corpus", "dataset")


def check_consistency(material: Material, system: str, options: TestOptions) -> list[Outcome]:
    """All tests of consistency of one system, on the clips that it answered."""
    rows = np.flatnonzero(material.predictions.answered(system))
    if not len(rows):
        return [skipped(CATEGORY, "expected emotion", "", f"{system} answered no clip")]
    told = answers(material.predictions.scores[system][rows])
    return [
        *_expected(material, rows, told),
        _takes(material, rows, told, options),
        *_intensity(material, rows, told, options),
        *_texts(material, system, rows, options),
    ]


def _expected(material: Material, rows: Integers, told: Integers) -> Iterator[Outcome]:
    """Whether the most frequent answer to each emotion is its own name, in each corpus."""
    corpora = next((cells for name in _CORPUS if any(cells := material.column(name))), [""] * len(material.utterances))
    names, targets = material.predictions.emotions, material.targets[rows]
    listed = sorted({corpora[row] or "" for row in rows})
    groups = np.array([listed.index(corpora[row] or "") for row in rows])
    for corpus, matrix in zip(listed, group_confusions(targets, told, groups, len(names)), strict=True):
        for emotion, counts in enumerate(matrix):
            case = f"{names[emotion]}, {corpus}" if corpus else names[emotion]
            clips = int(counts.sum())
            if clips < LEAST_CLIPS:
                reason = f"too few clips: {clips}, at least {LEAST_CLIPS}" if clips else "no clip has this label"
                yield skipped(CATEGORY, "expected emotion", case, reason, clips)
            else:
                yield _one_expected(case, emotion, counts, names)


def _one_expected(case: str, emotion: int, counts: Integers, names: tuple[str, ...]) -> Outcome:
    """How much more often clips get the expected answer than the most frequent other one."""
    clips, others = int(counts.sum()), np.delete(counts, emotion)
    rival = np.delete(np.array(names), emotion)[others.argmax()]
    return judged(
        CATEGORY,
        "expected emotion",
        case,
        float((counts[emotion] - others.max()) / clips),
        0.0,
        sentence=f"{counts[emotion]} of {clips} clips are answered {names[emotion]}, {others.max()} {rival}; expected "
        f"{names[emotion]} most often.",
        clips=clips,
        source="the definition of the emotion: no number is chosen",
    )


def _takes(material: Material, rows: Integers, told: Integers, options: TestOptions) -> Outcome:
    """Whether takes of a sentence by a speaker with one emotion get the same answer more often than by chance."""
    kinds: list[Hashable] = []
    intensity = _intensities(material)
    for row in rows:
        one = material.utterances[row]
        words = normalise_transcript(one.transcript)
        known = words is not None and one.speaker is not None
        kinds.append((one.speaker, words, int(material.targets[row]), intensity[row]) if known else None)
    pairs, test = same_kind(kinds, options.seed), "takes of the same sentence"
    if len(pairs) < LEAST_CLIPS:
        reason = f"{len(pairs)} pairs of clips share speaker, words and emotion, at least {LEAST_CLIPS} are needed"
        return skipped(CATEGORY, test, "", reason, len(pairs))
    targets, emotions = material.targets[rows], len(material.predictions.emotions)
    matrix = group_confusions(targets, told, np.zeros(len(rows), np.int64), emotions)[0]
    shares = np.nan_to_num(ratio(matrix, matrix.sum(axis=1, keepdims=True)))
    limit = agreement_of_random(targets, shares, pairs, runs=AGREEMENT_RUNS, seed=options.seed, level=AGREEMENT_LEVEL)
    value = float((told[pairs[:, 0]] == told[pairs[:, 1]]).mean())
    return judged(
        CATEGORY,
        test,
        "",
        value,
        limit,
        sentence=f"{_percent(value)} of {len(pairs)} pairs of takes (same speaker, words and emotion) get the same "
        f"answer; a model that looks at the emotion alone stays below {_percent(limit)}.",
        clips=len(pairs),
        source=f"{AGREEMENT_RUNS} random models, quantile {AGREEMENT_LEVEL:g}, seed {options.seed}",
    )


def same_kind(kinds: Sequence[Hashable], seed: int) -> Integers:
    """All pairs of positions whose kinds are equal and not None, (P, 2); at most `MOST_PAIRS`, drawn at random.

    Example:
        >>> same_kind(["a", "b", "a", None, None], 0).tolist()
        [[0, 2]]
    """
    places: dict[Hashable, list[int]] = {}
    for place, kind in enumerate(kinds):
        if kind is not None:
            places.setdefault(kind, []).append(place)
    pairs = np.array([pair for alike in places.values() for pair in combinations(alike, 2)], np.int64).reshape(-1, 2)
    if len(pairs) <= MOST_PAIRS:
        return pairs
    return pairs[np.sort(np.random.default_rng(seed).choice(len(pairs), MOST_PAIRS, replace=False))]


def _intensities(material: Material) -> list[str | None]:
    """`strong`, `weak`, another word of the column, or None."""
    cells = next((cells for name in _INTENSITY if any(cells := material.column(name))), None)
    if cells is None:
        return [None] * len(material.utterances)
    known: Mapping[str, str] = dict.fromkeys(STRONG, "strong") | dict.fromkeys(WEAK, "weak")
    return [None if word is None else known.get(word.casefold(), word) for word in cells]


def _intensity(material: Material, rows: Integers, told: Integers, options: TestOptions) -> Iterator[Outcome]:
    """Whether strong emotions are recognised at least as well as weak ones."""
    cells, test = _intensities(material), "strong emotion"
    if not {"strong", "weak"} <= {cells[row] for row in rows}:
        yield skipped(CATEGORY, test, "", "no column intensity with strong and normal (or low) clips")
        return
    names = material.predictions.emotions
    chosen = np.array([cells[row] in ("strong", "weak") for row in rows])
    groups = np.array([int(cells[row] == "strong") for row in rows])[chosen]
    confusions = group_confusions(material.targets[rows][chosen], told[chosen], groups, len(names))
    spread = _spread(confusions, options)
    recall, clips = recall_per_class(confusions), confusions.sum(axis=-1)
    for emotion, name in enumerate(names):
        if clips[:, emotion].min() < LEAST_CLIPS:
            counted = f"{clips[1, emotion]} strong and {clips[0, emotion]} weak clips of {name}"
            yield skipped(CATEGORY, test, name, f"{counted}, at least {LEAST_CLIPS} of each are needed")
        else:
            yield _one_intensity(test, name, recall[:, emotion], float(spread[emotion]), clips[:, emotion], options)


def _spread(confusions: Integers, options: TestOptions) -> Doubles:
    """How much lower the recall of strong than of weak clips is by chance, (C,), in a model that ignores strength."""
    limits = fair_thresholds(confusions, runs=options.runs, seed=options.seed).recall
    found: Doubles = np.nan_to_num(limits).sum(axis=0)  # both deviate from their mean, in opposite directions
    return found


def _one_intensity(
    test: str, name: str, recall: Doubles, spread: float, clips: Integers, options: TestOptions
) -> Outcome:
    weak, strong = recall.tolist()
    return judged(
        CATEGORY,
        test,
        name,
        strong - weak,
        -spread,
        sentence=f"{_percent(strong)} of the clips with strong {name} are recognised, {_percent(weak)} of the others; "
        f"expected at most {100 * spread:.1f} points less.",
        clips=int(clips.sum()),
        source=f"{options.runs} random models that ignore the strength, quantile {LEVEL:g}, seed {options.seed}",
    )


def _texts(material: Material, system: str, rows: Integers, options: TestOptions) -> Iterator[Outcome]:
    """Whether the mean scores of an emotion are alike over the sentences that it is spoken with."""
    words = np.array([normalise_transcript(material.utterances[row].transcript) or "" for row in rows])
    targets, scores = material.targets[rows], material.scores(system)[rows]
    for emotion, name in enumerate(material.predictions.emotions):
        here = np.flatnonzero((targets == emotion) & (words != ""))
        _, numbers, counts = np.unique(words[here], return_inverse=True, return_counts=True)
        kept = counts >= LEAST_CLIPS
        if not 2 <= kept.sum() <= MOST_TEXTS:
            reason = f"{kept.sum()} sentences have {LEAST_CLIPS} clips of {name}, expected 2 to {MOST_TEXTS}"
            yield skipped(CATEGORY, "scores over sentences", name, reason, len(here))
            continue
        inside = kept[numbers]
        groups = np.unique(numbers[inside], return_inverse=True)[1]
        yield _one_text(name, scores[here][inside], groups, options)


def _one_text(name: str, scores: Doubles, groups: Integers, options: TestOptions) -> Outcome:
    """The largest distance of a sentence's mean scores from those of all, against sentences dealt out at random."""
    rng = np.random.default_rng(options.seed)
    value = largest_distance(scores, groups)
    random = [largest_distance(scores, rng.permutation(groups)) for _ in range(AGREEMENT_RUNS)]
    limit, texts = float(np.quantile(random, LEVEL)), int(groups.max()) + 1
    return judged(
        CATEGORY,
        "scores over sentences",
        name,
        value,
        limit,
        sentence=f"The mean scores of {name} differ by up to {value:.3f} (Jensen-Shannon distance) between one of "
        f"{texts} sentences and all; sentences dealt out at random stay below {limit:.3f}.",
        clips=len(groups),
        source=f"{AGREEMENT_RUNS} permutations, quantile {LEVEL:g}, seed {options.seed}",
        at_least=False,
    )


def largest_distance(scores: Doubles, groups: Integers) -> float:
    """The largest Jensen-Shannon distance (base 2, 0 to 1) of a group's mean scores from the mean of all.

    Example:
        >>> round(largest_distance(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 1])), 3)
        0.558
    """
    sums = np.zeros((int(groups.max()) + 1, scores.shape[1]))
    np.add.at(sums, groups, scores)
    means = sums / sums.sum(axis=1, keepdims=True)
    whole = scores.mean(axis=0) / scores.mean(axis=0).sum()
    middle = (means + whole) / 2
    divergence = (_relative_entropy(means, middle) + _relative_entropy(whole, middle)) / 2
    return float(np.sqrt(np.maximum(divergence, 0.0)).max())


def _relative_entropy(first: Doubles, second: Doubles) -> Doubles:
    """Kullback-Leibler divergence in bits over the last axis."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(first > 0, first * np.log2(first / second), 0.0)
    found: Doubles = terms.sum(axis=-1)
    return found


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
