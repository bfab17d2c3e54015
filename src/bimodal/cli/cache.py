"""The command for what is stored of recordings: `bimodal cache`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from bimodal.cli.options import TRANSCRIPTS, CacheFolder, default_cache


def cache(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[forget RECORDING...]",
            help="Delete what was computed from these recordings: features, and transcripts by speech recognition.",
        ),
    ] = None,
    transcripts: Annotated[
        list[str] | None,
        typer.Option("--transcript", metavar="WORDS", help="With forget: delete the features of these words, too."),
    ] = None,
    folder: CacheFolder = None,
    clear: Annotated[bool, typer.Option("--clear", help="Delete all entries.")] = False,
) -> None:
    """Show the cache, forget recordings, or empty it.

    Recordings are found by their content: a copy under another name will do.
    """
    place, recordings = folder or default_cache(), (arguments or [])[1:]
    if arguments and (arguments[0] != "forget" or clear):
        raise typer.BadParameter("expected nothing, 'forget RECORDING...', or --clear", param_hint="arguments")
    if (arguments and not (recordings or transcripts)) or (transcripts and not arguments):
        raise typer.BadParameter("expected 'forget' with a RECORDING or --transcript", param_hint="arguments")
    if arguments:
        typer.echo(_forget(place, map(Path, recordings), transcripts or ()))
    else:
        typer.echo(_clear(place) if clear else _describe(place))


def _describe(place: Path) -> str:
    from bimodal.asr.transcribe import notebook_files, read_notebook
    from bimodal.features.cache import FeatureCache

    held, notebooks = FeatureCache(place), notebook_files(place / TRANSCRIPTS)
    size = held.size + sum(file.stat().st_size for file in notebooks)
    entries = len(held) + sum(len(list(read_notebook(file))) for file in notebooks)
    return f"{place}: {entries} entries, {size / 1e6:.1f} MB"


def _clear(place: Path) -> str:
    from bimodal.asr.transcribe import notebook_files
    from bimodal.features.cache import FeatureCache

    freed = FeatureCache(place).clear()
    for file in notebook_files(place / TRANSCRIPTS):
        freed += file.stat().st_size
        file.unlink()
    return f"{place}: {freed / 1e6:.1f} MB freed"


def _forget(place: Path, recordings: Iterable[Path], words: Iterable[str]) -> str:
    from bimodal.asr.transcribe import forget_transcripts, notebook_files, read_notebook
    from bimodal.features.cache import FeatureCache
    from bimodal.features.extraction import recording_digest, text_source

    digests = {recording_digest(file) for file in recordings}
    heard = forget_transcripts(place / TRANSCRIPTS, digests)
    held = FeatureCache(place)
    entries, freed = held.forget(digests | {text_source(text) for text in (*words, *(one.text for one in heard))})
    books = notebook_files(place / TRANSCRIPTS)
    older = held.unnamed + sum(not line.source for file in books for line in read_notebook(file))
    found = f"{place}: {entries} features and {len(heard)} transcripts deleted, {freed / 1e6:.1f} MB freed"
    if older:
        found += (
            f"; {older} entries of an earlier version do not say which recording they are of: "
            "'bimodal cache --clear' deletes all"
        )
    return found
