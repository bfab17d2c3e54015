"""What is said at the end of a training: where the model is, how good on held-out rows, what to do next."""

import shlex
from pathlib import Path

from bimodal.data.manifest import ManifestSource, open_manifest
from bimodal.inference.model_folder import REPORT, load_model_config, read_json
from bimodal.training.package_model import TrainReport

_MOST_FOLDS = 5


def summarise_training(manifest: ManifestSource, model: Path, options: str = "") -> list[str]:
    """Lines for people after a training.

    Args:
        manifest: What the model was trained on.
        model: Its folder.
        options: As in `next_step`.
    """
    config = load_model_config(model, verify=False)
    lines = [f"model in {model} (licence: {config.licence})", describe_dev(read_json(model / REPORT, TrainReport))]
    return [*lines, f"next: {next_step(manifest, model, options)}"]


def dev_figures(model: Path) -> dict[str, float]:
    """The figures of a new model on the held-out rows, for a tracker: UAR of each stage, 0 to 1."""
    report = read_json(model / REPORT, TrainReport)
    return {f"{stage}/dev_uar": value for stage, value in report.dev_uar.items()}


def describe_dev(report: TrainReport) -> str:
    """The figures on the held-out rows, beside chance."""
    figures = ", ".join(f"{stage} {100 * value:.1f} %" for stage, value in report.dev_uar.items())
    return (
        f"unweighted average recall on {report.dev_rows} held-out rows: {figures}; chance {100 * report.dev_chance:.1f}"
        " %. These rows also fitted the temperatures, so expect less on new recordings"
    )


def next_step(manifest: ManifestSource, model: Path, options: str = "") -> str:
    """The command that gives honest figures: on the test rows if there are any, else on folds.

    Args:
        manifest: What the model was trained on.
        model: Its folder.
        options: Of the command, beside those that are said here.
    """
    read = open_manifest(manifest)
    rows = [row for row in read.utterances if row.emotion is not None]
    command = f"bimodal evaluate {shlex.quote(str(read.path))}{options}"
    if any(row.split == "test" for row in rows):
        report = shlex.quote(str(model.parent / "report"))
        return f"{command} --model {shlex.quote(str(model))} --out {report}, which writes report.html for a browser"
    speakers = {row.speaker for row in rows}
    if None not in speakers and len(speakers) > 2:
        return (
            f"{command} --folds {min(_MOST_FOLDS, len(speakers))}, with the same --config and --set. Every row of the "
            "manifest was used, so this model itself can be evaluated on other recordings alone"
        )
    return (
        f"bimodal recognize -m {shlex.quote(str(model))} RECORDING. Every row of the manifest was used, so evaluate "
        "the model on recordings of other speakers"
    )
