"""How far scores can be taken at their word within a corpus: calibration error on RAVDESS and MELD."""

import time
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import torch

from benchmarks.acted import CONFIG, HEARD, prepare_corpus, progress
from benchmarks.calibrated import calibration_figure
from benchmarks.meld import CONFIG as MELD
from benchmarks.meld import prepare_meld, run_seed
from benchmarks.record import Figure, Options, Result, config_digest, measure, read_options, save_result
from bimodal.config import TrainConfig
from bimodal.data.corpora.ravdess import FOLDS, prepare
from bimodal.data.splits import named_folds
from bimodal.evaluation import metrics
from bimodal.evaluation.predictions import Predictions, concatenate
from bimodal.evaluation.protocols import predict_rows, train_fold
from bimodal.features.cache import FeatureCache

RAVDESS = replace(CONFIG, vocabulary="ravdess8", speech=HEARD)
METHODS = {"temperature": "temperature", "vector": "vector scaling"}
UAR = metrics.unweighted_average_recall
TRIED = (
    "MELD: temperatures fitted on cross-fitted training rows gave an ECE of 6.2 to 6.8 for the fused scores. On "
    "dev and training rows together it was 6.1 to 6.6 (three seeds; scratch scripts that are not in this "
    "repository). A temperature that depends on the scores, which changes no answer, gave 4.1 (one seed). The "
    "temperature that fits test best would give 2.1 to 3.6: the emotions of dev and test differ, so one divisor "
    "from dev is not the right one.",
)


def run(options: Options) -> Result:
    """Both corpora, by temperature and by vector scaling."""
    begun = time.monotonic()
    torch.set_num_threads(options.threads)
    figures = [*ravdess(options), *meld(options)]
    result = Result(
        name="calibration",
        title="Calibration within a corpus: RAVDESS and MELD",
        protocol="RAVDESS, voice: six folds of four unseen actors; each network trains on the other 20. Nobody is held"
        " out: each training actor is scored by a network that was not trained on him or her (five parts), and the "
        'calibration is fitted to these scores (`calibrate_on = "cross_fitted"`). MELD, voice, words and fused: '
        "official split, calibration fitted on dev. ECE has 15 bins of equal width, its interval is over speakers or "
        "dialogues. `not calibrated` are the scores as the networks give them.",
        licence="CC BY-NC-SA 4.0 (RAVDESS), GPL-3.0 (MELD)",
        seeds=options.seeds,
        figures=tuple(figures),
        notes=(
            "A temperature changes no answer. Vector scaling does: it raises the accuracy on MELD and lowers the recall"
            " of rare emotions, which the fusion's class weights had raised.",
        ),
        quoted=(),
        tried=TRIED,
        target="ECE of at most 4 on RAVDESS and on MELD",
        config=config_digest(RAVDESS),
        settings=msgspec.to_builtins(RAVDESS.speech),
        minutes=(time.monotonic() - begun) / 60,
    )
    return save_result(result, options, "; ".join(f"{one.system} {one.metric} {one.mean:.2f}" for one in figures))


def ravdess(options: Options) -> list[Figure]:
    """Voice, calibrated on cross-fitted training actors."""
    folder = options.data / "ravdess"
    with FeatureCache(options.cache) as cache:
        prepared = prepare_corpus(prepare(folder), folder, RAVDESS, cache)
    folds = named_folds([utterance.speaker for utterance in prepared.rows.utterances], FOLDS)
    found: dict[str, list[Predictions]] = {}
    for calibration, on in (("temperature", "dev"), ("temperature", "cross_fitted"), ("vector", "cross_fitted")):
        name = METHODS[calibration] if on == "cross_fitted" else "not calibrated"
        for seed in options.seeds:
            config = replace(RAVDESS, calibration=calibration, calibrate_on=on, seed=seed, threads=options.threads)
            parts = []
            for fold in progress(folds, f"{name}, seed {seed}"):
                kept = options.cache / "runs" / f"calibration-{config_digest(RAVDESS)}" / f"seed{seed}-{fold.name}"
                trained, inner = train_fold(prepared, fold, config, kept)
                parts.append(predict_rows(trained, prepared, inner, fold.test, "speaker"))
            found.setdefault(name, []).append(concatenate(*parts))
    return [figure for name, several in found.items() for figure in _figures(several, "RAVDESS", ("speech",), name)]


def meld(options: Options) -> list[Figure]:
    """Voice, words and fused, calibrated on the official dev part."""
    figures = []
    for calibration, name in METHODS.items():
        config: TrainConfig = replace(MELD, calibration=calibration, threads=options.threads)
        prepared, parts = prepare_meld(options, config)
        test = prepared.rows.rows("test")
        found = [run_seed(prepared, parts, test, replace(config, seed=seed), options) for seed in options.seeds]
        figures += _figures(found, "MELD", ("speech", "text", "fused"), name)
    return figures


def _figures(found: Sequence[Predictions], corpus: str, systems: Sequence[str], method: str) -> list[Figure]:
    shown = {"speech": "voice", "text": "words", "fused": "fused"}
    wanted = (("UAR", UAR), ("accuracy", metrics.accuracy))
    return [
        figure
        for system in systems
        for name in [f"{corpus}, {shown[system]}, {method}"]
        for figure in (
            calibration_figure(found, system, name),
            *(measure(found, system, name, *metric) for metric in wanted),
        )
    ]


if __name__ == "__main__":
    run(read_options(__doc__ or ""))
