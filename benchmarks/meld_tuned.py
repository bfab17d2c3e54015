"""MELD with a tuned language model, the dialogue's context and prosody; `--choose` compares candidates, test unseen.

Every stage lies in the cache's folder `runs`: an interrupted run goes on, a finished one is loaded.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from benchmarks import meld
from benchmarks.prosody import with_history
from benchmarks.read_back import read_back
from benchmarks.record import (
    Figure,
    Options,
    Result,
    average_scores,
    config_digest,
    measure,
    measure_change,
    measure_gain,
    read_options,
    save_result,
)
from bimodal.config import LossConfig, TextConfig, TrainConfig, TuneTextConfig
from bimodal.data.corpora import prepare_corpus
from bimodal.data.splits import Fold
from bimodal.errors import ManifestError
from bimodal.evaluation import metrics
from bimodal.evaluation.predictions import Predictions
from bimodal.evaluation.protocols import predict_rows
from bimodal.features.backbone import DESCRIPTION, find_backbone, read_description
from bimodal.records import Utterance
from bimodal.training.outputs import compute_outputs, cross_fit, inner_folds
from bimodal.training.prepare import Prepared
from bimodal.training.rows import Parts
from bimodal.training.stage import RunContext, train_modality
from bimodal.training.train import fit_fused, fit_modality
from bimodal.training.trained import FittedModality, Trained
from bimodal.training.tune import RUN
from bimodal.training.tune_text import load_language_model, tune_text, tuned_text_modality

GOEMOTIONS = TuneTextConfig(
    name="minilm-goemotions",
    vocabulary="native",
    licence="Apache-2.0",
    trained_on="GoEmotions (Apache-2.0), train part, 28 labels as soft targets",
    epochs=3,
    batch_size=64,
    encoder_lr_multiplier=0.2,
    layer_decay=0.9,
    frozen=1,
    max_tokens=64,
    loss=LossConfig(gamma=0.0, affinity="none", beta=0.0),
)
"""The first tuning: any weights may be fed with it."""

TUNE = TuneTextConfig(
    name="minilm-meld",
    licence="GPL-3.0 (MELD), for benchmarks",
    trained_on="MELD, official train part",
    official_split="MELD",
    epochs=3,
    batch_size=32,
    frozen=2,
    max_tokens=64,
    loss=LossConfig(gamma=1.0, affinity="none", beta=0.0),
)
"""The second: on MELD's own train part, each utterance by itself."""

CONFIG = replace(
    meld.CONFIG,
    speech=replace(meld.CONFIG.speech, columns=("pros_*_own", "pros_*_before")),
    text=TextConfig(context=8, epochs=6, min_steps=0, loss=LossConfig(gamma=1.0, beta=0.3)),
    fusion=replace(meld.CONFIG.fusion, n_folds=4),
)
"""Prosody beside the speaker's own and the dialogue's; a network that reads the eight utterances before each one."""

