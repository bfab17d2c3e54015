"""emotiontts_ko, four emotions: voice and Korean words, speakers and texts held out; words as given or by Whisper.

Needs the extra `asr` and a Whisper model (`BIMODAL_ASR_MODEL`, a folder in CTranslate2 format) for speech
recognition; transcripts are cached in the folder `transcripts` of the cache.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from benchmarks.acted import progress
from benchmarks.record import (
    Figure,
    Options,
    Result,
    config_digest,
    measure,
    measure_gain,
    read_options,
    save_result,
)
from bimodal.asr.transcribe import TranscribeOptions, transcribe_utterances, with_words
from bimodal.asr.whisper import Task, Transcriber
from bimodal.config import FusionConfig, SpeechConfig, TextConfig, TrainConfig
from bimodal.data.corpora.emotiontts import prepare
from bimodal.data.manifest import read_manifest
from bimodal.data.splits import Fold, crossed_folds
from bimodal.errors import BimodalError
from bimodal.evaluation import metrics
from bimodal.evaluation.predictions import Predictions, concatenate
from bimodal.evaluation.protocols import predict_rows
from bimodal.features.cache import FeatureCache, cache_key
from bimodal.records import Utterance
from bimodal.training.calibration import text_weights
from bimodal.training.fusion import fusion_examples
from bimodal.training.loop import predict
from bimodal.training.outputs import compute_outputs, cross_fit, inner_folds
from bimodal.training.prepare import Prepared, prepare_modalities
from bimodal.training.rows import Parts, label_rows
from bimodal.training.stage import RunContext, train_modality
from bimodal.training.train import fit_fused, fit_modality
from bimodal.training.trained import FittedModality, Trained

SENTENCE = "sentence"
PARTS = 4
COMMENTS = 1500  # of each emotion, for the text network of GoEmotions
GIVEN = "Korean, as given"
HEARD: dict[str, Task] = {"translated by Whisper": "translate"}
"""Words that speech recognition writes, and its task."""
RUBBISH = ", tested with another clip's"
CONFIG = TrainConfig(
    vocabulary="acted4",
    text_backbone="minilm-goemotions",
    dev_share=0.0,
    speech=SpeechConfig(epochs=1, min_steps=150, ensemble_size=1, pca_components=100),
    text=TextConfig(epochs=1, min_steps=100),
    fusion=FusionConfig(n_folds=3, hold_out_texts=SENTENCE, init="fitted", shuffled_words_prob=0.2),
)
FUSIONS: dict[str, FusionConfig] = {
    "fused": CONFIG.fusion,
    "fused, texts not held out inside": replace(
        CONFIG.fusion, init="equal", shuffled_words_prob=0.0, hold_out_texts=""
    ),
}
"""The fusion for new words, and the default one."""
TITLES: dict[str, str] = {
    "fused, texts not held out inside": "fused by default settings",
    GIVEN: "Korean text",
    "translated by Whisper": "text translated by Whisper",
    ", text network of GoEmotions": ", text network trained on GoEmotions",
    RUBBISH: ", tested with the words of another clip",
}
"""Names of systems, and what the page calls them."""

Scores = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Words:
    """One way to have words, prepared.

    Attributes:
        name: Of it.
        prepared: Speech and text of all utterances.
        zero_shot: A text network that was trained on other corpora alone; None to train one here.
    """

    name: str
    prepared: Prepared
    zero_shot: Any = None


def heard_words(utterances: Sequence[Utterance], folder: Path, task: Task, options: Options) -> list[Utterance]:
    """The same utterances with Whisper's words, in Korean or English."""
    model = os.environ.get("BIMODAL_ASR_MODEL")
    if not model:
        raise BimodalError("BIMODAL_ASR_MODEL is not set; give the folder of a Whisper model in CTranslate2 format")
    transcriber = Transcriber(model, threads=options.threads)
    listed, notebooks = progress(utterances, f"recordings, {task}"), options.cache / "transcripts"
    wanted = TranscribeOptions(task=task, language="ko")
    heard, problems = transcribe_utterances(list(utterances), folder, transcriber, wanted, notebooks, lambda _: listed)
    if problems:
        raise BimodalError(f"{len(problems)} recordings cannot be transcribed: {problems[0]}")
    return [with_words(utterance, heard[utterance.id], task) for utterance in utterances]


