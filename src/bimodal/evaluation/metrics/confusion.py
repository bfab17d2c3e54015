"""Metrics of what was right and wrong; all derive from a confusion matrix, rows truth, columns prediction.

Every one takes a stack (..., C, C) of matrices, so that a bootstrap over speakers is one call on thousands of them.
"""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from bimodal.arrays import Doubles, Integers, mean_of_known, ratio


def target_positions(labels: Sequence[str], emotions: Sequence[str]) -> Integers:
    """Position of each label in the list of emotions, (N,).

    Raises:
        ValueError: If a label is not in the list, the list holds one twice, or there are no labels.

    Example:
        >>> target_positions(["joy", "anger"], ["anger", "joy"]).tolist()
        [1, 0]
    """
    position = {emotion: index for index, emotion in enumerate(emotions)}
    if len(position) != len(emotions):
        msg = f"emotions {list(emotions)} hold one twice"
        raise ValueError(msg)
    unknown = sorted({repr(label) for label in labels if label not in position})
    if unknown:
        msg = f"unknown emotion {', '.join(unknown)}, expected one of {list(emotions)}"
        raise ValueError(msg)
    if not len(labels):
        msg = "no labels, expected at least one"
        raise ValueError(msg)
    return np.array([position[label] for label in labels], dtype=np.int64)


def confusion_matrix(truth: Sequence[str], prediction: Sequence[str], emotions: Sequence[str]) -> Integers:
    """How often each emotion (row) was recognised as each (column), (C, C).

    Raises:
        ValueError: If lengths differ, a label is unknown, or there are none.

    Example:
        >>> confusion_matrix(["joy", "joy", "anger"], ["joy", "anger", "anger"], ["anger", "joy"]).tolist()
        [[1, 0], [1, 1]]
    """
    matrix: Integers = cluster_confusions(truth, prediction, [None] * len(truth), emotions)[0]
    return matrix


def cluster_confusions(
    truth: Sequence[str], prediction: Sequence[str], clusters: Sequence[Hashable], emotions: Sequence[str]
) -> Integers:
    """One confusion matrix per cluster, (G, C, C), clusters in order of first appearance.

    Args:
        truth: (N,) emotions.
        prediction: (N,) emotions.
        clusters: (N,) what belongs together and is resampled as one: the speaker or dialogue of each utterance.
        emotions: (C,) names, in the order of rows and columns.

    Raises:
        ValueError: If lengths differ, a label is unknown, or there are none.

    Example:
        >>> cluster_confusions(["a", "b", "b"], ["a", "a", "b"], ["Ann", "Bob", "Ann"], ["a", "b"]).tolist()
        [[[1, 0], [0, 1]], [[0, 0], [1, 0]]]
    """
    first: dict[Hashable, int] = {}
    groups = np.array([first.setdefault(cluster, len(first)) for cluster in clusters], dtype=np.int64)
    if not len(truth) == len(prediction) == len(groups):
        found = f"{len(truth)} true emotions, {len(prediction)} predictions, {len(groups)} clusters"
        msg = f"{found}, expected as many of each"
        raise ValueError(msg)
    rows, columns = target_positions(truth, emotions), target_positions(prediction, emotions)
    matrices = np.zeros((len(first), len(emotions), len(emotions)), dtype=np.int64)
    np.add.at(matrices, (groups, rows, columns), 1)
    return matrices


def count_confusions(targets: ArrayLike, predictions: ArrayLike, emotions: int) -> Integers:
    """`confusion_matrix` of integer positions (N,), for C emotions: (C, C).

    Example:
        >>> count_confusions([0, 1, 1], [0, 0, 1], 2).tolist()
        [[1, 0], [1, 1]]
    """
    matrix = np.zeros((emotions, emotions), dtype=np.int64)
    np.add.at(matrix, (np.asarray(targets), np.asarray(predictions)), 1)
    return matrix


def _diagonal(matrix: ArrayLike) -> Doubles:
    return np.diagonal(np.asarray(matrix, dtype=np.float64), axis1=-2, axis2=-1)


def recall_per_class(matrix: ArrayLike) -> Doubles:
    """Share of each emotion's utterances that was recognised, (..., C), 0 to 1; NaN for an emotion absent from truth.

    Example:
        >>> recall_per_class([[3, 1, 0], [0, 2, 0], [0, 0, 0]]).tolist()
        [0.75, 1.0, nan]
    """
    return ratio(_diagonal(matrix), np.sum(matrix, axis=-1))