PRETRAINED = "sentence-transformers/all-MiniLM-L6-v2"
STARTS = ("plain", "goemotions")
START = "goemotions"
TRIED = (
    "The initial weights were chosen on dev (three seeds). Weighted F1 of text: from GoEmotions "
    "58.3 to 59.1, from the published weights 57.0 to 58.1.",
    "Dialogue context as additional input of the language model did not help (scratch script, one"
    " seed, dev). The input was four earlier utterances, each after its speaker's name, marked by"
    " token types; the mean was taken over the utterance's own tokens. Weighted F1: 58.5, against"
    " 58.8 for the utterance alone. The mean of both networks reaches 60.0, since two networks "
    "are better than one.",
    "In weighted F1, the voice adds almost nothing. On the train part, each row was scored by "
    "networks that did not train on its dialogue (seed 0). Text alone: 60.8 (UAR 40.2). Product "
    "of experts with the voice at weight .3, .6, 1: 61.0, 60.9, 60.4 (UAR 40.3, 40.6, 41.0). "
    "Cross-validated gate: 60.3 (41.5) with square-root class weights, 60.0 (38.0) without, 60.3 "
    "(40.1) with two sharpness parameters alone. Late fusion: 56.8. Dev differs (text 59.1, both "
    "60.7), but dev is a ninth of the size and has fewer neutral utterances than train and test.",
    "Prosody alone on dev, weighted F1: as given 29.4; with the speaker's mean in addition 31.4; "
    "with the mean of the three utterances before 33.2; boosted trees 33.6. More hidden units, "
    "more epochs and four heads were no better.",
)
WANTED: tuple[tuple[str, Any], ...] = (
    ("weighted F1", metrics.weighted_f1),
    ("UAR", metrics.unweighted_average_recall),
)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one seed found in all utterances.

    Attributes:
        prepared: The utterances and their sides: prosody, and words by the tuned language model.
        parts: Train and dev rows.
        trained: Prosody, the language model by itself, and their fusion.
        context: The network on the language model's frozen features that reads what was said before.
    """

    prepared: Prepared
    parts: Parts
    trained: Trained
    context: FittedModality


def run(options: Options) -> Result:
    """All seeds on the official split."""
    begun = time.monotonic()
    torch.set_num_threads(options.threads)
    found = [find(options, START, seed, CONFIG) for seed in options.seeds]
    prepared, parts = found[0].prepared, found[0].parts
    test = prepared.rows.rows("test")
    figures = measure_all([predict(one, test) for one in found], [predict_in_context(one, test) for one in found])
    result = Result(
        name="meld_tuned",
        title="MELD: multimodal emotion recognition with a tuned language model, dialogue context and "
        "prosody, 7 emotions, official split",
        protocol="MiniLM (22 M parameters) is tuned on GoEmotions, then on the official train part, each "
        "utterance by itself (`text without context`). A network on its frozen features reads the "
        "eight utterances before each one and their speakers (`text with context`). Eight prosodic "
        "features represent the voice, in addition each relative to the speaker's mean in the train "
        "part and to the three utterances before. The fusion of voice and text without context is "
        "trained on rows that neither network trained on; four more language models are tuned for "
        "this. `All seeds'` averages the log scores of the seeds: one system of three times the size."
        " Temperatures are fitted on dev; all systems are tested on test.",
        licence="GPL-3.0 (repository), television text; the prosodic features come without a licence",
        seeds=options.seeds,
        figures=figures,
        quoted=meld.QUOTED,
        notes=(
            *meld.notes(prepared, parts, test),
            "Finished stages are loaded from the cache. Their time is not in the minutes above (20 "
            "minutes per seed, on one core).",
        ),
        tried=TRIED,
        target="weighted F1 of text without context at least 61.5; fused at least 63 and better than text",
        config=config_digest(CONFIG),
        settings=msgspec.to_builtins({"tune": TUNE, "text": CONFIG.text}),
        minutes=(time.monotonic() - begun) / 60,
    )
    return save_result(result, options, meld.headline(figures))


def choose(options: Options) -> None:
    """Weighted F1 and UAR of the candidates on dev, as a table; the test part is not looked at."""
    torch.set_num_threads(options.threads)
    print("start,seed,system,weighted F1,UAR,with .3 of the log prior taken away")
    for start in STARTS:
        for seed in options.seeds:
            for weights in ("none", "sqrt"):
                fusion = replace(CONFIG.fusion, loss=replace(CONFIG.fusion.loss, class_weights=weights))
                found = find(options, start, seed, replace(CONFIG, fusion=fusion))
                for name, logits in {"context": found.context.outputs.logits, **found.trained.logits}.items():
                    print(f"{start},{seed},{name} weights {weights},{dev_scores(found, logits)}")


def dev_scores(found: Found, logits: Any) -> str:
    """Weighted F1, UAR, and weighted F1 with rare emotions raised, of dev rows."""
    rows, dev = found.prepared.rows, found.parts.dev
    counts = rows.counts(found.parts.train)
    raised = logits[dev] - 0.3 * np.log(counts / counts.sum())
    plain, other = (
        metrics.count_confusions(rows.targets[dev], scores.argmax(axis=1), len(rows.emotions))
        for scores in (logits[dev], raised)
    )
    values = (metrics.weighted_f1(plain), metrics.unweighted_average_recall(plain), metrics.weighted_f1(other))
    return ",".join(f"{100 * float(value):.2f}" for value in values)


def pretrained(options: Options) -> str:
    """The language model as published: a folder beside the corpora, else its Hub id."""
    beside = options.data.parent / "models" / PRETRAINED.split("/")[1]
    return str(beside) if beside.is_dir() else PRETRAINED


def prepared_corpus(options: Options, name: str, *folders: str) -> Path:
    """Manifest of a corpus, prepared below the cache."""
    out = options.cache / "runs" / f"corpus-{name}"
    if not (out / "manifest.csv").is_file():
        source = next((options.data / folder for folder in folders if (options.data / folder).is_dir()), None)
        if source is None:
            raise ManifestError(f"{options.data}: no folder {' or '.join(folders)}")
        prepare_corpus(name, source, out)
    return out / "manifest.csv"


def first_tuning(options: Options) -> Path:
    """Backbone folder of the tuning on GoEmotions; a finished one is taken as it is, since it takes an hour."""
    out = options.cache / "runs" / GOEMOTIONS.name
    if (out / DESCRIPTION).is_file() and read_description(out).tuned_on == GOEMOTIONS.trained_on:
        return out
    config = replace(GOEMOTIONS, source=pretrained(options), threads=options.threads)
    return tune_text(prepared_corpus(options, "goemotions", "goemotions"), out, config, report)


def start_of(options: Options, start: str) -> str:
    """Where the tuning on MELD starts: as published, or the packaged `minilm-goemotions`, read back from its 8 bits.

    The latter spares the hour of `first_tuning`, which made it.
    """
    if start == "plain":
        return pretrained(options)
    out = options.cache / "runs" / f"{GOEMOTIONS.name}-read-back"
    if not (out / "tokenizer.json").is_file():  # written last
        read_back(find_backbone(GOEMOTIONS.name), pretrained(options), out)
    return str(out)


def second_tuning(options: Options, start: str, seed: int) -> tuple[Path, TuneTextConfig]:
    """Backbone folder of a seed's tuning on MELD, and how it was tuned."""
    config = replace(TUNE, source=start_of(options, start), seed=seed, threads=options.threads)
    out = options.cache / "runs" / f"meld-text-{start}-{config_digest(TUNE)}" / f"seed{seed}"
    return tune_text(prepared_corpus(options, "meld", "meld", "meld_text_prosody"), out, config, report), config


