"""What `bimodal adapt` does with clips of mostly one emotion: the packaged model on RAVDESS and emotiontts_ko.

`--model FOLDER` names another model folder. Each draw takes clips of a corpus at random, adapts to them without labels,
and recognises them and the other clips of the corpus.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.acted import progress
from benchmarks.default_models import COMPLETE, complete_rows, read_model_options, source_of
from benchmarks.record import Figure, Options, Result, make_figure, save_result
from bimodal.audio.decode import load_signal
from bimodal.features.adaptation import Adaptation
from bimodal.features.pooling import pool
from bimodal.features.speaker_stats import SpeakerStatsStore, empty_stats
from bimodal.inference.adapt import EncodedClips, fit_adaptation
from bimodal.inference.model import Model
from bimodal.inference.model_folder import GRAPHS
from bimodal.inference.speaker_normalization import score_statistics
from bimodal.runtime import make_session

CLIPS = (20, 60)
DRAWS = 20
MIXED = "mixed emotions"
SHARES: Mapping[str, tuple[float, ...]] = {MIXED: (0.25,) * 4} | {
    f"90 % {emotion}": tuple(0.9 if other == emotion else 0.1 / 3 for other in COMPLETE) for emotion in COMPLETE
}
TRIED = (
    "The limits .56 and .62 of the relative scatter less one standard error (.43 / sqrt(n) for n clips) were "
    "chosen with the packaged model on RAVDESS and emotiontts_ko. So these figures are development figures. "
    "Limits of .6 and .7 for any number of clips followed 1,248 RAVDESS clips of six emotions by 70 % only (UAR "
    "68.3 instead of 71.7). They followed 20 clips of one emotion too often. Two standard errors, or limits of "
    ".54 and .62, were no better. Below .65 nothing is learnt from the model's own answers: with it, all clips "
    "of emotiontts_ko (.63) had UAR 53.7 and ECE 18.3; without it, 55.0 and 12.2.",
    "What follows is from scratch scripts: one seed, 60 clips, the shift of the mean alone. Networks with augmented "
    "copies, one corpus left out, clips with 90 % of one emotion: the whole shift lost 14 to 31 points on those "
    "clips. "
    "Half the shift lost 5 to 10. With a check of the scatter (limits .65 and .8) they lost none.",
    "The entropy of the answers' shares (the smaller of before and after half a shift) was as good a check. The "
    "scatter "
    "was taken because a shift does not change it. Without augmented copies, both took mixed clips of CREMA-D "
    "for clips "
    "of one emotion.",
    "Moving no mean along the three discriminant axes of the four emotions. Without augmented copies, the mean "
    "UAR of "
    "the four corpora rose from 60.4 to 68.5 (whole shift 66.5), and clips of 90 % of one emotion gained 5. With "
    "augmented copies, it was 66.4 (64.4 unadapted, whole shift 67.2). The packaged model lost 3 on RAVDESS and "
    "13 on "
    "emotiontts_ko. It is not used.",
    "Expectation maximisation with free shares of emotions was worse than half the shift. A posterior mean of "
    "the offset "
    "over drawn shares, along these axes, was no better than moving no mean along them.",
    "A correction from the network's own answers, beside these axes. With 60 mixed clips, it changed the UAR of "
    "the other "
    "clips by 0 to -5 points; with 250, by 0 to +9.",
)
SYSTEMS = {"own": "those clips, accuracy", "other": "the other clips of the corpus, UAR"}


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A corpus of the four complete emotions, encoded.

    Attributes:
        name: Of it.
        statistics: Pooled statistics (N, P, L, D).
        truth: Emotions (N,), numbers of `COMPLETE`.
    """

    name: str
    statistics: Any
    truth: Any


class Adapting:
    """A model's speech network, unadapted and adapted to clips."""

    def __init__(self, folder: Path) -> None:
        self.model = Model(folder, threads=1)
        self.session = make_session(folder / GRAPHS["speech"], threads=1)
        self.columns = [self.model.emotions.index(emotion) for emotion in COMPLETE]

    def adapt(self, statistics: Any) -> Adaptation:
        """As `bimodal adapt` does with these clips."""
        clips = EncodedClips(statistics=statistics, speakers=(None,) * len(statistics), seconds=0.0, unusable=0)
        return fit_adaptation(self.model, clips, SpeakerStatsStore())

    def answers(self, statistics: Any, adaptation: Adaptation | None) -> Any:
        """The best of the four emotions for each clip, (n,)."""
        own = [empty_stats(statistics.shape[1:])] * len(statistics)
        logits = score_statistics(self.session, False, statistics, own, adaptation)[1]
        return logits[:, self.columns].argmax(axis=1)


def encode_corpus(name: str, model: Model, options: Options) -> Corpus:
    """Clips of the four emotions as the backbone encodes them."""
    folder = source_of(name, options)
    rows = complete_rows(name, folder)
    statistics, truth = [], []
    for row in progress(rows, name):
        frames = model.encode_frames(load_signal(folder / str(row.path)))
        if frames is not None:
            statistics.append(pool(frames, model.pooling))
            truth.append(COMPLETE.index(str(row.emotion)))
    return Corpus(name=name, statistics=np.stack(statistics), truth=np.array(truth))


