"""Sections on where the figures come from: data and licences, the model, the command, seeds and versions."""

import datetime
from collections import Counter
from collections.abc import Sequence
from typing import Final

from bimodal.data.corpora import CORPORA
from bimodal.errors import BimodalError
from bimodal.evaluation.html.blocks import Block, Code, Listing, Section, Table
from bimodal.evaluation.html.material import Material, short, versions
from bimodal.evaluation.html.tables import plain_table
from bimodal.files import file_digest
from bimodal.inference.model_config import ModelConfig
from bimodal.inference.model_folder import load_model_config
from bimodal.records import LAW, Manifest

LICENCE_COLUMNS: Final = ("licence", "license")
_LONGEST: Final = 2000
_LONGEST_TITLE: Final = 120
_DIGITS: Final = 16  # of a digest


def page_title(material: Material) -> str:
    """What was tested on what, as far as it is known, else the report's title."""
    config, manifest = model_config(material), material.sources.manifest
    if manifest is None:
        return short(material.report.title, _LONGEST_TITLE) or "Evaluation"
    data = manifest.folder.resolve().name or manifest.path.name
    return f"{short(config.name) if config else 'Evaluation'} on {short(data)}"


def data_section(material: Material) -> Section:
    """What was tested on, the model, and the licences of both."""
    tables = [_tested(material), *_manifest_tables(material.sources.manifest), *_model_tables(material)]
    return Section(
        lead="Weights carry the licence of their training data. The licence of the tested data decides whether you may "
        "pass on recordings, such as those in this page.",
        blocks=tables,
    )


def _tested(material: Material) -> Table:
    report = material.report
    unit = f"{report.clusters:,} {report.cluster_name}s" if report.cluster_name != "utterance" else "unknown"
    rows = [
        ["utterances", f"{report.rows:,}"],
        ["speakers or dialogues", unit],
        *([short(name), f"{count:,}"] for name, count in report.counts.items()),
    ]
    return plain_table("Tested utterances, and how many of each emotion", ["what", "number"], rows)


def _manifest_tables(manifest: Manifest | None) -> list[Table]:
    if manifest is None:
        return []
    splits = Counter(row.split or "none" for row in manifest.utterances)
    parts = ", ".join(f"{short(name)} {count:,}" for name, count in splits.most_common(6))
    rows = [
        ["manifest", short(f"{manifest.folder.name}/{manifest.path.name}")],
        ["SHA-256", _digest(manifest)],
        ["rows by split", parts],
        ["licence of the data", _data_licence(manifest)],
    ]
    return [plain_table("The data", ["what", "value"], rows, numeric=False)]


def _digest(manifest: Manifest) -> str:
    try:
        return file_digest(manifest.path)[:_DIGITS]
    except OSError:
        return "the manifest cannot be read any more"


def _data_licence(manifest: Manifest) -> str:
    """The licence that the rows name, or that of a corpus of the manifest's folder name."""
    told = {row.extra[name] for row in manifest.utterances for name in LICENCE_COLUMNS if row.extra.get(name)}
    if told:
        return short("; ".join(sorted(told)), _LONGEST)
    corpus = CORPORA.get(manifest.folder.name)
    if corpus is None:
        return "unknown: the manifest has no column 'licence'"
    return f"{corpus.licence}, if it is {corpus.title.split(':')[0]}, as the folder's name says ({corpus.citation})"


def _model_tables(material: Material) -> list[Table]:
    config = model_config(material)
    if config is None:
        return []
    backbones = [side.backbone or f"{len(side.columns)} columns" for side in (config.speech, config.text) if side]
    rows = [
        ["model", short(f"{config.name} {config.version}")],
        ["revision", config.revision],
        ["licence of the weights", short(config.licence, _LONGEST)],
        ["trained on", short(config.trained_on, _LONGEST) or "unknown"],
        *([["adapted to", short(config.adapted_to, _LONGEST)]] if config.adapted_to else []),
        ["backbones", short(", ".join(backbones), _LONGEST)],
        ["emotions", short(f"{config.vocabulary}: {', '.join(config.emotions)}", _LONGEST)],
    ]
    return [plain_table("The model", ["what", "value"], rows, numeric=False)]


def model_config(material: Material) -> ModelConfig | None:
    """Settings of the model folder behind the figures; None without one, or if it cannot be read."""
    if material.sources.model is None:
        return None
    try:
        return load_model_config(material.sources.model, verify=False)
    except BimodalError:
        return None


def run_section(material: Material) -> Section:
    """The command, seeds, versions and notes."""
    report = material.report
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    rows = [
        ["date", now],
        ["seed of the intervals", f"{report.seed}; {report.replicates:,} resamples"],
        *([name, one] for name, one in versions().items()),
    ]
    command: list[Block] = [Code(label="The command", text=short(material.sources.command, _LONGEST))]
    return Section(
        lead="With the same files, the same command gives the same figures.",
        blocks=[
            *(command if material.sources.command else []),
            *_notes(report.notes),
            plain_table("Seeds and versions", ["what", "value"], rows, numeric=False),
            Listing(heading="The law", sentences=[LAW]),
        ],
    )


def _notes(notes: Sequence[str]) -> list[Listing]:
    return [Listing(heading="Notes", sentences=[short(one, _LONGEST) for one in notes])] if notes else []
