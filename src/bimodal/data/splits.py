"""Splits and folds that keep speakers (or dialogues, or texts) apart, and counts of what they share where they do not.

Every function works on sequences with one value per utterance and answers with row numbers, so any column will do: pass
dialogues for `speakers` to keep dialogues apart, or `joined_groups(speakers, texts)` to keep both apart.
"""

import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bimodal.errors import SplitError

CANDIDATES = 64  # random orders tried for a development part


@dataclass(frozen=True, kw_only=True, slots=True)
class Fold:
    """One fold of a cross-validation.

    Attributes:
        name: Of the fold; of the speaker, where one speaker is left out.
        train: Row numbers, ascending.
        test: Row numbers, ascending; no row is tested in two folds.
        dev: Row numbers to choose among models with; they are in neither other part. None: to be taken from `train`.
    """

    name: str
    train: tuple[int, ...]
    test: tuple[int, ...]
    dev: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlap:
    """What two parts of a split share.

    Attributes:
        what: For example `speakers in train and test`.
        shared: Number of values (speakers, texts) that occur in both parts.
        share_of_rows: Share of the second part's rows that hold a shared value, 0 to 1.
        unknown_rows: Rows of either part without a value; they cannot be checked.
        allowed: Name of the official split for which the overlap is accepted; None if it is not.
    """

    what: str
    shared: int
    share_of_rows: float
    unknown_rows: int = 0
    allowed: str | None = None

    def __str__(self) -> str:
        unknown = f"; {self.unknown_rows} rows have none given" if self.unknown_rows else ""
        allowed = f"; accepted as the official split {self.allowed!r}" if self.allowed else ""
        shared = f"{self.shared} shared, {100 * self.share_of_rows:.1f} % of the second part's rows"
        return f"{self.what}: {shared}{unknown}{allowed}"


def speaker_folds(speakers: Sequence[str | None], k: int | Literal["loso"], *, seed: int = 0) -> tuple[Fold, ...]:
    """Folds of whole speakers, about equally long: the largest speaker goes first, always to the shortest fold.

    Args:
        speakers: One value per utterance.
        k: Number of folds, at least 2; `loso` leaves one speaker out at a time.
        seed: Decides between speakers and folds of the same size.

    Raises:
        SplitError: If an utterance has no speaker, or there are fewer speakers than folds.

    Example:
        >>> [fold.test for fold in speaker_folds(["a", "a", "b", "c"], 2)]
        [(0, 1), (2, 3)]
    """
    sizes = Counter(_known(speakers))
    if len(sizes) < 2:
        raise SplitError(one_speaker(sizes))
    k = len(sizes) if k == "loso" else k
    if not 2 <= k <= len(sizes):
        raise SplitError(f"{k} folds of {len(sizes)} speakers: expected 2 to {len(sizes)} folds")
    names = sorted(sizes)
    if k == len(sizes):
        return named_folds(speakers, {name: [name] for name in names})
    order = [names[place] for place in np.random.default_rng(seed).permutation(len(names))]
    parts: list[list[str]] = [[] for _ in range(k)]
    for name in sorted(order, key=lambda name: -sizes[name]):
        min(parts, key=lambda part: sum(sizes[other] for other in part)).append(name)
    return named_folds(speakers, {str(number): part for number, part in enumerate(parts, start=1)})


def one_speaker(names: Collection[str]) -> str:
    """The sentence for a corpus of one speaker (or none), where speakers would have to be held out.

    Example:
        >>> one_speaker(["ann"])
        "there is one speaker ('ann'), so none can be held out: give recordings of more speakers"
    """
    found = f"one speaker ({next(iter(names))!r})" if names else "no speaker"
    return f"there is {found}, so none can be held out: give recordings of more speakers"


