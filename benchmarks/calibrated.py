"""How far scores can be taken at their word: calibration error, in a corpus and out of it."""

from collections.abc import Sequence

import numpy as np

from benchmarks.adapted import Found, predictions_of, statistics_of
from benchmarks.record import Figure, make_figure
from bimodal.config import TrainConfig
from bimodal.evaluation.metrics import expected_calibration_error, fit_temperature, softmax
from bimodal.evaluation.predictions import Predictions
from bimodal.features.ood import ood_score, temperature_factor
from bimodal.training.loop import predict
from bimodal.training.ood import measure_ood_stats
from bimodal.training.prepare import Prepared
from bimodal.training.stage import RunContext, train_modality

ONE_TEMPERATURE = "one temperature, fitted on held-out training speakers"
BY_DISTANCE = "temperature by distance from the training data"
_DRAWS = 500
_HELD = 5


def calibrated_predictions(
    prepared: Prepared, train: Sequence[int], test: Sequence[int], config: TrainConfig, seed: int
) -> Found:
    """What a network trained on four of five training speakers says of the test rows, by two ways to be sure of it."""
    side, rows = prepared.modalities["speech"], prepared.rows
    speakers = [utterance.speaker for utterance in rows.utterances]
    held_out = set(sorted({str(speakers[row]) for row in train})[_HELD - 1 :: _HELD])
    kept, held = ([row for row in train if (speakers[row] in held_out) == out] for out in (False, True))
    network, _ = train_modality(side, kept, [], config.speech, RunContext(seed=seed))
    logits = {name: predict(network, side.examples.subset(part))[1] for name, part in (("held", held), ("test", test))}
    known = measure_ood_stats(side, kept, speakers)
    assert known is not None  # noqa: S101 - there is speech
    temperature = fit_temperature(logits["held"], rows.targets[held])
    factor = temperature_factor(ood_score(statistics_of(prepared, test), known), known)
    scores = {
        ONE_TEMPERATURE: softmax(logits["test"], temperature),
        BY_DISTANCE: softmax(logits["test"] / factor[:, None], temperature),
    }
    return predictions_of(rows, test, scores)


def calibration_figure(found: Sequence[Predictions], system: str, name: str, metric: str = "ECE") -> Figure:
    """Expected calibration error of one system, its interval from draws of whole speakers with all seeds."""
    answered = [np.flatnonzero(one.answered(system)) for one in found]
    values = [_error(one, system, rows) for one, rows in zip(found, answered, strict=True)]
    members = [_by_cluster(one, rows) for one, rows in zip(found, answered, strict=True)]
    names, rng = sorted(members[0]), np.random.default_rng(0)
    draws = []
    for _ in range(_DRAWS):
        chosen = [names[place] for place in rng.integers(len(names), size=len(names))]
        parts = [np.concatenate([own[name] for name in chosen]) for own in members]
        draws.append(np.mean([_error(one, system, rows) for one, rows in zip(found, parts, strict=True)]))
    low, high = np.percentile(draws, [2.5, 97.5])
    clusters = f"{len(names)} {found[0].cluster_name}s"
    return make_figure(name, metric, values, low=float(low), high=float(high), clusters=clusters)


def _error(found: Predictions, system: str, rows: Sequence[int]) -> float:
    return 100 * float(expected_calibration_error(found.scores[system][rows], found.targets[rows]))


def _by_cluster(found: Predictions, rows: Sequence[int]) -> dict[str, list[int]]:
    members: dict[str, list[int]] = {}
    for row in rows:
        members.setdefault(found.clusters[row], []).append(int(row))
    return members
