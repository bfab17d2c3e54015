"""The command `label`: a page on which people label recordings, with a model in the loop."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from bimodal.cli.options import AllowHost, Host, OpenPage, Port, Quiet, Token
from bimodal.cli.terminal import bar, say
from bimodal.errors import BimodalError


def label(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of recordings, with or without a manifest.")],
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Model (folder or name) to begin with. [default: permissive]")
    ] = None,
    emotions: Annotated[
        str,
        typer.Option(
            help="Emotions with commas between, in the order of the keys 1 to 9; or a vocabulary such as ekman7, or a "
            "TOML file. [default: those of the model]"
        ),
    ] = "",
    labels: Annotated[
        Path | None, typer.Option("--labels", help="Folder of the labels. [default: bimodal-labels in FOLDER]")
    ] = None,
    votes: Annotated[int, typer.Option(min=1, max=100, help="Raters wanted for each training clip.")] = 1,
    show_guess: Annotated[
        bool, typer.Option("--show-guess", help="Show the model's guess. It pulls raters towards it.")
    ] = False,
    asr: Annotated[str, typer.Option(help="Whisper model in CTranslate2 format, to show the words. [extra asr]")] = "",
    export: Annotated[
        Path | None,
        typer.Option(
            "--export", help="Write the labels instead: a new folder; or a .csv or .jsonl file in FOLDER or above it."
        ),
    ] = None,
    to: Annotated[str, typer.Option("--to", help="Format of --export, as in 'bimodal convert'.")] = "manifest",
    import_from: Annotated[
        Path | None, typer.Option("--import", help="Read labels of another program instead, from a file or folder.")
    ] = None,
    rater: Annotated[str, typer.Option(help="Name for the raters of --import.")] = "imported",
    export_model: Annotated[
        Path | None, typer.Option("--export-model", help="Write a model folder from the labels instead.")
    ] = None,
    status: Annotated[bool, typer.Option("--status", help="Show progress, agreement and the curve instead.")] = False,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    token: Token = "",
    allow_host: AllowHost = None,
    open_page: OpenPage = False,
    quiet: Quiet = False,
) -> None:
    """Label recordings on a page; a model learns from the labels.

    Each label is on the disk before the next clip is shown. A random tenth of the clips is kept for testing.
    """
    if sum(bool(one) for one in (export, import_from, export_model, status)) > 1:
        raise typer.BadParameter("give one of --export, --import, --export-model and --status")
    if export is not None:
        _export(folder, labels, export, to)
        return
    _check_extra()
    session, problems = _open(folder, labels, model, emotions, votes, show_guess, asr, quiet)
    for problem in problems[:_SHOWN]:
        say(f"bimodal: {problem}")
    if len(problems) > _SHOWN:
        say(f"bimodal: {len(problems) - _SHOWN} more recordings cannot be used")
    if import_from is not None:
        _import(session, import_from, rater)
    elif export_model is not None or status:
        _encode(session, quiet)
        _write_model(session, export_model) if export_model is not None else _show(session)
    else:
        _serve(session, host, port, token, allow_host or [], open_page)


_SHOWN = 5


def _open(
    folder: Path,
    labels: Path | None,
    model: str | None,
    emotions: str,
    votes: int,
    show_guess: bool,
    asr: str,
    quiet: bool,
) -> tuple[Any, tuple[str, ...]]:
    """The session of a folder, and what is wrong with its recordings."""
    from bimodal.asr.whisper import Transcriber
    from bimodal.inference.installed import find_model
    from bimodal.inference.model import Model
    from bimodal.labelling.open import open_labels, read_vocabulary
    from bimodal.labelling.session import Session, SessionOptions

    opened_model = Model(find_model(model), threads=1)
    opened_model.check_takes_audio()
    opened = open_labels(
        folder,
        labels,
        emotions=read_vocabulary(emotions),
        model=opened_model,
        progress=lambda items, what: bar(items, what, quiet),
    )
    options = SessionOptions(votes=votes, show_guess=show_guess)
    transcriber = Transcriber(asr, threads=1) if asr else None
    return Session(folder, opened.store, opened_model, options, transcriber), opened.problems


def fit_labels(model: Path, manifest: Any, out: Path, threads: int, progress: Any) -> None:
    """Write a model that learnt from the labels of a manifest, for `bimodal adapt --labels`.

    Raises:
        BimodalError: The extra is not installed, or as `fit_labelled_model`.
    """
    _check_extra()
    from bimodal.labelling.export import fit_labelled_model

    fit_labelled_model(model, manifest, out, threads=threads, progress=progress)


def _check_extra() -> None:
    """Say what to install where a library of the extra `label` is missing."""
    try:
        import onnx  # noqa: F401
        import scipy.optimize  # noqa: F401
    except ModuleNotFoundError as error:
        raise BimodalError(f"labelling needs '{error.name}': pip install 'bimodal-emotion[label]'") from error


def _export(folder: Path, labels: Path | None, out: Path, to: str) -> None:
    from bimodal.labelling.exchange import export_labels
    from bimodal.labelling.open import existing_labels

    done = export_labels(folder, existing_labels(folder, labels), out, to)
    for sentence in done.lost:
        say(f"bimodal: {sentence}")
    say(f"{done.utterances} labelled clips in {out}")


def _import(session: Any, source: Path, rater: str) -> None:
    from bimodal.labelling.exchange import import_labels

    done = import_labels(session.recordings, session.store, source, rater)
    if done.unmatched:
        say(f"bimodal: {done.unmatched} rows belong to no clip of {session.recordings}; they are left out")
    say(f"{done.labels} labels of {', '.join(done.raters)} in {session.store.folder}")


def _encode(session: Any, quiet: bool) -> None:
    missing = [clip for clip in session.store.clips if not session.features.done(clip.id)]
    for _ in bar(session.features.extract(missing), "encoding", quiet):
        pass


def _write_model(session: Any, out: Path) -> None:
    from bimodal.labelling.export import export_model_of

    export_model_of(session, out)
    say(f"model in {out}; its model card has the figures; next: bimodal recognize RECORDING -m {out}")


def _show(session: Any) -> None:
    """Progress, agreement and curve on stdout."""
    from bimodal.errors import LabellingError

    try:
        session.refit()
    except LabellingError as error:
        say(f"bimodal: {error}")
    told = session.status()
    typer.echo(f"{told['labelled']} of {told['clips']} clips are labelled; {told['tests']} clips are for testing")
    for name, count in told["raters"].items():
        typer.echo(f"  {name}: {count}")
    alpha = told["agreement"]["alpha"]
    if alpha:
        typer.echo(f"agreement (alpha): {alpha[0]:.2f} ({alpha[1]:.2f} to {alpha[2]:.2f})")
    learning = told["learning"]
    for point in learning["points"] if learning else ():
        typer.echo("UAR after {} labels: {:.1f} % ({:.1f} to {:.1f})".format(point["labels"], *point["uar"]))
    if learning:
        typer.echo(learning["advice"])
    for problem in told["problems"]:
        say(f"bimodal: {problem}")


def _serve(session: Any, host: str, port: int, token: str, allowed: list[str], open_page: bool) -> None:
    from bimodal.cli.serve import load_service, own_hosts, server_address

    found = load_service()
    from bimodal.service.labelling import create_label_app
    from bimodal.service.limits import Limits

    needed = found.server.choose_token(host, token)
    access = found.guard.Access(hosts=tuple(name.lower() for name in [*own_hosts(host), *allowed]), token=needed)
    limits = Limits(stop_seconds=5.0)
    app = create_label_app(session, access=access, limits=limits)
    listening = found.server.listen(host, port)
    address = server_address(host, listening.getsockname()[1])
    page = f"{address}#token={needed}" if needed else address
    clips = session.store.clips
    tests = sum(clip.part == "test" for clip in clips)
    say(f"{len(clips)} clips in {session.recordings}, {tests} of them for testing; labels in {session.store.folder}")
    found.server.run_server(app, listening, limits, partial(_announce, page, open_page))


def _announce(page: str, open_page: bool) -> None:
    """Say where the page is; open it if asked to."""
    say(f"page: {page}\nstop with Ctrl-C; all labels are on the disk")
    if open_page:
        typer.launch(page)
