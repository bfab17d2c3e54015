"""Three ways to train one network on RAVDESS, timed to equal UAR on inner dev actors: the method's claim of speed.

`End to end` trains the encoder and the head. `Upper layers over a cache` trains the upper layers and the head on
cached outputs of the lower layers. `Frozen and cached` trains the head on cached outputs of the whole frozen encoder.
All three use the same number format and no augmentation. They train on the training part of one EmoBox fold; four of
its actors are the dev split. Dev is scored after every epoch. The times include reading the recordings, but not the
scoring. No test actor is used.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import torch

from benchmarks.record import Figure, Options, Result, config_digest, make_figure, read_options, save_result
from benchmarks.tuned import CONFIG, pretrained_source
from bimodal.audio.decode import load_signal
from bimodal.audio.level import normalise_level
from bimodal.config import TuneSpeechConfig
from bimodal.data.corpora.ravdess import FOLDS, prepare
from bimodal.data.splits import inner_dev, named_folds
from bimodal.features.cache import FeatureCache
from bimodal.features.logmel import log_mel
from bimodal.training.loop import predict
from bimodal.training.modality import Modality
from bimodal.training.rows import LabelledRows, label_rows
from bimodal.training.stage import RunContext, train_modality, uar_score
from bimodal.training.tune_speech import TunedSpeech, load_speech_model, train_tuned, tuned_speech

PASSES = 8
FOLDS_AMORTISED, SEEDS_AMORTISED = 6, 3


class Reached(Exception):  # noqa: N818 - no error: it ends a training early
    """The target dev score was reached."""


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One regime.

    Attributes:
        name: Of the regime.
        cached: Seconds to make what it trains on, of all rows.
        trained: Seconds of training until the target dev score, or of all epochs.
        score: Dev UAR at that moment, 0 to 1.
        passes: Passes until then.
        reached: Whether the target score was reached.
    """

    name: str
    cached: float
    trained: float
    score: float
    passes: int
    reached: bool

    @property
    def alone(self) -> float:
        """Seconds of one training with the cache built for it."""
        return self.cached + self.trained

    @property
    def amortised(self) -> float:
        """Seconds of one of 18 trainings (six folds, three seeds) that share what is cached."""
        return self.cached / (FOLDS_AMORTISED * SEEDS_AMORTISED) + self.trained


def run(options: Options) -> Result:
    """All seeds; fold 1's training actors, four of them held out."""
    begun = time.monotonic()
    torch.set_num_threads(options.threads)
    source = pretrained_source("whisper-base-encoder", CONFIG.source)
    config = replace(CONFIG, source=source, vocabulary="ravdess8", epochs=PASSES, threads=options.threads)
    config = replace(config, head=replace(config.head, augmentations=()))
    found = [time_regimes(options, replace(config, seed=seed)) for seed in options.seeds]
    figures = tuple(_figures(found))
    result = Result(
        name="regimes",
        title="Training time: end-to-end, cached lower layers, or cached frozen encoder",
        protocol=(__doc__ or "").partition("\n\n")[2].replace("\n", " ").strip(),
        licence="CC BY-NC-SA 4.0",
        seeds=options.seeds,
        figures=figures,
        quoted=(),
        notes=_notes(found, options.threads),
        tried=(),
        target="to the same dev UAR, `frozen and cached` is at least 5 times faster than `end to end`, with the cache "
        "built for one training. Where six folds and three seeds share the cache: at least 20 times",
        config=config_digest(config),
        settings=msgspec.to_builtins(replace(config, source=CONFIG.source)),
        minutes=(time.monotonic() - begun) / 60,
    )
    return save_result(result, options, "; ".join(f"{one.system} {one.mean:.1f} {one.metric}" for one in figures))


def time_regimes(options: Options, config: TuneSpeechConfig) -> list[Timed]:
    """The three regimes of one seed; each starts with an empty cache."""
    folder = options.data / "ravdess"
    utterances = prepare(folder)
    fold = named_folds([utterance.speaker for utterance in utterances], FOLDS)[0]
    rows = label_rows([utterances[row] for row in fold.train], config.vocabulary)
    frozen = _frozen(rows, folder, config)
    upper = _tuned("upper layers over a cache", rows, folder, config, frozen.score)
    fresh = replace(config.head, epochs=0, min_steps=0)
    whole = _tuned("end to end", rows, folder, replace(config, frozen=0, head=fresh), frozen.score)
    return [replace(whole, cached=_reading(rows, folder)), upper, frozen]


def _reading(rows: LabelledRows, folder: Path) -> float:
    """Seconds to read all recordings and make their spectrograms once: all that training end to end needs."""
    begun = time.monotonic()
    for utterance in rows.utterances:
        log_mel(normalise_level(load_signal(folder / str(utterance.path))))
    return time.monotonic() - begun