def report(entry: dict[str, float]) -> None:
    """One line an epoch on stderr."""
    print(
        f"epoch {entry['epoch']:.0f}: loss {entry['loss']:.4f}, {entry['seconds']:.0f} s", file=sys.stderr, flush=True
    )


def find(options: Options, start: str, seed: int, config: TrainConfig) -> Found:
    """One seed, from the language model to the fusion, which learns from language models that never saw its rows."""
    folder, tuning = second_tuning(options, start, seed)
    config = replace(config, seed=seed, threads=options.threads, text_backbone=str(folder))
    where = RunContext(seed=seed, folder=folder / f"stages-{config_digest(config)}")
    prepared, parts = prepare(options, config)
    context = fit_modality(prepared, "text", parts, config, where.below("context"))
    prepared.modalities["text"] = tuned_text_modality(prepared.rows, load_language_model(tuning.source), tuning)
    folds = inner_folds(prepared.rows, parts, config)
    speech = fit_modality(prepared, "speech", parts, config, where, folds)
    text = fit_tuned(prepared, folds, parts, tuning, folder)
    trained = fit_fused(speech, text, prepared.rows, parts, config, where)
    return Found(prepared=prepared, parts=parts, trained=trained, context=context)


def prepare(options: Options, config: TrainConfig) -> tuple[Prepared, Parts]:
    """As `meld.prepare_meld`, with prosody beside the speaker's usual one in the train part and the dialogue's."""

    def changed(utterances: Sequence[Utterance]) -> list[Utterance]:
        train = [row for row, utterance in enumerate(utterances) if utterance.split == "train"]
        return with_history(utterances, "pros_*", train)

    return meld.prepare_meld(options, config, changed)


def fit_tuned(
    prepared: Prepared, folds: Sequence[Fold], parts: Parts, tuning: TuneTextConfig, folder: Path
) -> FittedModality:
    """The tuned language model as a modality; a training row has the outputs of one tuned without the row."""
    side, where = prepared.modalities["text"], RunContext(seed=tuning.seed, folder=folder / RUN)
    network, _ = train_modality(side, parts.train, parts.dev, tuning, where)
    outputs = compute_outputs(network, side)
    crossed = cross_fit(side, network, folds, tuning, replace(where, folder=folder / "crossed"))
    temperature = metrics.fit_temperature(outputs.logits[parts.dev], prepared.rows.targets[parts.dev])
    return FittedModality(network=network, outputs=outputs, cross_fitted=crossed, temperature=float(temperature))


def predict(found: Found, rows: list[int]) -> Predictions:
    """Prosody, words alone and both, on some rows."""
    return predict_rows(found.trained, found.prepared, found.parts, rows, "dialogue")


def predict_in_context(found: Found, rows: list[int]) -> Predictions:
    """Words in context, as system `text`."""
    scores = metrics.softmax(found.context.outputs.logits[rows], found.context.temperature)
    return replace(predict(found, rows), scores={"text": scores})


def measure_all(stages: list[Predictions], context: list[Predictions]) -> tuple[Figure, ...]:
    """Every system's figures, and what context and fusion gain on the same utterances."""
    systems = {"speech": "prosody", "text": "text without context", "late": "late fusion", "fused": "fused"}
    figures = [measure(stages, key, name, *metric) for key, name in systems.items() for metric in WANTED]
    figures += [measure(context, "text", "text with context", *metric) for metric in WANTED]
    for other, name in (("text", "text without context"), ("late", "late")):
        gains = [measure_gain(stages, ("fused", other), *metric) for metric in WANTED]
        figures += [replace(gain, system=f"fused - {name}") for gain in gains]
    mean = [average_scores(stages)]
    for key, name in (("text", "all seeds' text"), ("fused", "all seeds' fused")):
        figures += [measure(mean, key, name, *metric) for metric in WANTED]
    gains = [measure_gain(mean, ("fused", "text"), *metric) for metric in WANTED]
    figures += [replace(gain, system="all seeds' fused - all seeds' text") for gain in gains]
    name = "text with context - text without context"
    return (*figures, *(measure_change(context, stages, "text", name, *metric) for metric in WANTED))


def main() -> None:
    """The benchmark, or with `--choose` the comparison on dev."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--choose"]
    options = read_options(__doc__ or "", arguments)
    if len(arguments) < len(sys.argv) - 1:
        choose(options)
    else:
        run(options)


if __name__ == "__main__":
    main()
