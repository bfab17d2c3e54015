"""Commands about corpora and manifests: list, prepare, check, transcribe, extract."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from bimodal.cli.options import (
    TRANSCRIPTS,
    CacheFolder,
    ManifestFile,
    ModelOrName,
    NoCache,
    Quiet,
    RootFolder,
    Threads,
    chosen_cache,
    manifest_below,
)
from bimodal.cli.terminal import bar, say


def _corpus_names() -> list[str]:
    from bimodal.data.corpora import CORPORA  # here, as it would slow every other command's start

    return sorted(CORPORA)


def corpora() -> None:
    """List the corpora that 'bimodal prepare' can read."""
    from bimodal.data.corpora import describe_corpora

    typer.echo(describe_corpora())


def prepare(
    corpus: Annotated[
        str,
        typer.Argument(
            metavar="CORPUS",
            help="Name of a corpus ('bimodal corpora' lists them), or 'manifest' for your own recordings.",
            autocompletion=_corpus_names,
        ),
    ],
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Downloaded corpus folder, or your manifest.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="New folder for manifest.csv and audio/.")],
    labels: Annotated[
        str | None,
        typer.Option(help="Labels to take, of a corpus with several kinds (crema_d: intended, votes)."),
    ] = None,
) -> None:
    """Convert a corpus, or your own manifest, for other commands."""
    from bimodal.data.corpora import prepare_corpus

    manifest = prepare_corpus(corpus, source, out, labels)
    say(f"{len(manifest.utterances)} utterances in {manifest.path}; next: bimodal check {manifest.path}")


def check(
    manifest: ManifestFile,
    vocabulary: Annotated[
        str, typer.Option(help="Emotions to map the labels to: name of a vocabulary, or a TOML file.")
    ] = "ekman7",
    official_split: Annotated[str, typer.Option(help="Accept the overlap of this published split.")] = "",
    audio: Annotated[
        bool, typer.Option("--audio/--no-audio", help="Read the header of every recording, or none.")
    ] = True,
    root: RootFolder = None,
    quiet: Quiet = False,
) -> None:
    """Check a manifest: contents, dropped rows, splits, problems.

    Exits with 1 if there are problems.
    """
    from bimodal.data.check import check_manifest, describe
    from bimodal.data.labels import find_map
    from bimodal.data.manifest import inspect_manifest

    report = check_manifest(
        inspect_manifest(manifest, root=root),
        emotion_map=find_map(vocabulary),
        official_split=official_split or None,
        probe_audio=audio,
        progress=lambda items: bar(items, "recordings", quiet),
    )
    typer.echo(describe(report))
    if report.problems:
        sys.exit(1)


def transcribe(
    manifest: ManifestFile,
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="Manifest to write (.csv, .jsonl), beside MANIFEST or above."),
    ],
    model: Annotated[str, typer.Option(help="Whisper model in CTranslate2 format: folder or Hub id.")],
    task: Annotated[
        Literal["transcribe", "translate"], typer.Option(help="Words in the spoken language, or translated to English.")
    ] = "transcribe",
    language: Annotated[str, typer.Option(help="ISO 639-1 code. [default: lang of each row, else detected]")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Replace transcripts that are there already.")] = False,
    vad: Annotated[bool, typer.Option("--vad", help="Skip parts without speech (voice activity detection).")] = False,
    download: Annotated[
        bool, typer.Option("--download", help="Download the model if it is not on this machine.")
    ] = False,
    cache: CacheFolder = None,
    no_cache: NoCache = False,
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Add transcripts to a manifest by speech recognition.

    Transcripts are cached, so a second call continues an interrupted one.
    """
    from bimodal.asr.transcribe import TranscribeOptions, transcribe_manifest
    from bimodal.asr.whisper import Transcriber

    folder = chosen_cache(cache, no_cache)
    written, problems = transcribe_manifest(
        manifest,
        out,
        Transcriber(model, threads=threads, download=download),
        TranscribeOptions(task=task, language=language or None, vad=vad, replace=replace),
        None if folder is None else folder / TRANSCRIPTS,
        lambda items: bar(items, "recordings transcribed", quiet),
    )
    for problem in problems:
        say(f"bimodal: {problem}")
    rows = sum("transcript_source" in row.extra and bool(row.extra["transcript_source"]) for row in written.utterances)
    say(f"{rows} of {len(written.utterances)} rows with words by speech recognition in {written.path}")
    if problems:
        sys.exit(1)


def extract(
    model: ModelOrName,
    manifest: ManifestFile,
    out: Annotated[Path, typer.Argument(metavar="OUT", help=".safetensors or .npz file; one row per utterance.")],
    root: RootFolder = None,
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Write the emotion embeddings and logits of each utterance."""
    from bimodal.evaluation.predict import extract_manifest

    names = extract_manifest(
        model,
        manifest_below(manifest, root),
        out,
        threads=threads,
        progress=lambda items, label: bar(items, label, quiet),
    )
    say(f"{out}: {', '.join(names)}")