def _cached(rows: LabelledRows, folder: Path, config: TuneSpeechConfig, where: str) -> tuple[TunedSpeech, float]:
    """What is trained on, and the seconds that it took to read the recordings and make it."""
    pretrained = load_speech_model(config)
    begun = time.monotonic()
    with FeatureCache(where) as cache:
        sides = tuned_speech(rows, folder, pretrained, config, cache, precision=config.precision)
    return sides, time.monotonic() - begun


def _parts(rows: LabelledRows) -> tuple[list[int], list[int]]:
    speakers = [utterance.speaker for utterance in rows.utterances]
    dev = list(inner_dev(speakers, [rows.emotions[target] for target in rows.targets], share=0.2))
    return sorted(set(range(len(speakers))) - set(dev)), dev


def _frozen(rows: LabelledRows, folder: Path, config: TuneSpeechConfig) -> Timed:
    """The head over the frozen encoder, its whole recipe; the dev score at its end is what the others must reach."""
    with tempfile.TemporaryDirectory() as scratch:
        sides, cached = _cached(rows, folder, config, scratch)
        train, dev = _parts(rows)
        begun = time.monotonic()
        network, record = train_modality(sides.first, train, [], config.head, RunContext(seed=config.seed))
        trained = time.monotonic() - begun
        score = _score(network, sides.first, dev)
    passes = len(record.history)
    return Timed(name="frozen and cached", cached=cached, trained=trained, score=score, passes=passes, reached=True)


def _tuned(name: str, rows: LabelledRows, folder: Path, config: TuneSpeechConfig, wanted: float) -> Timed:
    """Encoder layers and head together, until the target dev score.

    Over a cache the head is trained first, which is counted; end to end it starts at random. The statistics that
    standardise its inputs come from a pass of the pretrained encoder, which end to end is not charged.
    """
    seconds, scores = [0.0], [0.0]

    def watch(entry: dict[str, float]) -> None:
        if "dev" in entry:
            seconds.append(entry["seconds"])
            scores.append(entry["dev"])
            if entry["dev"] >= wanted:
                raise Reached

    with tempfile.TemporaryDirectory() as scratch:
        sides, cached = _cached(rows, folder, config, scratch)
        train, dev = _parts(rows)
        begun = time.monotonic()
        train_modality(sides.first, train, [], config.head, RunContext(seed=config.seed))
        head = time.monotonic() - begun
        try:
            patient = replace(config, patience=config.epochs)
            train_tuned(sides, train, dev, patient, RunContext(seed=config.seed, on_epoch=watch))
        except Reached:
            pass
    passes, reached = len(scores) - 1, scores[-1] >= wanted
    trained = head + sum(seconds)
    return Timed(name=name, cached=cached, trained=trained, score=scores[-1], passes=passes, reached=reached)


def _score(network: Any, side: Modality, dev: Sequence[int]) -> float:
    _, logits = predict(network, side.examples.subset(dev))
    return uar_score(logits, side.examples.targets[dev])


def _figures(found: Sequence[Sequence[Timed]]) -> Iterator[Figure]:
    """Seconds of every regime, alone and amortised, and how many times faster the frozen one is."""
    for place, regime in enumerate(found[0]):
        alone = [one[place].alone for one in found]
        yield make_figure(regime.name, "seconds, cache for one training", alone)
        yield make_figure(regime.name, "seconds, cache shared", [one[place].amortised for one in found])
    for place, regime in enumerate(found[0][:-1]):
        name = f"{regime.name} / {found[0][-1].name}"
        yield make_figure(name, "times, cache for one training", [one[place].alone / one[-1].alone for one in found])
        yield make_figure(name, "times, cache shared", [one[place].amortised / one[-1].amortised for one in found])


def _notes(found: Sequence[Sequence[Timed]], threads: int) -> tuple[str, ...]:
    told = [
        f"seed {seed}: {one.name}: {one.cached:.0f} s for caching or reading, {one.trained:.0f} s for training "
        f"({one.passes} epochs), dev UAR {100 * one.score:.1f}{'' if one.reached else ' (target UAR not reached)'}"
        for seed, regimes in enumerate(found)
        for one in regimes
    ]
    return (
        f"Threads: {threads}. Matrix products in bfloat16 in all three. `Cache shared`: "
        f"{FOLDS_AMORTISED * SEEDS_AMORTISED} trainings (six folds, three seeds) share the cached "
        "features.",
        *told,
    )


if __name__ == "__main__":
    run(read_options(__doc__ or ""))
