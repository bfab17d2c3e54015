"""From labels to a head: votes as targets, the head on cached features, its curve on the test clips."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from bimodal.arrays import Doubles
from bimodal.labelling.curve import Curve, learning_curve, majority
from bimodal.labelling.head import Head, choose_settings, fit_head, plain_head
from bimodal.labelling.records import Label, LabelClip
from bimodal.labelling.space import Space

REFIT_EVERY: Final = 5
"""The head is fitted again after this many labels, and the clips are ordered anew."""

EVERY: Final = 20
"""Labels between two points of the curve."""

MOST_POINTS: Final = 12


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What the head sees of the clips with speech.

    Attributes:
        names: Ids of N clips.
        features: (N, F).
        prior: Log scores of the packaged model, (N, C).
    """

    names: tuple[str, ...]
    features: Doubles
    prior: Doubles

    def rows(self, names: Sequence[str]) -> npt.NDArray[np.int64]:
        """Numbers of some clips, without those that have no speech."""
        place = {name: number for number, name in enumerate(self.names)}
        return np.array([place[name] for name in names if name in place], np.int64)


@dataclass(frozen=True, kw_only=True)
class Learned:
    """A head and what is known of it.

    Attributes:
        head: Fitted on all labelled training clips.
        space: How clips become features.
        labels: Number of training clips that it learnt from.
        curve: On the test clips.
        fitted: The heads of the curve, by a digest of their labels, so that the next call need not fit them again.
    """

    head: Head
    space: Space
    labels: int
    curve: Curve
    fitted: Mapping[str, Head]


def votes_of(
    labels: Mapping[str, Mapping[str, Label]], emotions: Sequence[str], clips: Sequence[LabelClip]
) -> dict[str, Doubles]:
    """Votes for each emotion, (C,), of each clip that has any; `unsure` and `other` are no votes.

    The clips come in the order of their first label.

    Args:
        labels: By rater and clip.
        emotions: The vocabulary.
        clips: Whose votes are wanted.
    """
    place = {emotion: number for number, emotion in enumerate(emotions)}
    wanted = {clip.id for clip in clips}
    given = sorted(
        ((label.at, number, label) for own in labels.values() for number, label in enumerate(own.values())),
        key=lambda one: one[:2],
    )
    votes: dict[str, Doubles] = {}
    for _, _, label in given:
        if label.answer in place and label.clip in wanted:
            votes.setdefault(label.clip, np.zeros(len(emotions)))[place[label.answer]] += 1.0
    return votes


def learn(
    inputs: Inputs,
    space: Space,
    train: Mapping[str, Doubles],
    test: Mapping[str, Doubles],
    speakers: Mapping[str, str] | None = None,
    before: Learned | None = None,
) -> Learned:
    """Fit the head on the votes of training clips, and draw its curve on the test clips.

    Test clips choose nothing: strength and weight of the prior come from cross-validation on the training clips.

    Args:
        inputs: Of all clips with speech.
        space: How they were made.
        train: Votes by clip, in the order in which they were given.
        test: Votes by clip.
        speakers: By clip, to keep a speaker in one fold; may lack clips.
        before: What was learnt from fewer labels. Its heads are used again where space and labels are the same.
    """
    rows = inputs.rows(list(train))
    names = [inputs.names[row] for row in rows]
    targets = np.array([train[name] / train[name].sum() for name in names])
    tests = inputs.rows(list(test))
    truth = majority(np.array([test[inputs.names[row]] for row in tests])) if len(tests) else np.zeros(0, np.int64)
    tests, truth = tests[truth >= 0], truth[truth >= 0]
    groups = [(speakers or {}).get(name, "") for name in names]
    known = before.fitted if before is not None and before.space is space else {}
    fitted, heads = dict[str, Head](), dict[int, Head]()
    for size in curve_sizes(len(rows)):
        digest = hashlib.sha256(repr(names[:size]).encode() + targets[:size].tobytes()).hexdigest()
        head = known.get(digest) or _fit(inputs, rows[:size], targets[:size], groups[:size])
        fitted[digest], heads[size] = head, head
    predicted = {
        size: head.scores(inputs.features[tests], inputs.prior[tests]).argmax(axis=1) for size, head in heads.items()
    }
    curve = learning_curve(predicted, truth, len(space.emotions))
    return Learned(head=heads[len(rows)], space=space, labels=len(rows), curve=curve, fitted=fitted)


def _fit(inputs: Inputs, rows: npt.NDArray[np.int64], targets: Doubles, groups: Sequence[str]) -> Head:
    features, prior = inputs.features[rows], inputs.prior[rows]
    if not len(rows):
        return plain_head(inputs.features.shape[1], inputs.prior.shape[1])
    settings = choose_settings(features, prior, targets, groups=groups)
    return fit_head(features, prior, targets, settings)


def curve_sizes(labels: int) -> list[int]:
    """Numbers of labels at which the curve is drawn: at most `MOST_POINTS`, from 0 to all.

    Example:
        >>> curve_sizes(50), len(curve_sizes(1000)), curve_sizes(0)
        ([0, 20, 40, 50], 11, [0])
    """
    every = EVERY * max(1, -(-labels // (EVERY * (MOST_POINTS - 1))))
    return sorted({*range(0, labels, every), labels})