def named_folds(speakers: Sequence[str | None], folds: Mapping[str, Collection[str]]) -> tuple[Fold, ...]:
    """Folds with given speakers, such as the six of EmoBox for RAVDESS.

    Args:
        speakers: One value per utterance.
        folds: Name of each fold and its speakers.

    Raises:
        SplitError: If an utterance has no speaker, a speaker is in no fold or in several, or a fold or its training
            part has no utterance.

    Example:
        >>> [fold.train for fold in named_folds(["a", "b", "c"], {"one": ["a"], "two": ["b", "c"]})]
        [(1, 2), (0,)]
    """
    known = _known(speakers)
    if len(set(known)) < 2:
        raise SplitError(one_speaker(known))
    for speaker in dict.fromkeys(known):
        homes = [name for name, members in folds.items() if speaker in members]
        if len(homes) != 1:
            raise SplitError(f"speaker {speaker!r} is in {homes or 'no fold'}, expected exactly one of {list(folds)}")
    result = []
    for name, members in folds.items():
        test = tuple(row for row, speaker in enumerate(known) if speaker in members)
        train = tuple(row for row, speaker in enumerate(known) if speaker not in members)
        if not test or not train:
            raise SplitError(
                f"fold {name!r} has {len(test)} rows to test and {len(train)} to train on, both are needed"
            )
        result.append(Fold(name=name, train=train, test=test))
    return tuple(result)


def crossed_folds(
    speakers: Sequence[str | None],
    texts: Sequence[str | None],
    k: int,
    *,
    strata: Sequence[str] | None = None,
    seed: int = 0,
) -> tuple[Fold, ...]:
    """Folds whose test rows share neither speakers nor texts with their training rows.

    For corpora in which all speakers say all texts.

    Speakers and texts are dealt into k parts each; every combination of the two is the test part of one fold.
    Rows that share one of the two with it are left out of that fold: with few texts, about 2 / k of all rows.

    Args:
        speakers: One value per utterance.
        texts: One value per utterance; compare spellings first, see `comparable_text`.
        k: Parts of the speakers, and of the texts; at most k * k folds.
        strata: One value per utterance, such as its emotion; speakers and texts that occur in the same ones are dealt
            evenly.
        seed: Decides the parts.

    Raises:
        SplitError: If a value is missing, there are fewer speakers or texts than parts, or a fold has no row to train
            on.

    Example:
        >>> folds = crossed_folds(["ann", "ann", "bob", "bob"], ["hi", "bye", "hi", "bye"], 2)
        >>> sorted((fold.train, fold.test) for fold in folds)
        [((0,), (3,)), ((1,), (2,)), ((2,), (1,)), ((3,), (0,))]
    """
    known = list(zip(_known(speakers), _known(texts), strict=True))
    generator = np.random.default_rng(seed)
    kinds = strata or [""] * len(known)
    who, what = (deal([row[place] for row in known], kinds, k, generator) for place in (0, 1))
    folds = []
    for first, second in sorted({(who[speaker], what[text]) for speaker, text in known}):
        test = [row for row, (one, other) in enumerate(known) if (who[one], what[other]) == (first, second)]
        voices, texts_read = {known[row][0] for row in test}, {known[row][1] for row in test}
        train = [row for row, (one, other) in enumerate(known) if one not in voices and other not in texts_read]
        if not train:
            raise SplitError(
                f"part {first + 1}x{second + 1}: no training row is left, because each row shares a speaker or a text "
                "with this part; divide into more parts"
            )
        folds.append(Fold(name=f"{first + 1}x{second + 1}", train=tuple(train), test=tuple(test)))
    return tuple(folds)


def deal(values: Sequence[str], strata: Sequence[str], k: int, generator: np.random.Generator) -> dict[str, int]:
    """The part of each value, 0 to k - 1: values of the same strata evenly, then as many rows in each part as can be.

    Args:
        values: One per utterance, such as its text.
        strata: One per utterance, such as its emotion.
        k: Parts, 2 to the number of different values.
        generator: Decides between equal choices.

    Raises:
        SplitError: If there are fewer values than parts.

    Example:
        >>> deal(["a", "b", "c", "d"], ["joy", "joy", "fear", "fear"], 2, np.random.default_rng(0)).keys()
        dict_keys(['c', 'd', 'a', 'b'])
    """
    sizes, kinds = Counter(values), dict[str, set[str]]()
    for value, stratum in zip(values, strata, strict=True):
        kinds.setdefault(value, set()).add(stratum)
    if not 2 <= k <= len(sizes):
        raise SplitError(f"{k} parts of {len(sizes)} speakers or texts: expected 2 to {len(sizes)} parts")
    names = sorted(sizes)
    order = [names[place] for place in generator.permutation(len(names))]
    rows, alike, parts = [0] * k, Counter[tuple[str, int]](), dict[str, int]()
    for name in sorted(order, key=lambda name: (sorted(kinds[name]), -sizes[name])):
        kind = repr(sorted(kinds[name]))
        parts[name] = min(range(k), key=lambda part: (alike[kind, part], rows[part]))
        alike[kind, parts[name]] += 1
        rows[parts[name]] += sizes[name]
    return parts