def with_text(
    prepared: Prepared, utterances: Sequence[Utterance], cache: FeatureCache, config: TrainConfig
) -> Prepared:
    """The same speech with other words."""
    text = prepare_modalities(
        label_rows(utterances, config.vocabulary), prepared.folder, config, cache, stages=("text",)
    )
    return replace(
        text,
        modalities={"speech": prepared.modalities["speech"], **text.modalities},
    )


def make_folds(prepared: Prepared, seed: int) -> tuple[Fold, ...]:
    """Speakers and sentences crossed, both dealt evenly by script and emotion."""
    rows = prepared.rows
    strata = [f"{row.extra['script']} {row.emotion}" for row in rows.utterances]
    speakers = [row.speaker for row in rows.utterances]
    return crossed_folds(speakers, [row.extra[SENTENCE] for row in rows.utterances], PARTS, strata=strata, seed=seed)


def run_fold(words: Sequence[Words], fold: Fold, config: TrainConfig, where: RunContext) -> Scores:
    """Scores of the fold's test rows by `words/system`, of every kind of words and every fusion."""
    parts = Parts(train=list(fold.train), dev=[], overlaps=())
    inner = {
        column: inner_folds(words[0].prepared.rows, parts, replace(config, fusion=fusion))
        for column in {fusion.hold_out_texts for fusion in FUSIONS.values()}
        for fusion in [replace(config.fusion, hold_out_texts=column)]
    }
    speech = fit_crossed(words[0].prepared, "speech", parts, config, where, inner)
    scores: Scores = {}
    for kind in words:
        text = known_text(kind, parts, inner) or fit_crossed(kind.prepared, "text", parts, config, where, inner)
        for name, fusion in FUSIONS.items():
            sides = speech[fusion.hold_out_texts], text[fusion.hold_out_texts]
            trained = fit_fused(*sides, kind.prepared.rows, parts, replace(config, fusion=fusion), where)
            for suffix, one in (("", trained), (RUBBISH, shuffled(trained, kind.prepared, where.seed))):
                found = predict_rows(one, kind.prepared, parts, fold.test, "speaker").scores
                scores |= {f"{kind.name}{suffix}/{_system(key, name)}": value for key, value in found.items()}
    return scores


def _system(key: str, fusion: str) -> str:
    return fusion if key == "fused" else key


def fit_crossed(
    prepared: Prepared,
    name: str,
    parts: Parts,
    config: TrainConfig,
    where: RunContext,
    inner: dict[str, tuple[Fold, ...]],
) -> dict[str, FittedModality]:
    """One side's stage, cross-fitted on each of the inner folds."""
    side, stage = prepared.modalities[name], config.speech if name == "speech" else config.text
    first = fit_modality(prepared, name, parts, config, where, inner[SENTENCE])
    return {
        column: first
        if column == SENTENCE
        else replace(first, cross_fitted=cross_fit(side, first.network, folds, stage, where))
        for column, folds in inner.items()
    }


def known_text(kind: Words, parts: Parts, inner: dict[str, tuple[Fold, ...]]) -> dict[str, FittedModality]:
    """The side of a text network from elsewhere, to which all rows are new; empty where it is to be trained here."""
    if kind.zero_shot is None:
        return {}
    outputs = compute_outputs(kind.zero_shot, kind.prepared.modalities["text"])
    temperature = float(metrics.fit_temperature(outputs.logits[parts.train], kind.prepared.rows.targets[parts.train]))
    side = FittedModality(network=kind.zero_shot, outputs=outputs, cross_fitted=outputs, temperature=temperature)
    return dict.fromkeys(inner, side)


def shuffled(trained: Trained, prepared: Prepared, seed: int) -> Trained:
    """What the same networks say where every row has the words of another one."""
    order = np.random.default_rng(seed).permutation(len(prepared.rows.utterances))
    text = trained.outputs["text"]
    mixed = replace(text, embedding=text.embedding[order], logits=text.logits[order], present=text.present[order])
    trust = text_weights(prepared.rows.utterances)[order]
    examples = fusion_examples(trained.outputs["speech"], mixed, prepared.rows.targets, trust)
    logits = trained.logits | {"text": mixed.logits, "fusion": predict(trained.networks["fusion"], examples)[1]}
    return replace(trained, logits=logits)


