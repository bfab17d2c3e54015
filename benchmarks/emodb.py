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
    Quoted(
        system="log-mel statistics + SVM", metric="UAR", value=85.0, source="an earlier run of ours, not repeated here"
    ),
    Quoted(
        system="mean, deviation, 90th percentile of the same layers + logistic regression",
        metric="UAR",
        value=96.5,
        source="an earlier run of ours, not repeated here",
    ),
)
TRIED = (
    "With the speech backbone computed in float32 (commit b40f83b) the same runs gave 96.17 (heard once 95.86).",
    "The configuration is that of RAVDESS, unchanged; nothing was chosen on EmoDB. The target was not reached.",
    "Layers 3 and 4 tuned on all of RAVDESS, then frozen, with logistic regression: 91.6.",
    "One change was decided without EmoDB: on RAVDESS' training actors cut down to EmoDB's size (9 actors, 252 clips, "
    "the same four emotions; six draws, ten other inner actors tested) noise of 1, 2, 3 in training gave 79.2, 80.6, "
    "81.1 and logistic regression with C = 0.001, 0.01, 0.1 79.7, 81.0, 81.0. On EmoDB noise of 3 gave 94.10 "
    "(sd 0.18), less than the default, and regression with C = 0.01 93.9: what helps a small RAVDESS does not help "
    "EmoDB. The change was taken back; on all of RAVDESS' inner actors it did not pay either (76.9 against 77.4).",
    "Earlier looks by research prototypes stand in docs/ledger.csv. One of them reached 97.2 with the view speed1.1 "
    "alone and one seed; it was not taken, as only the tested folds spoke for it.",
)


def run(options: Options) -> Result:
    """All seeds, one speaker out, and a linear baseline."""
    begun = time.monotonic()
    config = replace(CONFIG, vocabulary="acted4", speech=HEARD, threads=options.threads)
    folder = options.data / "emodb"
    with FeatureCache(options.cache) as cache:
        prepared = prepare_corpus(prepare(folder), folder, config, cache)
        folds = speaker_folds([utterance.speaker for utterance in prepared.rows.utterances], "loso")
        found = run_folds(prepared, folds, config, options, {"once": heard_once(prepared, config, cache)})
    uar, wa = metrics.unweighted_average_recall, metrics.accuracy
    figures = (
        measure(found.trained, "speech", "speech stage, clips heard at three speeds", "UAR", uar),
        measure(found.trained, "speech", "speech stage, clips heard at three speeds", "WA", wa),
        measure(found.others["once"], "speech", "the same networks, clips heard once", "UAR", uar),
        measure([found.linear], "speech", "logistic regression, same statistics", "UAR", uar),
    )
    dropped = [f"{count} clips left out: {reason}." for reason, count in prepared.rows.dropped.items()]
    result = Result(
        name="emodb",
        title="EmoDB: voice, 4 emotions, one speaker out",
        protocol=f"{len(prepared.rows.utterances)} clips of anger, happiness, neutral, sadness; trained on nine "
        "speakers for a fixed number of steps, tested on the tenth, all ten pooled; nothing selected.",
        licence="CC0",
        seeds=options.seeds,
        figures=figures,
        quoted=QUOTED,
        notes=(*dropped, "Ten speakers are few: the intervals are too narrow. The ten sentences are the same for all."),
        tried=TRIED,
        target="UAR of at least 98, mean over seeds",
        config=config_digest(config),
        settings=msgspec.to_builtins(config.speech),
        minutes=(time.monotonic() - begun) / 60,
    )
    return save_result(result, options, f"UAR {figures[0].mean:.2f} sd {figures[0].sd:.2f}")


if __name__ == "__main__":
    run(read_options(__doc__ or ""))
