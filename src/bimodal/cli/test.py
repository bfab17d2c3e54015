"""The command that tests a model for correctness, consistency, fairness and robustness."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bimodal.cli.options import Quiet, RootFolder, Threads, manifest_below
from bimodal.cli.terminal import bar, say

if TYPE_CHECKING:
    from bimodal.asr.timed_words import Asr
    from bimodal.evaluation.model_tests.records import Material
    from bimodal.records import Manifest

_LONGER = "Folder of recordings of"


ModelAndManifest = Annotated[
    list[str],
    typer.Argument(
        metavar="[MODEL] MANIFEST",
        help="Model folder or name of a packaged model, and a manifest with labels; with --predictions the "
        "manifest alone.",
    ),
]
ScoreFile = Annotated[
    Path | None, typer.Option(help="Test the scores in this file, of any model, in place of a model.")
]
System = Annotated[
    str, typer.Option(help="System that the verdict is on: speech, text or fused. [default: fused if there is one]")
]
Only = Annotated[
    list[str] | None,
    typer.Option(help="Category to run: correctness, consistency, fairness, robustness. Repeatable."),
]
By = Annotated[
    list[str] | None, typer.Option(help="Column of the manifest whose groups are compared, too. Repeatable.")
]
Emotions = Annotated[str, typer.Option(help="Test these emotions alone, such as anger,sadness.")]
Split = Annotated[str, typer.Option(help="Split to test on. [default: test if there is one, else all rows]")]
Limit = Annotated[int, typer.Option(min=0, help="Most clips, drawn by emotion and speaker; 0 takes all.")]
RobustnessClips = Annotated[int, typer.Option(min=1, help="Most clips that are recognised again under each change.")]
Noise = Annotated[Path | None, typer.Option(help=f"{_LONGER} noise.")]
Room = Annotated[Path | None, typer.Option(help="Folder of impulse responses of rooms.")]
Music = Annotated[Path | None, typer.Option(help=f"{_LONGER} music.")]
Cough = Annotated[Path | None, typer.Option(help=f"{_LONGER} single coughs.")]
Sneeze = Annotated[Path | None, typer.Option(help=f"{_LONGER} single sneezes.")]
AsrModel = Annotated[str, typer.Option(help="Whisper model in CTranslate2 format, for words by speech recognition.")]
MinPass = Annotated[float, typer.Option(min=0, max=100, help="Exit with 1 if fewer percent of the tests pass.")]
Seed = Annotated[int, typer.Option(min=0, help="Of all that is random.")]
Out = Annotated[Path | None, typer.Option(help="Folder for tests.json, tests.md and junit.xml.")]
SeenRows = Annotated[
    bool, typer.Option("--seen-rows", help="Test on rows that the model was trained on; the report says so.")
]


def test(
    paths: ModelAndManifest,
    predictions: ScoreFile = None,
    system: System = "",
    only: Only = None,
    by: By = None,
    emotions: Emotions = "",
    split: Split = "",
    limit: Limit = 0,
    robustness_clips: RobustnessClips = 200,
    noise: Noise = None,
    room: Room = None,
    music: Music = None,
    cough: Cough = None,
    sneeze: Sneeze = None,
    asr_model: AsrModel = "",
    min_pass: MinPass = 0.0,
    seed: Seed = 0,
    out: Out = None,
    seen_rows: SeenRows = False,
    root: RootFolder = None,
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Test correctness, consistency, fairness and robustness.

    Thresholds are published ones, or simulated from the sizes of the groups. A test without enough data is skipped, and
    the report says why. Exits with 1 if fewer tests pass than --min-pass asks for.
    """
    from bimodal.data.manifest import open_manifest
    from bimodal.evaluation.model_tests.describe import describe
    from bimodal.evaluation.model_tests.recognise import RunOptions
    from bimodal.evaluation.model_tests.records import TestOptions, pass_rate
    from bimodal.evaluation.model_tests.suite import check_options, run_tests
    from bimodal.evaluation.model_tests.writing import write_tests
    from bimodal.inference.installed import find_model
    from bimodal.inference.model_folder import load_model_config

    model, manifest = _model_and_manifest(paths, predictions)
    options = TestOptions(by=tuple(by or ()), seed=seed, only=tuple(only or ()))
    read = open_manifest(manifest_below(manifest, root))
    check_options(options, read.utterances)
    folders = {"noise": noise, "room": room, "music": music, "cough": cough, "sneeze": sneeze}
    sounds = {kind: folder for kind, folder in folders.items() if folder is not None}
    named, clips = _names(emotions), robustness_clips if not only or "robustness" in only else 0
    run = RunOptions(split=split, emotions=named, limit=limit, robustness_clips=clips, sounds=sounds, seed=seed)
    progress = partial(bar, quiet=quiet)
    if predictions is not None:
        _refuse_with_predictions(run, asr_model, limit)
        material, notes, caveat = *_from_scores(predictions, read, split, progress), ""
    else:
        _check_system(system)
        run = replace(run, asr=_asr(asr_model, threads))
        material, notes, caveat = _from_model(model, read, run, threads, seen_rows, progress)
    title = f"{predictions or model} on {manifest}"
    report = run_tests(material, options, system=system, title=title, notes=notes, caveat=caveat, progress=progress)
    if model:
        report = replace(report, revision=load_model_config(find_model(model), verify=False).revision)
    typer.echo(describe(report))
    if out is not None:
        write_tests(out, report)
        say(f"written to {out}")
    _check_rate(pass_rate(report.verdict), min_pass)