def inner_dev(
    speakers: Sequence[str | None],
    emotions: Sequence[str | None],
    share: float = 0.15,
    seed: int = 0,
    by: Literal["speaker", "utterance"] = "speaker",
) -> tuple[int, ...]:
    """Rows of a training part to set aside for choosing among models, so that no reported fold is used for it.

    Whole speakers are set aside: of many random choices the one with most emotions in both parts, and of these the one
    whose size is nearest to `share`.

    Args:
        speakers: One value per utterance; ignored with `by="utterance"`.
        emotions: One value per utterance; None if unlabelled.
        share: Share of the rows to set aside, between 0 and 1.
        seed: Decides the choice.
        by: `utterance` takes the share of every emotion at random, so that speakers occur in both parts; for
            data whose speakers are unknown.

    Returns:
        Row numbers, ascending.

    Raises:
        SplitError: If fewer than two speakers are there, an utterance has none, or the share is not between 0 and 1.

    Example:
        >>> inner_dev(["a", "a", "b", "b", "c", "c"], ["joy", "fear"] * 3, share=1 / 3) in {(0, 1), (2, 3), (4, 5)}
        True
    """
    if len(speakers) != len(emotions):
        raise SplitError(f"{len(speakers)} speakers but {len(emotions)} emotions, expected one of each per utterance")
    if not 0 < share < 1:
        raise SplitError(f"development share {share}, expected a number between 0 and 1")
    generator = np.random.default_rng(seed)
    if by == "utterance":
        return _stratified(emotions, share, generator)
    known = _known(speakers, advice="; or choose utterances at random with split_by=utterance")
    names = sorted(set(known))
    if len(names) < 2:
        raise SplitError(f"{one_speaker(names)}, or choose utterances at random with split_by=utterance")
    told = {name: Counter[str]() for name in names}
    for speaker, emotion in zip(known, emotions, strict=True):
        told[speaker].update([] if emotion is None else [emotion])
    orders = [[names[place] for place in generator.permutation(len(names))] for _ in range(CANDIDATES)]
    choices = [_first_speakers(order, Counter(known), told, share * len(known)) for order in orders]
    best = min(choices, key=lambda choice: _shortcomings(choice, Counter(known), told, share * len(known)))
    return tuple(row for row, speaker in enumerate(known) if speaker in best)


def joined_groups(*columns: Sequence[str | None]) -> tuple[str, ...]:
    """Groups to keep apart where several columns must be disjoint at once, such as speakers and texts.

    Two utterances are in one group if a chain of shared values leads from one to the other.

    Returns:
        One group name per utterance, numbered from `0` in order of appearance.

    Raises:
        SplitError: If the columns differ in length or a value is missing.

    Example:
        >>> joined_groups(["ann", "ann", "bob", "eve"], ["hi", "bye", "bye", "yes"])
        ('0', '0', '0', '1')
    """
    if len({len(column) for column in columns}) > 1:
        raise SplitError(f"columns of {[len(column) for column in columns]} rows, expected equal lengths")
    # a value carries its column's number, so that equal words of different columns stay different
    rows = list(
        zip(*([(place, value) for value in _known(column)] for place, column in enumerate(columns)), strict=True)
    )
    root: dict[tuple[int, str], tuple[int, str]] = {}

    def find(value: tuple[int, str]) -> tuple[int, str]:
        while root.setdefault(value, value) != value:
            root[value] = value = root[root[value]]
        return value

    for first, *others in rows:
        for other in others:
            root[find(other)] = find(first)
    numbers: dict[tuple[int, str], str] = {}
    return tuple(numbers.setdefault(find(row[0]), str(len(numbers))) for row in rows)


def count_overlap(groups_a: Sequence[str | None], groups_b: Sequence[str | None], what: str) -> Overlap:
    """What two parts of a split share; missing values are counted apart and never match.

    Args:
        groups_a: One value per row of the first part.
        groups_b: One value per row of the second part, whose share of rows is counted.
        what: For example `speakers in train and test`.

    Example:
        >>> count_overlap(["ann", "bob"], ["bob", "bob", "eve", None], "speakers in train and test").share_of_rows
        0.5
    """
    shared = (set(groups_a) & set(groups_b)) - {None}
    return Overlap(
        what=what,
        shared=len(shared),
        share_of_rows=sum(group in shared for group in groups_b) / max(1, len(groups_b)),
        unknown_rows=sum(group is None for group in (*groups_a, *groups_b)),
    )


