"""Commands about manifests: make, check, transcribe, extract."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from bimodal.cli.options import CacheFolder, ManifestFile, ModelFolder, Quiet, Threads, default_cache
from bimodal.cli.terminal import bar, say


def prepare(
    corpus: Annotated[str, typer.Argument(help="ravdess, emodb, meld, ..., or manifest for one's own.")],
    source: Annotated[Path, typer.Argument(help="Folder (or manifest) as it was downloaded.")],
    out: Annotated[Path, typer.Argument(help="Folder to write manifest.csv and audio/ to.")],
) -> None:
    """Turn a published corpus, or one's own manifest, into a folder that the other commands read."""
    from bimodal.data.corpora import prepare_corpus

    manifest = prepare_corpus(corpus, source, out)
    say(f"{len(manifest.utterances)} utterances in {manifest.path}; next: bimodal check {manifest.path}")


def check(
    manifest: ManifestFile,
    vocabulary: Annotated[
        str, typer.Option(help="Vocabulary or published grouping that the labels are mapped to, or a TOML map.")
    ] = "ekman7",
    official_split: Annotated[str, typer.Option(help="Accept the overlap of a published split of this name.")] = "",
    audio: Annotated[bool, typer.Option("--audio/--no-audio", help="Read the header of every recording.")] = True,
    quiet: Quiet = False,
) -> None:
    """Say what a manifest holds, which rows would drop and why, what crosses its splits, what is wrong."""
    from bimodal.data.check import check_manifest, describe
    from bimodal.data.labels import find_map

    report = check_manifest(
        manifest,
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
    out: Annotated[Path, typer.Argument(help="Manifest to write: .csv or .jsonl, beside MANIFEST or above it.")],
    model: Annotated[str, typer.Option(help="Folder of a Whisper model (CTranslate2), or a Hub id.")],
    task: Annotated[
        Literal["transcribe", "translate"], typer.Option(help="The words as spoken, or in English.")
    ] = "transcribe",
    language: Annotated[str, typer.Option(help="ISO 639-1. [default: each row's lang, else detected]")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Also rows that have a transcript.")] = False,
    vad: Annotated[bool, typer.Option("--vad", help="Leave out what holds no speech.")] = False,
    download: Annotated[bool, typer.Option("--download", help="Fetch a Hub id that is not on this machine.")] = False,
    cache: CacheFolder = None,
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Write the words that are heard in a manifest's recordings, by speech recognition; what was heard is kept."""
    from bimodal.asr.transcribe import TranscribeOptions, transcribe_manifest
    from bimodal.asr.whisper import Transcriber

    written, problems = transcribe_manifest(
        manifest,
        out,
        Transcriber(model, threads=threads, download=download),
        TranscribeOptions(task=task, language=language or None, vad=vad, replace=replace),
        (cache or default_cache()) / "transcripts",
        lambda items: bar(items, "recordings heard", quiet),
    )
    for problem in problems:
        say(f"bimodal: {problem}")
    rows = sum("transcript_source" in row.extra and bool(row.extra["transcript_source"]) for row in written.utterances)
    say(f"{rows} of {len(written.utterances)} rows with words by speech recognition in {written.path}")
    if problems:
        sys.exit(1)


def extract(
    model: ModelFolder,
    manifest: ManifestFile,
    out: Annotated[Path, typer.Argument(help="File to write: .safetensors or .npz, with one row per utterance.")],
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Write the emotion embeddings and logits of every utterance, for use in other programs."""
    from bimodal.evaluation.protocols import extract_manifest

    names = extract_manifest(
        model, manifest, out, threads=threads, progress=lambda items, label: bar(items, label, quiet)
    )
    say(f"{out}: {', '.join(names)}")