def zero_shot_text(options: Options, config: TrainConfig, cache: FeatureCache) -> Any:
    """A text network trained on GoEmotions' comments alone, as many of each of the four emotions."""
    folder = options.data / "goemotions"
    listed = [row for row in read_manifest(folder / "manifest.csv").utterances if row.split == "train"]
    rows = label_rows([row for row in listed if row.emotion != "mixed"], config.vocabulary)
    order = np.random.default_rng(0).permutation(len(rows.utterances))
    chosen = [row for emotion in range(len(rows.emotions)) for row in order[rows.targets[order] == emotion][:COMMENTS]]
    some = rows.subset(chosen)
    side = prepare_modalities(some, folder, config, cache, progress, ("text",)).modalities["text"]
    return train_modality(side, range(len(chosen)), [], TextConfig(), RunContext())[0]


def prepare_words(options: Options, config: TrainConfig) -> list[Words]:
    """Speech once, and every kind of words."""
    folder = options.data / "emotiontts_ko"
    given = prepare(folder)
    with FeatureCache(options.cache) as cache:
        prepared = prepare_modalities(label_rows(given, config.vocabulary), folder, config, cache, progress)
        found = [Words(name=GIVEN, prepared=prepared)]
        for name, task in HEARD.items():
            heard = heard_words(given, folder, task, options)
            found.append(Words(name=name, prepared=with_text(prepared, heard, cache, config)))
            if task == "translate":
                told = f"{name}, text network of GoEmotions"
                network = zero_shot_text(options, config, cache)
                found.append(Words(name=told, prepared=found[-1].prepared, zero_shot=network))
    return found


def run_seed(words: Sequence[Words], config: TrainConfig, options: Options) -> dict[tuple[str, str], Predictions]:
    """Predictions of all folds by words and fusion; a fold that was run before is read."""
    folder = options.cache / "runs" / f"emotiontts-{run_digest(words, config)}"
    folder.mkdir(parents=True, exist_ok=True)
    parts: dict[tuple[str, str], list[Predictions]] = {}
    for fold in progress(make_folds(words[0].prepared, config.seed), f"folds, seed {config.seed}"):
        file = folder / f"seed{config.seed}-{fold.name}.safetensors"
        if not file.exists():
            save_file(run_fold(words, fold, config, RunContext(seed=config.seed)), file)
        for key, one in as_predictions(load_file(file), words[0].prepared, fold).items():
            parts.setdefault(key, []).append(one)
    return {key: concatenate(*listed) for key, listed in parts.items()}


def run_digest(words: Sequence[Words], config: TrainConfig) -> str:
    """A name for all that decides the scores, beside seed and fold."""
    sides = [kind.prepared.modalities[name].identity for kind in words for name in ("speech", "text")]
    return cache_key(config_digest(config), repr(FUSIONS), *sides, *(kind.name for kind in words))[:12]


def as_predictions(scores: Scores, prepared: Prepared, fold: Fold) -> dict[tuple[str, str], Predictions]:
    """Predictions by words and fusion, from `run_fold`."""
    rows = prepared.rows.subset(fold.test)
    kinds = list(dict.fromkeys(name.partition("/")[0] for name in scores))
    return {
        (kind, fusion): Predictions(
            ids=tuple(utterance.id for utterance in rows.utterances),
            targets=rows.targets,
            emotions=rows.emotions,
            clusters=tuple(str(utterance.speaker) for utterance in rows.utterances),
            cluster_name="speaker",
            scores={
                **{system: scores[f"{kind}/{system}"] for system in ("speech", "text", "late")},
                "fused": scores[f"{kind}/{fusion}"],
            },
            extra={"script": tuple(utterance.extra["script"] for utterance in rows.utterances)},
        )
        for kind in kinds
        for fusion in FUSIONS
    }


