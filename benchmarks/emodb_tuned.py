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
        measure(tuned, "speech", "layers 3-4 tuned, test-time augmentation (three speeds)", "UAR", UAR),
        measure(once, "speech", "same networks, without test-time augmentation", "UAR", UAR),
        measure(frozen, "speech", "before tuning: pretrained encoder, trained head", "UAR", UAR),
        measure_change(tuned, frozen, "speech", "tuned - before tuning", "UAR", UAR),
    )
    result = Result(
        name="emodb_tuned",
        title="EmoDB: speech emotion recognition with tuned encoder layers, 4 emotions, leave one speaker out",
        protocol=f"{len(rows.utterances)} clips of anger, happiness, neutral, sadness. For each fold and seed, "
        "the head is first trained on nine speakers over the frozen encoder. Then layers 3 and 4 and "
        "the head are tuned together, on cached outputs of layer 2. The tested weights lie half-way "
        "between the weights before and after tuning. The predictions for all ten speakers are "
        "pooled. There is no model selection.",
        licence="CC0",
        seeds=options.seeds,
        figures=figures,
        quoted=(),
        notes=("All speakers say the same ten sentences, and the tuned layers also encode words.",),
        tried=("The configuration is that of RAVDESS, with the same number of updates. Nothing was chosen on EmoDB.",),
        target="UAR of at least 98, mean over seeds",
        config=config_digest(config),
        settings=msgspec.to_builtins(replace(config, source=CONFIG.source)),
        minutes=(time.monotonic() - begun) / 60,
    )
    return save_result(result, options, f"UAR {figures[0].mean:.2f} sd {figures[0].sd:.2f}")


if __name__ == "__main__":
    run(read_options(__doc__ or ""))
