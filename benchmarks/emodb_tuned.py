"""EmoDB, four emotions, one speaker out; layers 3 and 4 of whisper-base tuned per fold, as on RAVDESS."""

import time
from dataclasses import replace

import msgspec
import torch

from benchmarks.record import Options, Result, config_digest, measure, measure_change, read_options, save_result
from benchmarks.tuned import CONFIG, pooled, prepare_tuning, pretrained_source, tune_folds
from bimodal.data.corpora.emodb import prepare
from bimodal.data.splits import speaker_folds
from bimodal.evaluation import metrics
from bimodal.features.cache import FeatureCache

UAR = metrics.unweighted_average_recall
STEPS = 150
"""As many updates as RAVDESS takes in four passes."""


def run(options: Options) -> Result:
    """All seeds, one speaker out, before and after tuning."""
    begun = time.monotonic()
    torch.set_num_threads(options.threads)
    source = pretrained_source("whisper-base-encoder", CONFIG.source)
    config = replace(CONFIG, source=source, vocabulary="acted4", min_steps=STEPS, threads=options.threads)
    folder = options.data / "emodb"
    with FeatureCache(options.cache) as cache:
        rows, _, sides = prepare_tuning(prepare(folder), folder, config, cache)
        folds = speaker_folds([utterance.speaker for utterance in rows.utterances], "loso")
        found = tune_folds(sides, folds, config, options, "emodb-tuned")
    frozen, tuned, once = (pooled(rows, folds, options.seeds, found, what) for what in ("frozen", "tuned", "once"))
    figures = (
        measure(tuned, "speech", "layers 3-4 tuned, clips heard at three speeds", "UAR", UAR),
        measure(once, "speech", "the same networks, clips heard once", "UAR", UAR),
        measure(frozen, "speech", "the head they started from, encoder as pretrained", "UAR", UAR),
        measure_change(tuned, frozen, "speech", "tuned - as pretrained", "UAR", UAR),
    )
    result = Result(
        name="emodb_tuned",
        title="EmoDB: voice, 4 emotions, one speaker out, layers tuned",
        protocol=f"{len(rows.utterances)} clips of anger, happiness, neutral, sadness. Per fold and seed: the head is "
        "trained on nine speakers over the frozen encoder, then layers 3 and 4 and the head together, over cached "
        "outputs of layer 2; what is tested lies half-way between the weights before and after. All ten pooled; "
        "nothing selected.",
        licence="CC0",
        seeds=options.seeds,
        figures=figures,
        quoted=(),
        notes=("The ten sentences are the same for all, and layers that carry words are tuned.",),
        tried=("The configuration is that of RAVDESS with as many updates; nothing was chosen on EmoDB.",),
        target="UAR of at least 98, mean over seeds",
        config=config_digest(config),
        settings=msgspec.to_builtins(replace(config, source=CONFIG.source)),
        minutes=(time.monotonic() - begun) / 60,
    )
    return save_result(result, options, f"UAR {figures[0].mean:.2f} sd {figures[0].sd:.2f}")


if __name__ == "__main__":
    run(read_options(__doc__ or ""))