def measure_all(seeds: Sequence[dict[tuple[str, str], Predictions]]) -> tuple[Figure, ...]:
    """UAR of every system, and what each fusion gains over the voice."""
    metric = ("UAR", metrics.unweighted_average_recall)
    first = next(iter(seeds[0]))
    figures = [measure([one[first] for one in seeds], "speech", "speech", *metric)]
    for script in ("emotional", "plain"):
        some = [of_script(one[first], script) for one in seeds]
        figures.append(measure(some, "speech", f"speech, {script} script", *metric))
    for kind in dict.fromkeys(kind for kind, _ in seeds[0]):
        listed = {fusion: [one[kind, fusion] for one in seeds] for fusion in FUSIONS}
        one = next(iter(listed.values()))
        figures += [measure(one, system, f"{system}, {kind}", *metric) for system in ("text", "late")]
        for fusion, found in listed.items():
            figures.append(measure(found, "fused", f"{fusion}, {kind}", *metric))
            gain = measure_gain(found, ("fused", "speech"), *metric)
            figures.append(replace(gain, system=f"{fusion} - speech, {kind}"))
        gain = measure_gain(one, ("late", "speech"), *metric)
        figures.append(replace(gain, system=f"late - speech, {kind}"))
    return tuple(replace(figure, system=title(figure.system)) for figure in figures)


def title(system: str) -> str:
    """What the page calls a system.

    Example:
        >>> title("fused, texts not held out inside - speech, Korean, as given")
        'fused by default settings - speech, Korean text'
    """
    for name, shown in TITLES.items():
        system = system.replace(name, shown)
    return system


def of_script(predictions: Predictions, script: str) -> Predictions:
    """The rows of one script."""
    rows = [row for row, name in enumerate(predictions.extra["script"]) if name == script]
    return replace(
        predictions,
        ids=tuple(predictions.ids[row] for row in rows),
        targets=predictions.targets[rows],
        clusters=tuple(predictions.clusters[row] for row in rows),
        scores={name: values[rows] for name, values in predictions.scores.items()},
        extra={name: tuple(values[row] for row in rows) for name, values in predictions.extra.items()},
    )


def run(options: Options) -> Result:
    """All seeds, speakers and sentences crossed, every kind of words and every fusion."""
    begun = time.monotonic()
    torch.set_num_threads(options.threads)
    config = replace(CONFIG, threads=options.threads)
    words = prepare_words(options, config)
    found = [run_seed(words, replace(config, seed=seed), options) for seed in options.seeds]
    figures = measure_all(found)
    rows = words[0].prepared.rows
    result = Result(
        name="emotiontts",
        title="emotiontts_ko: multimodal emotion recognition from Korean speech and text, 4 emotions, "
        "unseen speakers and sentences",
        protocol=f"{len(rows.utterances)} clips of 15 speakers and 25 sentences. Speakers and sentences are "
        f"divided into {PARTS} parts each. Every combination is tested once, by networks that trained "
        "on none of its speakers and none of its sentences. This holds for the speech and the text "
        "network. The division changes with the seed. The fusion is trained on predictions that are "
        "cross-fitted in the same way. There is no model selection.",
        licence="CC BY-NC-SA 4.0",
        seeds=options.seeds,
        figures=figures,
        quoted=(),
        notes=notes(words, options),
        tried=TRIED,
        target="fused not worse than speech alone, with Korean words and with translated words",
        config=config_digest(config),
        settings=msgspec.to_builtins({"speech": config.speech, "text": config.text, "fusion": config.fusion}),
        minutes=(time.monotonic() - begun) / 60,
    )
    shown = [figure for figure in figures if figure.system.startswith(("speech", "fused,", "fused -", "fused by"))]
    return save_result(result, options, "; ".join(f"{one.system} {one.mean:.2f} sd {one.sd:.2f}" for one in shown))


def notes(words: Sequence[Words], options: Options) -> tuple[str, ...]:
    """What the folds leave out."""
    prepared = words[0].prepared
    folds = make_folds(prepared, options.seeds[0])
    count = len(prepared.rows.utterances)
    trained = np.mean([len(fold.train) for fold in folds])
    left = np.mean([count - len(fold.train) - len(fold.test) for fold in folds])
    return (
        f"{len(folds)} folds per seed: {trained:.0f} training clips on average. {left:.0f} clips are "
        "left out, since they share a speaker or a sentence with the test part.",
        "Each sentence of the emotional script belongs to one emotion. The sentences of the plain "
        "script are spoken in all four.",
        "`fused` holds out sentences in its own cross-fitting and is trained with shuffled words. "
        "`fused by default settings` does neither. `late` is late fusion.",
    )


TRIED: tuple[str, ...] = ()


if __name__ == "__main__":
    run(read_options(__doc__ or ""))
