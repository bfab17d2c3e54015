"""The demo: make a small synthetic corpus, train, evaluate and recognise in a few minutes."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np

from bimodal.config import FusionConfig, SpeechConfig, TextConfig, TrainConfig
from bimodal.data.manifest import open_manifest
from bimodal.demo import corpus as spoken
from bimodal.evaluation.describe import describe
from bimodal.evaluation.html.material import ReportSources
from bimodal.evaluation.predict import evaluate_model
from bimodal.evaluation.predictions import Predictions
from bimodal.evaluation.report import evaluate
from bimodal.evaluation.writing import PAGE, write_report
from bimodal.inference.recognizer import Recognizer
from bimodal.training.train import train

SYNTHETIC: Final = (
    "This corpus is synthetic: a speech synthesiser speaks our sentences, by published rules of emotional prosody.\n"
    "It shows that the program works. The results below say nothing about human voices."
)
_STEPS: Final = 250


def run_demo(
    out: Path,
    *,
    size: int,
    threads: int,
    say: Callable[[str], None],
    progress: Callable[[Iterable[Any], str], Iterable[Any]],
    on_epoch: Callable[[dict[str, Any]], None],
) -> Path:
    """Make the corpus, train, evaluate on unseen voices and sentences, recognise one clip, plot.

    Args:
        out: Folder for everything. A second call continues from it.
        size: Number of utterances.
        threads: Threads of torch and onnxruntime; 0 for one per core.
        say: Prints a line.
        progress: Wraps iterables with a bar.
        on_epoch: Called after each epoch.

    Returns:
        The model folder.

    Raises:
        BimodalError: The synthesiser is missing, or the disk is full.
    """
    say(f"{SYNTHETIC}\n{spoken.NOTICE}\n\n1. Speaking {size} utterances")
    _speak(out / "corpus", size, progress)
    manifest = out / "corpus" / "manifest.csv"
    say("\n2. Training: speech, text, then fusion")
    model = train(manifest, out / "run", _config(threads), out / "cache", progress=progress, on_epoch=on_epoch)
    say("\n3. Evaluation on unseen voices and sentences")
    predictions, notes = evaluate_model(
        model, manifest, split="test", cluster="speaker", threads=threads, progress=progress
    )
    report = evaluate(predictions, title="Synthetic demo corpus, unseen voices and sentences", notes=notes)
    say(describe(report))
    say("\n" + describe_conflict(predictions))
    sources = ReportSources(
        command=f"bimodal demo --size {size}", model=model, manifest=open_manifest(manifest), threads=threads
    )
    write_report(out / "report", report, predictions, sources=sources)
    say("\n4. Recognising a held-out clip")
    say(_recognise_one(model, manifest, threads))
    say(
        f"\nReport, for a browser: {out / 'report' / PAGE}\nModel: {model}\n"
        f"Try your own voice: bimodal serve {model} --open\n"
        f"or on a recording: bimodal recognize {model} YOUR.wav --transcript 'what you said'"
    )
    return model


def _speak(folder: Path, size: int, progress: Callable[[Iterable[Any], str], Iterable[Any]]) -> None:
    """Make the corpus, with a progress bar."""
    bar: Any = progress(range(size), "speaking")
    update = getattr(bar, "update", lambda count: None)
    told = 0

    def on_progress(done: int, total: int) -> None:
        nonlocal told
        update(done - told)
        told = done

    spoken.prepare(folder, size=size, on_progress=on_progress)
    getattr(bar, "close", lambda: None)()


def _config(threads: int) -> TrainConfig:
    return TrainConfig(
        name="demo",
        threads=threads,
        speech=SpeechConfig(epochs=1, min_steps=_STEPS),
        text=TextConfig(epochs=1, min_steps=_STEPS),
        fusion=FusionConfig(n_folds=3),
        licence="CC0-1.0 (synthetic speech and sentences of the bimodal project)",
        trained_on="Synthetic speech by eSpeak NG; it says nothing about human voices.",
    )


def describe_conflict(predictions: Predictions) -> str:
    """Results of each system if voice and words contradict each other. The label is that of the voice."""
    conflict = np.array([value == "yes" for value in predictions.extra.get("conflict", ())], dtype=bool)
    if not conflict.any():
        return "In no utterance do voice and words contradict each other."
    lines = [
        f"If words and voice contradict each other ({int(conflict.sum())} utterances; the label is that of the voice):"
    ]
    words = predictions.extra["word_emotion"]
    for system in predictions.systems:
        chosen = np.nan_to_num(predictions.scores[system]).argmax(axis=1)
        right = float((chosen == predictions.targets)[conflict].mean())
        told = [predictions.emotions[index] for index in chosen]
        by_words = float(np.mean([told[row] == words[row] for row in np.flatnonzero(conflict)]))
        lines.append(f"  {system:<8} follows the voice in {100 * right:5.1f} %, the words in {100 * by_words:5.1f} %")
    return "\n".join(lines)


def _recognise_one(model: Path, manifest: Path, threads: int) -> str:
    """Recognise a held-out clip whose voice and words agree, as a user would."""
    from bimodal.data.manifest import read_manifest

    read = read_manifest(manifest)
    chosen = next(u for u in read.utterances if u.split == "test" and u.extra.get("conflict") == "no" and u.path)
    path = read.folder / str(chosen.path)
    result = Recognizer(model, threads=threads).recognize(path, transcript=chosen.transcript)
    best = sorted(result.scores.items(), key=lambda item: -item[1])[:3]
    shares = ", ".join(f"{emotion} {score:.2f}" for emotion, score in best)
    gate = "" if result.gate is None else f"; weight of the voice {100 * result.gate:.0f} %"
    return f"{path.name}, {chosen.transcript!r}: {result.emotion} ({shares}{gate}); spoken as {chosen.emotion}"
