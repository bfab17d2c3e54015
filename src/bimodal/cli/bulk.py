"""The command `bulk`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bimodal.cli.options import Quiet
from bimodal.cli.recognize import (
    ASR_MODEL,
    Asr,
    By,
    Channels,
    Coverage,
    Download,
    Language,
    Model,
    Timeline,
    parse_coverage,
)
from bimodal.cli.terminal import StatusLine, say
from bimodal.errors import BimodalError

if TYPE_CHECKING:
    from bimodal.scale.progress import Throughput
    from bimodal.scale.records import BulkOptions, Setup
    from bimodal.scale.run import Summary


Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE...",
        help="Recordings, folders, manifests (.csv, .tsv, .jsonl, .parquet), WebDataset archives (.tar), or a quoted "
        "pattern of them; paths, or URLs such as s3://bucket/calls.",
    ),
]
Out = Annotated[Path, typer.Option(help="Folder of the results. A second call continues an interrupted one.")]
Task = Annotated[
    Literal["recognize", "extract"], typer.Option(help="Recognise emotions, or write embeddings and logits.")
]
Root = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER",
        help="Recordings of a manifest may lie below this folder or URL, too. [default: below the manifest's folder "
        "alone]",
    ),
]
Transcribe = Annotated[
    bool, typer.Option("--transcribe", help="Get the words by automatic speech recognition, where none are given.")
]
PartSize = Annotated[int, typer.Option(min=1, max=1_000_000, help="Recordings in a new part, one Parquet file.")]
BatchSize = Annotated[
    int, typer.Option(min=1, max=10_000, help="Most recordings that a worker has at a time, and loses if it ends.")
]
Workers = Annotated[int, typer.Option(min=0, max=4096, help="Processes with one thread each; 0 for one per core.")]
EngineOption = Annotated[
    Literal["local", "ray"], typer.Option(help="Processes of this machine, or a Ray cluster (extra 'scale').")
]
Address = Annotated[
    str,
    typer.Option(help="Head of the Ray cluster; 'auto' for the one on this machine, 'local' to start one for the run."),
]
Price = Annotated[
    float | None, typer.Option("--price-per-core-hour", min=0.0, help="Say at the end what the run has cost.")
]


def bulk(
    sources: Sources,
    out: Out,
    task: Task = "recognize",
    model: Model = None,
    download: Download = False,
    root: Root = None,
    timeline: Timeline = None,
    channels: Channels = "mix",
    transcribe: Transcribe = False,
    asr: Asr = ASR_MODEL,
    language: Language = "",
    coverage: Coverage = None,
    coverage_by: By = "emotion",
    part_size: PartSize = 10_000,
    batch_size: BatchSize = 32,
    workers: Workers = 0,
    engine: EngineOption = "local",
    ray_address: Address = "local",
    price: Price = None,
    quiet: Quiet = False,
) -> None:
    """Recognise emotion in millions of recordings.

    With --task extract, write embeddings. Results are Parquet files in OUT/results; recordings that cannot be used are
    listed in OUT/failures.
    """
    _check_packages()
    from bimodal.scale.records import BulkOptions, settings_of
    from bimodal.scale.run import Listener, RunOptions, run_bulk

    options = BulkOptions(
        task=task,
        timeline=timeline,
        channels=channels,
        coverage=parse_coverage(coverage),
        coverage_by=coverage_by,
        asr_model=asr if transcribe else "",
        language=language,
    )
    setup, name = _setup(model, download, options)
    run_options = RunOptions(
        part_size=part_size,
        batch_size=batch_size,
        workers=workers or (0 if engine == "ray" else os.cpu_count() or 1),
        engine=engine,
        address=ray_address,
        root=root,
    )
    shown = _Shown(quiet=quiet)
    listener = Listener(say=shown.say, listed=shown.listed, done=shown.done)
    settings = settings_of(setup, name) | _heard_by(options, download)
    try:
        summary = run_bulk(sources, out, setup, settings, run_options, listener)
    finally:
        shown.end()
    _tell(summary, out, price)


def _check_packages() -> None:
    """Refuse to begin without the packages of the extra.

    Raises:
        BimodalError: One is missing.
    """
    try:
        import fsspec  # noqa: F401
        import pyarrow  # noqa: F401
    except ModuleNotFoundError as error:
        raise BimodalError(f"this command needs '{error.name}': pip install 'bimodal-emotion[bulk]'") from error


def _setup(model: str | None, download: bool, options: "BulkOptions") -> "tuple[Setup, str]":
    """What workers need, and the model's name; what the model cannot do is refused here, before anything is listed."""
    from bimodal.inference.installed import DEFAULT, find_model
    from bimodal.inference.model import Model as OpenModel
    from bimodal.scale.records import Setup

    folder = find_model(model, download=download)
    opened = OpenModel(folder, threads=1)
    say(f"{opened.config.name} {opened.config.version}, licence of the weights: {opened.config.licence}")
    opened.check_takes_audio()
    opened.set_chooser(options.coverage, options.coverage_by)
    if options.coverage is not None and options.task == "extract":
        raise typer.BadParameter("--coverage goes with --task recognize")
    # Workers on other machines find an installed model by its name, and a folder on a shared disk by its path.
    named = str(folder.resolve()) if model is not None and Path(model).exists() else model or DEFAULT
    return Setup(model=named, revision=opened.config.revision, options=options), opened.config.name


def _heard_by(options: "BulkOptions", download: bool) -> dict[str, str]:
    """The speech recogniser as a setting that decides results; it is opened once here, so that it is there."""
    if not options.asr_model:
        return {}
    if options.task == "extract":
        raise typer.BadParameter("--transcribe goes with --task recognize")
    from bimodal.asr.whisper import Transcriber

    transcriber = Transcriber(options.asr_model, threads=1, download=download)
    return {"speech recognition": f"{transcriber.digest[:12]} {options.language}".strip()}


class _Shown(StatusLine):
    """Progress on stderr."""

    def listed(self, count: int) -> None:
        """How many recordings are listed."""
        self.show(f"{count:,} recordings listed")

    def done(self, run: "Throughput") -> None:
        """How far the run is."""
        from bimodal.scale.progress import describe_progress

        self.show(describe_progress(run, run.seconds))


def _tell(summary: "Summary", out: Path, price: float | None) -> None:
    """What was done; exit 1 if nothing could be used."""
    from bimodal.scale.progress import counted, describe_end
    from bimodal.scale.results import count_failures

    run: Any = summary.throughput
    if run.recordings:
        say(describe_end(run, run.seconds, price))
    failed = count_failures(out, summary.parts)
    done = run.recordings + summary.earlier
    say(
        f"{out}: {counted(done, 'recording')} in {counted(summary.parts, 'part')}, {failed:,} failed"
        + f" ({out}/failures)" * (failed > 0)
    )
    if failed == done:
        raise BimodalError(f"{out}: no recording could be used; {out}/failures says why")