def draw_clips(rng: np.random.Generator, truth: Any, clips: int, shares: Sequence[float]) -> Any:
    """Rows of so many clips with these shares of emotions, in number as near as possible."""
    counts = np.floor(np.array(shares) * clips + 1e-9).astype(int)
    rest = rng.permutation(len(shares))[: clips - counts.sum()]
    counts[rest] += 1
    pools = [rng.permutation(np.flatnonzero(truth == emotion)) for emotion in range(len(shares))]
    return np.concatenate([pool[:count] for pool, count in zip(pools, counts, strict=True)])


def uar_of(answers: Any, truth: Any) -> float:
    """Unweighted average recall, 0 to 1."""
    return float(np.mean([(answers[truth == emotion] == emotion).mean() for emotion in np.unique(truth)]))


def measure_draws(adapting: Adapting, corpus: Corpus, clips: int, shares: Sequence[float]) -> dict[str, Any]:
    """Points of percent before and after, (draws, 2), on those clips and on the others."""
    unadapted, rng = adapting.answers(corpus.statistics, None), np.random.default_rng(0)
    found: dict[str, list[tuple[float, float]]] = {"own": [], "other": [], "refused": []}
    for _ in range(DRAWS):
        own = draw_clips(rng, corpus.truth, clips, shares)
        other = np.setdiff1d(np.arange(len(corpus.truth)), own)
        adaptation = adapting.adapt(corpus.statistics[own])
        adapted = adapting.answers(corpus.statistics, adaptation) if adaptation.share else unadapted
        pair = (unadapted, adapted)
        found["refused"].append((0.0, float(not adaptation.share)))
        found["own"].append(tuple(float((one[own] == corpus.truth[own]).mean()) for one in pair))  # type: ignore[arg-type]
        found["other"].append(tuple(uar_of(one[other], corpus.truth[other]) for one in pair))  # type: ignore[arg-type]
    return {name: 100 * np.array(values) for name, values in found.items()}


def figures_of(name: str, found: Mapping[str, Any]) -> list[Figure]:
    """Before, after and the gain, with the middle 95 % of the draws."""
    figures = []
    for side, told in SYSTEMS.items():
        before, after = found[side].T
        for title, values in (("before", before), ("after", after), ("after - before", after - before)):
            low, high = np.percentile(values, [2.5, 97.5])
            ends = {"low": float(low), "high": float(high), "clusters": f"{DRAWS} draws"}
            figures.append(make_figure(f"{name}; {told}", title, [float(values.mean())], **ends))
    figures.append(make_figure(name, "refused, % of the draws", [float(found["refused"][:, 1].mean())]))
    return figures


def run(options: Options, folder: Path) -> Result:
    """Every share of emotions, two numbers of clips, two corpora."""
    begun, adapting = time.monotonic(), Adapting(folder)
    figures: list[Figure] = []
    for name in ("ravdess", "emotiontts"):
        corpus = encode_corpus(name, adapting.model, options)
        for clips in CLIPS:
            several = {told: measure_draws(adapting, corpus, clips, shares) for told, shares in SHARES.items()}
            skewed = [found for told, found in several.items() if told != MIXED]
            several["mean of the four with 90 %"] = {
                side: np.mean([found[side] for found in skewed], axis=0) for side in (*SYSTEMS, "refused")
            }
            figures += [
                one for told, found in several.items() for one in figures_of(f"{name}, {clips} clips, {told}", found)
            ]
    gains = [one for one in figures if one.metric == "after - before" and ", 60 clips" in one.system]
    result = Result(
        name="adapt_skew",
        title="Adaptation to clips of mostly one emotion",
        protocol=f"`bimodal adapt` with clips drawn at random from an unseen corpus, {DRAWS} times. The packaged model "
        "`permissive` was not trained on these corpora. The answer is the best of anger, happiness, neutral and "
        "sadness. Intervals hold the middle 95 % of the draws.",
        licence="RAVDESS CC BY-NC-SA 4.0, emotiontts_ko CC BY-NC-SA 4.0",
        seeds=(0,),
        figures=tuple(figures),
        quoted=(),
        notes=("Where `bimodal adapt` refuses the clips, the unadapted model answers.",),
        tried=TRIED,
        target="those clips at least -2, mean of the four at least 0; the other clips never below the unadapted model",
        config="",
        settings={"model": msgspec.to_builtins(adapting.model.config.revision)},
        minutes=(time.monotonic() - begun) / 60,
        command="python -m benchmarks.adapt_skew",
    )
    return save_result(result, options, "; ".join(f"{one.system} {one.mean:+.1f}" for one in gains))


if __name__ == "__main__":
    run(*read_model_options(__doc__ or ""))
