"""What the benchmarks of adaptation share: a torch network adapted as `bimodal adapt` adapts a model folder."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from bimodal.data.batches import array_examples
from bimodal.evaluation.metrics import softmax
from bimodal.evaluation.predictions import Predictions
from bimodal.features.adaptation import plain_adaptation
from bimodal.features.speaker_stats import SpeakerStatsStore, measure_speaker_stats, measure_stats
from bimodal.inference.adapt import EncodedClips, SpeechScorer, fit_to_clips
from bimodal.models.speech import SpeakerNormalizedNetwork
from bimodal.training.loop import predict
from bimodal.training.prepare import Prepared
from bimodal.training.rows import LabelledRows


def as_session(network: Any) -> Any:
    """A network as the ONNX session that recognition runs, which it equals (a test compares them)."""

    def run(names: None, inputs: dict[str, Any]) -> tuple[Any, ...]:
        examples = array_examples(inputs, np.zeros(len(inputs["statistics"]), np.int64))
        return predict(network, examples)[:2]

    return SimpleNamespace(run=run)


def statistics_of(prepared: Prepared, rows: Sequence[int]) -> Any:
    """Statistics (n, P, L, D) of some utterances."""
    return prepared.modalities["speech"].examples.read(list(rows))["statistics"]


def adapted_scores(network: Any, prepared: Prepared, rows: Sequence[int], by_speaker: bool) -> tuple[Any, Any]:
    """Scores of utterances from a network that was adapted to them, unlabelled: without and with the correction.

    Nothing checks how mixed the emotions are: the corpora hold all of them.
    """
    statistics = statistics_of(prepared, rows)
    speakers = tuple(prepared.rows.utterances[row].speaker for row in rows)
    known = measure_speaker_stats(zip(speakers, statistics, strict=True)) if by_speaker else SpeakerStatsStore()
    own = [known.of(speaker, statistics.shape[1:]) for speaker in speakers]
    scorer = SpeechScorer(
        session=as_session(network),
        uses_speaker_stats=isinstance(network, SpeakerNormalizedNetwork),
        emotions=prepared.rows.emotions,
        trained=_trained(network, statistics.shape[1:]),
    )
    heard = EncodedClips(statistics=statistics, speakers=speakers, seconds=0.0, unusable=0)
    plain = plain_adaptation(measure_stats(statistics), *scorer.trained, emotions=len(prepared.rows.emotions))
    fitted = fit_to_clips(scorer, heard, known, 0.0)
    answers = [scorer.logits(statistics, own, one) for one in (plain, fitted)]
    return softmax(answers[0]), softmax(answers[1])


def _trained(network: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Centre and deviation of the statistics that a network was trained on."""
    part = network.standardise
    spread = part.within.sqrt() if isinstance(network, SpeakerNormalizedNetwork) else part.deviation
    return part.mean.numpy().reshape(shape), spread.numpy().reshape(shape)


Found = dict[str, Predictions]
"""Predictions of the voice by system."""


def predictions_of(rows: LabelledRows, chosen: Sequence[int], scores: dict[str, Any]) -> Found:
    """Scores of several systems on some utterances, clustered by speaker."""
    utterances = [rows.utterances[row] for row in chosen]
    return {
        system: Predictions(
            ids=tuple(utterance.id for utterance in utterances),
            targets=rows.targets[list(chosen)],
            emotions=rows.emotions,
            clusters=tuple(str(utterance.speaker) for utterance in utterances),
            cluster_name="speaker",
            scores={"speech": found},
        )
        for system, found in scores.items()
    }