def check_disjoint(
    groups_a: Sequence[str | None], groups_b: Sequence[str | None], what: str, allowed: str | None = None
) -> Overlap:
    """Check that two parts of a split share no speaker (dialogue, text).

    Args:
        groups_a: One value per row of the first part.
        groups_b: One value per row of the second part.
        what: For example `speakers in train and test`.
        allowed: Name of an official split whose overlap is accepted.

    Returns:
        The overlap, to be printed beside the figures; empty unless `allowed`.

    Raises:
        SplitError: If they share any and `allowed` is None; the message has the number and the share of rows.

    Example:
        >>> print(check_disjoint(["ann"], ["ann", "eve"], "speakers in train and test", allowed="MELD"))
        speakers in train and test: 1 shared, 50.0 % of the second part's rows; accepted as the official split 'MELD'
    """
    found = count_overlap(groups_a, groups_b, what)
    if found.shared and allowed is None:
        raise SplitError(f"{found}; split by whole groups, or name the official split that has this overlap")
    return Overlap(
        what=what,
        shared=found.shared,
        share_of_rows=found.share_of_rows,
        unknown_rows=found.unknown_rows,
        allowed=allowed if found.shared else None,
    )


def count_text_overlap(texts_a: Sequence[str | None], texts_b: Sequence[str | None], what: str) -> Overlap:
    """How many texts occur in both parts, compared by `comparable_text`; texts without a letter or digit never match.

    Example:
        >>> count_text_overlap(["Oh, my God!"], ["oh my god", "No."], "texts in train and test").shared
        1
    """
    first, second = ([comparable_text(text) or None if text else None for text in part] for part in (texts_a, texts_b))
    return count_overlap(first, second, what)


def comparable_text(text: str) -> str:
    """A text as it counts when two are compared: NFKC, no case, punctuation and spaces collapsed to one space.

    Example:
        >>> comparable_text("  What?! Don’t—GO … "), comparable_text("ＡＢＣ")
        ('what don t go', 'abc')
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    # letters, marks (vowel signs of Indic scripts) and numbers stay
    return " ".join("".join(sign if unicodedata.category(sign)[0] in "LMN" else " " for sign in folded).split())


def _known(values: Sequence[str | None], advice: str = "") -> list[str]:
    known = [value for value in values if value]
    if len(known) < len(values):
        raise SplitError(
            f"{len(values) - len(known)} of {len(values)} utterances have no speaker (or group), which splits "
            f"by speaker need: fill the column, or leave these utterances out{advice}"
        )
    return known


def _first_speakers(order: list[str], sizes: Counter[str], told: dict[str, Counter[str]], wanted: float) -> set[str]:
    """Speakers in this order until the wanted rows are together, then those who add a missing emotion."""
    everything = {emotion for counts in told.values() for emotion in counts}
    chosen, rows = {order[0]}, sizes[order[0]]
    for name in order[1:-1]:  # at least one speaker stays to train on
        if rows + sizes[name] / 2 <= wanted:
            chosen.add(name)
            rows += sizes[name]
    for name in order[1:-1]:
        if set(told[name]) & (everything - {emotion for other in chosen for emotion in told[other]}):
            chosen.add(name)
    return chosen


def _shortcomings(
    chosen: set[str], sizes: Counter[str], told: dict[str, Counter[str]], wanted: float
) -> tuple[int, float]:
    """Shortcomings of a choice: emotions missing in either part, then rows too many or too few."""
    inside = {emotion for name in chosen for emotion in told[name]}
    outside = {emotion for name in told.keys() - chosen for emotion in told[name]}
    missing = 2 * len(inside | outside) - len(inside) - len(outside)
    return missing, abs(sum(sizes[name] for name in chosen) - wanted)


def _stratified(emotions: Sequence[str | None], share: float, generator: np.random.Generator) -> tuple[int, ...]:
    rows: list[int] = []
    for emotion in sorted({emotion or "" for emotion in emotions}):
        own = [row for row, other in enumerate(emotions) if (other or "") == emotion]
        count = min(max(1, round(share * len(own))), len(own) - 1)  # one in each part, if there are two
        rows += [own[place] for place in generator.permutation(len(own))[:count]]
    if not rows:
        raise SplitError(f"{len(emotions)} utterances are too few for a development part: an emotion needs two of them")
    return tuple(sorted(rows))