def unweighted_average_recall(matrix: ArrayLike) -> Doubles:
    """UAR: mean of the recalls of the emotions that occur in truth, 0 to 1; NaN for an empty matrix.

    Also called UA or balanced accuracy, and equal to scikit-learn's `balanced_accuracy_score`. An emotion absent from
    truth is left out, even if predicted; audmetric, given labels, counts it as 0 instead.

    Args:
        matrix: (..., C, C).

    Returns:
        (...,), a plain float64 for one matrix.

    Example:
        >>> float(unweighted_average_recall([[3, 1], [0, 2]]))
        0.875
    """
    return mean_of_known(recall_per_class(matrix))


def accuracy(matrix: ArrayLike) -> Doubles:
    """WA: share of utterances recognised, 0 to 1, so frequent emotions count more; NaN for an empty matrix.

    Example:
        >>> round(float(accuracy([[3, 1], [0, 2]])), 4)
        0.8333
    """
    share: Doubles = ratio(_diagonal(matrix).sum(-1), np.sum(matrix, axis=(-2, -1)))[()]
    return share


def _f1_per_class(matrix: ArrayLike) -> Doubles:
    """F1 = 2 TP / (row + column) of each emotion, (..., C); NaN if it is in neither truth nor prediction."""
    return ratio(2.0 * _diagonal(matrix), np.sum(matrix, axis=-1) + np.sum(matrix, axis=-2))


def macro_f1(matrix: ArrayLike) -> Doubles:
    """Mean F1 of the emotions that occur in truth or prediction, 0 to 1; NaN for an empty matrix.

    As scikit-learn's `f1_score(average="macro")`: an emotion that is only predicted counts as 0, one that is in neither
    is left out.

    Example:
        >>> round(float(macro_f1([[3, 1], [0, 2]])), 4)  # (6/7 + 4/5) / 2
        0.8286
    """
    return mean_of_known(_f1_per_class(matrix))


def weighted_f1(matrix: ArrayLike) -> Doubles:
    """Mean F1 weighted by how often each emotion occurs in truth, 0 to 1; NaN for an empty matrix.

    Example:
        >>> round(float(weighted_f1([[3, 1], [0, 2]])), 4)  # (4 * 6/7 + 2 * 4/5) / 6
        0.8381
    """
    support = np.sum(matrix, axis=-1)
    mean: Doubles = ratio((np.nan_to_num(_f1_per_class(matrix)) * support).sum(-1), support.sum(-1))[()]
    return mean


def matthews_correlation(matrix: ArrayLike) -> Doubles:
    """MCC of several emotions, -1 to 1, 0 for chance (Gorodkin 2004); as scikit-learn's `matthews_corrcoef`.

    NaN where truth or predictions are one emotion alone; scikit-learn gives 0 there.

    Example:
        >>> round(float(matthews_correlation([[3, 1], [0, 2]])), 4)
        0.7071
    """
    counts = np.asarray(matrix, dtype=np.float64)
    true, predicted, total = counts.sum(-1), counts.sum(-2), counts.sum((-2, -1))
    covariance = _diagonal(counts).sum(-1) * total - (true * predicted).sum(-1)
    spreads = (total**2 - (true**2).sum(-1)) * (total**2 - (predicted**2).sum(-1))
    correlation: Doubles = ratio(covariance, np.sqrt(np.maximum(spreads, 0.0)))[()]
    return correlation


def confusion_mass(matrix: ArrayLike, pairs: Sequence[tuple[int, int]]) -> Doubles:
    """Mean share of an emotion's utterances that went to its counterpart, over the pairs and both directions, 0 to 1.

    Each direction is a share of its own row, so a rare emotion counts as much as a frequent one; a row without
    utterances is left out, and the result is NaN if all are.

    Args:
        matrix: (..., C, C).
        pairs: Positions of the emotions that are easily confused.

    Raises:
        ValueError: If there are no pairs, or one names an emotion twice.

    Example:
        >>> round(float(confusion_mass([[8, 2], [1, 3]], [(0, 1)])), 4)  # (2/10 + 1/4) / 2
        0.225
    """
    if not pairs or any(one == other for one, other in pairs):
        msg = f"pairs are {list(pairs)}, expected at least one, each of two different emotions"
        raise ValueError(msg)
    shares = ratio(matrix, np.sum(matrix, axis=-1, keepdims=True))
    one, other = np.array(pairs, dtype=np.int64).T
    return mean_of_known(np.concatenate([shares[..., one, other], shares[..., other, one]], axis=-1))
