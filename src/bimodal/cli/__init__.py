"""The command line: each command is a typed function. Results go to stdout, everything else to stderr."""

import atexit
import os
import sys
from typing import Annotated, Final, NoReturn

import typer

from bimodal import __version__
from bimodal.cli import (
    backbone,
    bulk,
    cache,
    compare,
    convert,
    corpora,
    doctor,
    evaluate,
    listen,
    mcp,
    models,
    recognize,
    search,
    serve,
    test,
    train,
)
from bimodal.cli.processes import LOST
from bimodal.cli.terminal import say
from bimodal.errors import BimodalError, LostProcessError
from bimodal.records import LAW, shortened

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C."""

app = typer.Typer(
    name="bimodal",
    help=f"Recognise the emotion expressed in speech, as people perceive it, from the voice and the words.\n\n{LAW}"
    "\n\nFor completion with the Tab key, run 'bimodal --install-completion' once.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(shown: bool) -> None:
    if shown:
        typer.echo(f"bimodal {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options of the program itself. Its help text is given to `Typer` above."""


for command in (
    recognize.recognize,
    bulk.bulk,
    listen.listen,
    corpora.corpora,
    corpora.prepare,
    convert.convert,
    corpora.check,
    corpora.transcribe,
    train.train,
    train.tune,
    train.adapt,
    evaluate.calibrate,
    evaluate.evaluate,
    compare.compare,
    compare.cross_corpus,
    search.search,
    test.test,
    corpora.extract,
    models.models,
    models.export,
    serve.serve,
    mcp.mcp,
    cache.cache,
    doctor.doctor,
    train.demo,
):
    app.command()(command)
app.add_typer(backbone.group, name="backbone")


def main() -> None:
    """Run the command line; exit 0, 1 with one sentence, or 2 for wrong usage."""
    code = [1]  # that of a traceback
    atexit.register(_leave, code)  # registered first, so that it runs last
    try:
        _run()
    except SystemExit as end:
        code[0] = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise


def _leave(code: list[int]) -> None:
    """End the process after threads and exit handlers. Releasing networks and modules would take 40 ms."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code[0] = code[0] or 1
    os._exit(code[0])


def _run() -> None:
    try:
        app()
    except LostProcessError:
        sys.exit(LOST)
    except BimodalError as error:
        _fail(str(error))
    except (KeyboardInterrupt, SystemExit) as end:  # Typer makes an exit of an interruption
        if isinstance(end, SystemExit) and end.code != INTERRUPTED:
            raise
        say("interrupted; finished work is kept: give the command again to continue")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _fail(f"{shortened(str(error.filename or 'system'))}: {error.strerror or error}")


def _fail(sentence: str) -> NoReturn:
    say(f"bimodal: {sentence}")
    sys.exit(1)
