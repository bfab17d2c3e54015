"""EmoDB, the four complete emotions, one speaker left out at a time; speech alone."""

import time
from dataclasses import replace

import msgspec

from benchmarks.acted import CONFIG, HEARD, heard_once, prepare_corpus, run_folds
from benchmarks.record import Options, Quoted, Result, config_digest, measure, read_options, save_result
from bimodal.data.corpora.emodb import prepare
from bimodal.data.splits import speaker_folds
from bimodal.evaluation import metrics
from bimodal.features.cache import FeatureCache

QUOTED = (
    Quoted(system="log-mel statistics + SVM", metric="UAR", value=85.0, source="our earlier run, not repeated here"),
    Quoted(
        system="mean, deviation, 90th percentile of the same layers + logistic regression",
        metric="UAR",
        value=96.5,
        source="our earlier run, not repeated here",
    ),
)
TRIED = (
    "With the speech backbone in float32 (commit b40f83b), the same runs reached 96.17 (95.86 "
    "without test-time augmentation).",
    "The configuration is that of RAVDESS. Nothing was chosen on EmoDB. The target was not reached.",
    "Layers 3 and 4 tuned on all of RAVDESS, then frozen, with logistic regression: 91.6.",
    "One change was chosen without EmoDB, on RAVDESS' training actors reduced to EmoDB's size (9 "
    "actors, 252 clips, the same four emotions; six draws, ten other inner actors tested). Input "
    "noise of 1, 2, 3 in training reached 79.2, 80.6, 81.1. Logistic regression with C = 0.001, "
    "0.01, 0.1 reached 79.7, 81.0, 81.0. On EmoDB, noise of 3 reached 94.10 (sd 0.18), less than "
    "the default, and regression with C = 0.01 reached 93.9. So what helps a small RAVDESS does "
    "not help EmoDB. The change was reverted. It did not help on all of RAVDESS' inner actors "
    "either (76.9 against 77.4).",
    "docs/ledger.csv lists earlier tests by research prototypes. One reached 97.2 with the "
    "augmentation speed1.1 alone and one seed. It was not used, since only the tested folds "
    "supported it.",
)


def run(options: Options) -> Result:
    """All seeds, leave one speaker out, and logistic regression."""
    begun = time.monotonic()
    config = replace(CONFIG, vocabulary="acted4", speech=HEARD, threads=options.threads)
    folder = options.data / "emodb"
    with FeatureCache(options.cache) as cache:
        prepared = prepare_corpus(prepare(folder), folder, config, cache)
        folds = speaker_folds([utterance.speaker for utterance in prepared.rows.utterances], "loso")
        found = run_folds(prepared, folds, config, options, {"once": heard_once(prepared, config, cache)})
    uar, wa = metrics.unweighted_average_recall, metrics.accuracy
    figures = (
        measure(found.trained, "speech", "speech network, test-time augmentation (three speeds)", "UAR", uar),
        measure(found.trained, "speech", "speech network, test-time augmentation (three speeds)", "WA", wa),
        measure(found.others["once"], "speech", "same networks, without test-time augmentation", "UAR", uar),
        measure([found.linear], "speech", "logistic regression on the same statistics", "UAR", uar),
    )
    dropped = [f"{count} clips left out: {reason}." for reason, count in prepared.rows.dropped.items()]
    result = Result(
        name="emodb",
        title="EmoDB: speech emotion recognition, 4 emotions, leave one speaker out",
        protocol=f"{len(prepared.rows.utterances)} clips of anger, happiness, neutral, sadness. Each network "
        "trains on nine speakers for a fixed number of steps and is tested on the tenth. The "
        "predictions for all ten are pooled. There is no model selection.",
        licence="CC0",
        seeds=options.seeds,
        figures=figures,
        quoted=QUOTED,
        notes=(
            *dropped,
            "The intervals are too narrow, since there are only ten speakers. All speakers say the same ten sentences.",
        ),
        tried=TRIED,
        target="UAR of at least 98, mean over seeds",
        config=config_digest(config),
        settings=msgspec.to_builtins(config.speech),
        minutes=(time.monotonic() - begun) / 60,
    )
    return save_result(result, options, f"UAR {figures[0].mean:.2f} sd {figures[0].sd:.2f}")


if __name__ == "__main__":
    run(read_options(__doc__ or ""))