def _names(listed: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in listed.split(",") if name.strip())


def _check_system(system: str) -> None:
    if system not in ("", "speech", "text", "fused"):
        raise typer.BadParameter(f"--system {system}: expected speech, text or fused")


def _check_rate(rate: float | None, min_pass: float) -> None:
    """End with 1 if too few tests pass."""
    passed = 100 * (rate or 0.0)
    if passed < min_pass:
        say(f"bimodal: {passed:.1f} % of the tests pass, fewer than --min-pass {min_pass:g}")
        raise typer.Exit(1)


def _model_and_manifest(paths: list[str], predictions: Path | None) -> tuple[str, Path]:
    """The two arguments; with a file of scores there is no model."""
    wanted = ["MANIFEST"] if predictions is not None else ["MODEL", "MANIFEST"]
    if len(paths) != len(wanted):
        asked = "with --predictions" if predictions is not None else "without --predictions"
        raise typer.BadParameter(f"{len(paths)} arguments, expected {' and '.join(wanted)} {asked}")
    return ("" if predictions is not None else paths[0]), Path(paths[-1])


def _refuse_with_predictions(run: Any, asr_model: str, limit: int) -> None:
    """Options that need a model are refused where there is none."""
    given = {"--emotions": run.emotions, "--limit": limit, "--asr-model": asr_model, "--noise and the like": run.sounds}
    for name, value in given.items():
        if value:
            raise typer.BadParameter(f"{name} needs a model; a file of scores is tested as it is")


def _from_model(
    model: str, read: "Manifest", run: Any, threads: int, seen_rows: bool, progress: Any
) -> tuple["Material", tuple[str, ...], str]:
    """Answers of a model, notes, and what stands before everything else."""
    from bimodal.evaluation.model_tests.recognise import recognise
    from bimodal.evaluation.rows import check_seen_rows, note_on_seen
    from bimodal.inference.recognizer import Recognizer

    caveat = check_seen_rows(model, read, split=run.split, allow=seen_rows)
    recognizer = Recognizer(model, threads=threads)
    material, notes = recognise(recognizer, read, run, progress)
    return material, (*notes, *note_on_seen(recognizer.folder, read, run.split)), caveat


def _from_scores(file: Path, read: "Manifest", split: str, progress: Any) -> tuple["Material", tuple[str, ...]]:
    """Answers that a file holds, and notes."""
    from bimodal.evaluation.external import read_scores
    from bimodal.evaluation.model_tests.recognise import measured_pitch
    from bimodal.evaluation.model_tests.records import Material

    found, notes = read_scores(file, read, split=split)
    by_id = {row.id: row for row in read.utterances}
    rows = tuple(by_id[name] for name in found.ids)
    pitch, reason = measured_pitch(read, rows, progress)
    return Material(predictions=found, utterances=rows, pitch=pitch, pitch_reason=reason), notes


def _asr(model: str, threads: int) -> "Asr | None":
    """Speech recognition; None without a model."""
    if not model:
        return None
    from bimodal.asr.timed_words import make_asr
    from bimodal.asr.whisper import Transcriber

    return make_asr(Transcriber(model, threads=threads))
