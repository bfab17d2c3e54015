"""The command that reads and writes formats of other programs."""

from pathlib import Path
from typing import Annotated

import typer

from bimodal.cli.options import RootFolder
from bimodal.cli.terminal import say


def _format_names() -> list[str]:
    from bimodal.data.exchange import EXCHANGE  # here, as it would slow every other command's start

    return sorted(EXCHANGE)


FORMATS = (
    "audformat, audiofolder, dataset, emobox, kaldi, label_studio, lhotse, manifest, parquet, speechbrain or "
    "speechbrain_csv"
)


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="A manifest, or a folder or file of another program.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="New folder.")],
    to: Annotated[
        str, typer.Option("--to", metavar="FORMAT", help=f"What to write: {FORMATS}.", autocompletion=_format_names)
    ] = "manifest",
    read_as: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="FORMAT",
            help="What SOURCE is. [default: found by its files]",
            autocompletion=_format_names,
        ),
    ] = "",
    table: Annotated[
        str, typer.Option(help="Table of audformat, or part of Parquet files or of a dataset, to read.")
    ] = "",
    root: RootFolder = None,
) -> None:
    """Convert a manifest to a format of another program, or back.

    Recordings are linked or copied. What the new format cannot hold is said on stderr.
    """
    from bimodal.data.exchange import convert as convert_files

    done = convert_files(source, out, to, read_as=read_as, root=root, table=table)
    for sentence in done.lost:
        say(f"bimodal: {sentence}")
    say(f"{done.utterances} utterances of {source} ({done.read_as}) in {out} ({to})")
