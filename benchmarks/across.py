"""Leave one corpus out: trained on two of RAVDESS, EmoDB, emotiontts_ko, tested on the third; unadapted and adapted."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from benchmarks.acted import progress
from benchmarks.adapted import Found, adapted_scores, predictions_of
from benchmarks.calibrated import BY_DISTANCE, ONE_TEMPERATURE, calibrated_predictions, calibration_figure
from benchmarks.record import (
    Figure,
    Options,
    Result,
    config_digest,
    measure,
    read_options,
    save_result,
    summed_confusions,
)
from benchmarks.tuned import pretrained_source
from bimodal.config import LossConfig, SpeechConfig, TrainConfig
from bimodal.data.corpora import emodb, ravdess
from bimodal.data.manifest import read_manifest
from bimodal.evaluation import metrics
from bimodal.evaluation.metrics import softmax
from bimodal.evaluation.predictions import Predictions
from bimodal.features.backbone import DEFAULT_SPEECH, DESCRIPTION, find_backbone, read_description
from bimodal.features.build_backbone import build_speech_backbone
from bimodal.features.cache import FeatureCache
from bimodal.records import Utterance
from bimodal.training.loop import predict
from bimodal.training.prepare import Prepared, prepare_modalities
from bimodal.training.rows import LabelledRows, label_rows
from bimodal.training.stage import RunContext, train_modality

UAR = metrics.unweighted_average_recall
CORPORA = ("ravdess", "emodb", "emotiontts_ko")
ROBUST = SpeechConfig(
    statistics=("p10", "p50", "p90"),
    speech_only=True,
    speaker_shrinkage=10.0,
    input_noise_std=2.0,
    loss=LossConfig(class_weights="balanced"),
)
"""For recordings unlike those trained on."""

WITHIN = TrainConfig(vocabulary="acted4", dev_share=0.0, speech=SpeechConfig(augmentations=("speed0.9", "speed1.1")))
PLAIN = replace(WITHIN, speech=ROBUST)
BY_CORPUS = replace(
    PLAIN, speech=replace(PLAIN.speech, speaker_stats=(1000,), speaker_stats_by="corpus", augmentation_prob=0.8)
)
BY_SPEAKER = replace(PLAIN, speech=replace(PLAIN.speech, speaker_stats=(1000,), augmentation_prob=0.8))
SYSTEMS = {
    "within": "not adapted, settings that are best within a corpus",
    "within adapted": "same network, after `bimodal adapt`",
    "unadapted": "not adapted",
    "adapted": "same network, after `bimodal adapt` to the test corpus's unlabelled clips",
    "float32": "not adapted, speech backbone in float32",
    "float32 adapted": "same network, after `bimodal adapt`",
    "corpus": "trained with speaker statistics per corpus; statistics of the test corpus",
    "corpus adapted": "same network, after `bimodal adapt`",
    "speaker": "trained with speaker statistics per speaker; statistics of the test speakers",
    "speaker adapted": "same network, after `bimodal adapt --by speaker`",
}
TRIED = (
    "The settings of the adaptation were chosen by training on one corpus and testing on another "
    "(six ordered pairs, mean UAR), with closed-form ridge regression on the same statistics. "
    "Each corpus standardised by its own statistics: a correction trained on 30, 50, 80 % of the "
    "predictions per emotion reached 61.2, 63.5, 64.8 (without correction 58.3, logistic "
    "regression). Each speaker standardised by their own: 72.2, 74.7, 75.8 (without correction "
    "63.1). All three corpora are in these pairs. So the choice is not independent of the "
    "reported splits, whose results were printed beside the pairs (docs/ledger.csv).",
    "The settings without adaptation were chosen on the same six pairs (one seed). In brackets: the three "
    "reported splits, which were printed beside them. Settings that are best within a corpus: 45.3 (56.4). "
    "Percentiles 10, 50, 90 over the frames with speech: 49.1 (56.9). These without speed augmentations and "
    "with speaker shrinkage: 56.3 (63.7). Changes to the latter: Mean and deviation instead of percentiles: "
    "54.1 (60.2). Corpora and emotions drawn evenly: 48.8 (61.2). Loss weights: 56.0 (66.2). Three times the "
    "shrinkage: 56.2 (65.1). Noise 2 instead of 1: 58.0 (65.3). Input dropout .7: 55.2 (64.9). Cross-entropy: "
    "56.8 (65.0). Closed-form ridge regression, balanced: 58.3 (64.8).",
    "Two changes did not help without adaptation. Telephone band, noise and room as augmentations: one corpus "
    "out 64.1 against 65.2, pairs 57.1 against 58.8 (one seed). The mean spectrum of each clip shifted to one "
    "reference before the backbone: 61.9 at best.",
    "The speech backbone in 8 bits takes half the time of the one in float32. Scratch scripts "
    "measured which of its matrix products lower the results: the error of the statistics in "
    "deviations over clips, and one run of three seeds. As packaged: .16 (63.8). Value and output"
    " projections in float32: .10. These and the first layer in float32: .07 (65.0, about 40 % "
    "slower). Scales moved from inputs to weights (SmoothQuant, arXiv 2211.10438): .16. Weights "
    "in 8 bits instead of 7: .13. The default was not changed, since both are equal within "
    "corpora and for the default models.",
    "Further changes with the backbone in 8 bits (three seeds, scratch scripts). Reference: 63.8 "
    "(pairs 59.6). 100, 200, 800 components: 60.7, 63.2, 64.0 (pairs 58.0, 59.3, 56.6). 600 "
    "components and three times the speaker shrinkage: 64.6 (58.5). Noise 3: 63.0 (61.0). Sixteen"
    " heads and 800 components: 64.0 (58.8). Percentiles together with mean and deviation, over "
    "all frames or over speech: 62.5 to 63.1. Test-time augmentation at three speeds: 63.5. None "
    "was used, since pairs and splits do not agree.",
    "A temperature that grows with the distance from the training data improves the calibration "
    "of distant, difficult data (RAVDESS, emotiontts_ko). It lowers the confidence too much for "
    "distant, easy data (EmoDB). Its exponent was chosen on the first two.",
)


def run(options: Options) -> Result:
    """Three test corpora, all seeds, without and with adaptation."""
    begun = time.monotonic()
    torch.set_num_threads(options.threads)
    with FeatureCache(options.cache) as cache:
        found = {name: _run_config(config, name, options, cache) for name, config in _configs(options).items()}
        calibrated = _run_calibration(options, cache)
    figures = [figure for name in found for figure in _figures(found[name])]
    figures += [
        calibration_figure(_of(calibrated, corpus, system), "speech", f"not adapted, {system}", f"ECE {corpus}")
        for system in (ONE_TEMPERATURE, BY_DISTANCE)
        for corpus in CORPORA
    ]
    config = _configs(options)["corpus"]
    headline = "; ".join(f"{one.system[:40]} {one.mean:.2f}" for one in figures if "mean of three" in one.metric)
    result = Result(
        name="across",
        title="Cross-corpus speech emotion recognition: train on two corpora, test on the third, 4 emotions",
        protocol="Networks train on two of RAVDESS (English), EmoDB (German) and emotiontts_ko (Korean), and "
        "are tested on the third. Emotions: anger, happiness, neutral, sadness. Systems that are not "
        "adapted see one clip of the test corpus at a time. Adapted systems see all its clips without"
        " labels; with `--by speaker` they also know the speaker of each clip. Intervals resample "
        "speakers; for the mean of three, the speakers of each corpus. Calibration (ECE, 15 bins) is "
        "measured with networks trained on four of five training speakers; the remaining speakers fit"
        " the temperature. The growth of the temperature with distance was chosen on RAVDESS and "
        "emotiontts_ko, with a network trained on EmoDB.",
        licence="RAVDESS CC BY-NC-SA 4.0, EmoDB CC0, emotiontts_ko CC BY-NC-SA 4.0",
        seeds=options.seeds,
        figures=tuple(figures),
        quoted=(),
        notes=_notes(found),
        tried=TRIED,
        target="mean UAR of at least 65 without adaptation, at least 70 with it",
        config=config_digest(config),
        settings=msgspec.to_builtins(config.speech),
        minutes=(time.monotonic() - begun) / 60,
    )
    return save_result(result, options, headline)


def _configs(options: Options) -> dict[str, TrainConfig]:
    exact = replace(PLAIN, speech_backbone=str(_float_backbone(options)))
    configs = {"within": WITHIN, "plain": PLAIN, "float32": exact, "corpus": BY_CORPUS, "speaker": BY_SPEAKER}
    return {name: replace(config, threads=options.threads) for name, config in configs.items()}


def _float_backbone(options: Options) -> Path:
    """The packaged speech backbone, built without products in 8 bits."""
    out = options.cache / "runs" / f"{DEFAULT_SPEECH}-float32"
    if not (out / DESCRIPTION).is_file():
        described = read_description(find_backbone(DEFAULT_SPEECH))
        source = pretrained_source("whisper-base-encoder", described.source)
        build_speech_backbone(source, out, replace(described, name=out.name), "float16")
    return out


def read_corpora(data: Path) -> list[Utterance]:
    """Utterances of the three corpora with their corpus as a column; it is part of the names of speakers and paths."""
    read = {
        "ravdess": ravdess.prepare(data / "ravdess"),
        "emodb": emodb.prepare(data / "emodb"),
        "emotiontts_ko": read_manifest(data / "emotiontts_ko" / "manifest.csv").utterances,
    }
    return [
        replace(
            utterance,
            id=f"{corpus}/{utterance.id}",
            path=f"{corpus}/{utterance.path}",
            speaker=f"{corpus} {utterance.speaker}",
            split=None,
            extra={**utterance.extra, "corpus": corpus},
        )
        for corpus, utterances in read.items()
        for utterance in utterances
    ]


ByCorpus = dict[str, list[Found]]


def _run_config(config: TrainConfig, name: str, options: Options, cache: FeatureCache) -> ByCorpus:
    """Predictions of one configuration by test corpus, one per seed."""
    rows = label_rows(read_corpora(options.data), config.vocabulary)
    prepared = prepare_modalities(rows, options.data, config, cache, progress, ("speech",))
    found: ByCorpus = {}
    for corpus in CORPORA:
        train, test = _apart(rows, corpus)
        for seed in progress(options.seeds, f"{name}, without {corpus}"):
            network, _ = train_modality(prepared.modalities["speech"], train, [], config.speech, RunContext(seed=seed))
            scores = _scores(network, prepared, test, name)
            found.setdefault(corpus, []).append(predictions_of(rows, test, scores))
    return found


def _apart(rows: LabelledRows, corpus: str) -> tuple[list[int], list[int]]:
    """Rows of the other corpora, and of this one."""
    corpora = np.array([utterance.extra["corpus"] for utterance in rows.utterances])
    return np.flatnonzero(corpora != corpus).tolist(), np.flatnonzero(corpora == corpus).tolist()


def _run_calibration(options: Options, cache: FeatureCache) -> ByCorpus:
    """Predictions of the unadapted configuration with two kinds of temperature, by test corpus, one per seed."""
    config = _configs(options)["plain"]
    rows = label_rows(read_corpora(options.data), config.vocabulary)
    prepared = prepare_modalities(rows, options.data, config, cache, progress, ("speech",))
    return {
        corpus: [
            calibrated_predictions(prepared, *_apart(rows, corpus), config, seed)
            for seed in progress(options.seeds, f"calibration, without {corpus}")
        ]
        for corpus in CORPORA
    }


def _scores(network: Any, prepared: Prepared, test: Sequence[int], name: str) -> dict[str, Any]:
    """Scores by system."""
    before, after = adapted_scores(network, prepared, test, by_speaker=name == "speaker")
    if name in ("corpus", "speaker"):
        return {name: before, f"{name} adapted": after}
    alone = softmax(predict(network, prepared.modalities["speech"].examples.subset(test))[1])
    return {"unadapted": alone, "adapted": after} if name == "plain" else {name: alone, f"{name} adapted": after}


def _figures(found: ByCorpus) -> list[Figure]:
    """UAR of every system on every corpus, and the mean of the three."""
    systems = list(next(iter(found.values()))[0])
    figures = []
    for system in systems:
        name = SYSTEMS[system]
        each = [measure(_of(found, corpus, system), "speech", name, f"UAR {corpus}", UAR) for corpus in CORPORA]
        figures += [*each, _mean_figure(each, found, system, name)]
    return figures


def _of(found: ByCorpus, corpus: str, system: str) -> list[Predictions]:
    """A system's predictions of a corpus, one per seed."""
    return [one[system] for one in found[corpus]]


