"""EmoDB, the four complete emotions, one speaker left out at a time; speech alone."""

import time
from dataclasses import replace

import msgspec

from benchmarks.acted import CONFIG, prepare_corpus, run_folds
from benchmarks.record import Options, Quoted, Result, config_digest, measure, read_options, save_result
from bimodal import metrics
from bimodal.corpora.emodb import prepare
from bimodal.features.cache import FeatureCache
from bimodal.splits import speaker_folds

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
SMALL_CORPUS_NOISE = 3.0
"""More than the default of 1: decided on small training parts of another corpus, see `TRIED`."""

TRIED = (
    "With the configuration of RAVDESS unchanged: 95.45 (sd 0.10).",
    "Only the noise in training was changed since, and decided without EmoDB: on RAVDESS' training actors cut down to "
    "EmoDB's size (9 actors, 252 clips, the same four emotions; six draws, ten other inner actors tested) noise of 1, "
    "2, 3 gave 79.2, 80.6, 81.1; 100 components 80.0, all 80.2, no views 79.2. On all of RAVDESS' inner actors more "
    "noise does not pay (76.9 against 77.4), so the default stays.",
    "Earlier looks by research prototypes stand in docs/ledger.csv. One of them reached 97.2 with the view speed1.1 "
    "alone and one seed; it was not taken, as only the tested folds spoke for it.",
)


def run(options: Options) -> Result:
    """All seeds, one speaker out, and a linear baseline."""
    begun = time.monotonic()
    config = replace(
        CONFIG, vocabulary="acted4", threads=options.threads, speech=replace(CONFIG.speech, noise=SMALL_CORPUS_NOISE)
    )
    folder = options.data / "emodb"
    with FeatureCache(options.cache) as cache:
        prepared = prepare_corpus(prepare(folder), folder, config, cache)
        folds = speaker_folds([utterance.speaker for utterance in prepared.rows.utterances], "loso")
        found = run_folds(prepared, folds, config, options)
    uar, wa = metrics.unweighted_average_recall, metrics.accuracy
    figures = (
        measure(found.trained, "speech", "speech stage", "UAR", uar),
        measure(found.trained, "speech", "speech stage", "WA", wa),
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
        target="UAR of at least 96.5, mean over seeds",
        config=config_digest(config),
        settings=msgspec.to_builtins(config.speech),
        minutes=(time.monotonic() - begun) / 60,
    )
    return save_result(result, options, f"UAR {figures[0].mean:.2f} sd {figures[0].sd:.2f}")


if __name__ == "__main__":
    run(read_options(__doc__ or ""))