def _mean_figure(each: Sequence[Figure], found: ByCorpus, system: str, name: str) -> Figure:
    """Mean over the corpora; its interval from independent draws of each corpus's speakers."""
    values = np.mean([figure.seeds for figure in each], axis=0)
    rng, draws = np.random.default_rng(0), []
    for corpus in CORPORA:
        matrices = summed_confusions(_of(found, corpus, system), "speech")
        chosen = rng.integers(len(matrices), size=(2000, len(matrices)))
        draws.append([100 * float(UAR(matrices[rows].sum(0))) for rows in chosen])
    low, high = np.percentile(np.mean(draws, axis=0), [2.5, 97.5])
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    clusters = " + ".join(figure.clusters.split()[0] for figure in each) + " speakers"
    return Figure(
        system=name,
        metric="UAR, mean of three",
        mean=float(values.mean()),
        sd=sd,
        seeds=tuple(values.tolist()),
        low=float(low),
        high=float(high),
        clusters=clusters,
    )


def _notes(found: dict[str, ByCorpus]) -> tuple[str, ...]:
    """Warnings: in emotiontts_ko, the words of one script reveal the emotion, and the adaptation may learn them."""
    said = []
    for part in found.values():
        for system in part["emotiontts_ko"][0]:
            plain = [_plain_script(one) for one in _of(part, "emotiontts_ko", system)]
            said.append(f"{system} {np.mean(plain):.1f}")
    return (
        "In emotiontts_ko, each sentence of the emotional script belongs to one emotion. So the "
        "adaptation may learn sentences instead of emotions. UAR on its plain script alone (100 "
        "clips): " + ", ".join(said) + ".",
        "The corpora are in different languages, so no text is in two of them. Within RAVDESS and "
        "within EmoDB, every sentence is spoken in all emotions.",
    )


def _plain_script(predictions: Predictions) -> float:
    rows = np.array(["/em" in name for name in predictions.ids])
    guesses = predictions.scores["speech"].argmax(1)[rows]
    matrix = metrics.count_confusions(predictions.targets[rows], guesses, len(predictions.emotions))
    return 100 * float(UAR(matrix))


if __name__ == "__main__":
    run(read_options(__doc__ or ""))
