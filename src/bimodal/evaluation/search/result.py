"""The result of a search: tables for people, `search.json`, `trials.csv`, and `best.toml` for `bimodal train`."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from bimodal.config import TrainConfig, read_config
from bimodal.errors import BimodalError
from bimodal.evaluation.describe import comparison_sentences
from bimodal.evaluation.markdown import aligned, escaped_table, listed, section
from bimodal.evaluation.predictions import write_predictions
from bimodal.evaluation.report import Estimate
from bimodal.evaluation.search.plan import ALL, SearchPlan
from bimodal.evaluation.search.run import DEFAULT, SEARCHED, SearchResult, StudyResult
from bimodal.evaluation.search.space import value_of
from bimodal.evaluation.writing import encode_report
from bimodal.files import write_bytes

BEST: Final = "best.toml"
_FIRST_COLUMNS: Final = ("study", "trial", "state", "uar", "error")
Table = list[list[str]]


def describe_search(plan: SearchPlan, found: SearchResult) -> str:
    """The result as plain text: settings, figures, differences, warnings."""
    parts = [
        found.report.caveat,
        aligned(settings_table(plan, found)),
        _explained(found),
        aligned(figures_table(found)),
        listed("Paired difference on the outer folds:", comparison_sentences(found.report)),
        listed("Warnings:", found.report.warnings),
        listed("Notes:", found.report.notes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _markdown(plan: SearchPlan, found: SearchResult) -> str:
    parts = [
        "# Search of settings",
        f"**{found.report.caveat}**" if found.report.caveat else "",
        escaped_table(settings_table(plan, found)),
        _explained(found),
        escaped_table(figures_table(found)),
        section("Paired difference on the outer folds", comparison_sentences(found.report)),
        section("Warnings", found.report.warnings),
        section("Notes", found.report.notes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _explained(found: SearchResult) -> str:
    """What the figures are."""
    several = len(found.studies) > 1
    chosen = (
        f"Each outer fold was searched by itself; the settings of {BEST} are those of study '{ALL}', on all rows."
        if several
        else f"The settings of {BEST} are those that the outer fold reports."
    )
    return (
        f"UAR of {found.system} in %. The inner folds chose the settings, so their figures are too good for new "
        f"speakers. The outer folds chose nothing. {chosen}"
    )


def settings_table(plan: SearchPlan, found: SearchResult) -> Table:
    """The settings that each study chose, beside the default ones; the header first.

    Args:
        plan: Of the search.
        found: Its result.
    """
    names = [one.name if one.name == ALL else f"fold {one.name}" for one in found.studies]
    rows = [["setting", DEFAULT, *names]]
    for one in plan.space:
        chosen = [_shown(study.values.get(one.name)) for study in found.studies]
        rows.append([one.name, _shown(one.default), *chosen])
    counts = ["trials", "-", *(_counted(study) for study in found.studies)]
    return [*rows, counts]


def _counted(study: StudyResult) -> str:
    total = sum(study.states.values())
    others = [f"{study.states[state]} {word}" for state, word in (("pruned", "pruned"), ("fail", "failed"))]
    told = [text for text in others if not text.startswith("0 ")]
    return f"{total} ({', '.join(told)})" if told else f"{total}"


def figures_table(found: SearchResult) -> Table:
    """UAR in % of searched and default settings on inner and outer folds, the header first."""
    inner: dict[str, list[float | None]] = {
        SEARCHED: [study.inner_uar for study in found.studies],
        DEFAULT: [study.default_uar for study in found.studies],
    }
    rows = [["settings", "inner folds", f"outer folds ({found.report.cluster_name} intervals)"]]
    for name in (SEARCHED, DEFAULT):
        known = [value for value in inner[name] if value is not None]
        told = f"{100 * sum(known) / len(known):.1f}" if len(known) == len(inner[name]) else "-"
        rows.append([name, told, _outer(found, name).shown()])
    return rows


def _outer(found: SearchResult, name: str) -> Estimate:
    return next(system.metrics["uar"] for system in found.report.systems if system.system == name)


def _shown(value: Any) -> str:
    """A value as a table has it: four digits of a number."""
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else json.dumps(value).strip('"')


def best_toml(config: TrainConfig, values: Mapping[str, Any], remarks: Sequence[str] = ()) -> str:
    """Settings as a file for `--config`: those of the search's own configuration, and the found ones.

    Args:
        config: Settings that the search started from; what differs from the defaults is written, too.
        values: By setting.
        remarks: Lines that stand above.

    Example:
        >>> print(best_toml(TrainConfig(seed=3), {"speech.dropout": 0.25}), end="")
        seed = 3
        speech.dropout = 0.25
    """
    changed = {name: value_of(config, name) for name in _names(config) if _differs(config, name)}
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in (changed | dict(values)).items()]
    return "\n".join([*(f"# {' '.join(remark.split())}" for remark in remarks), *lines]) + "\n"


def _names(config: Any, start: str = "") -> list[str]:
    """The names of all settings, such as `speech.loss.beta`."""
    found = []
    for name, value in msgspec.to_builtins(config).items():
        nested = isinstance(value, dict)
        found += [f"{start}{name}.{below}" for below in _names(getattr(config, name))] if nested else [f"{start}{name}"]
    return found


def _differs(config: TrainConfig, name: str) -> bool:
    return bool(value_of(config, name) != value_of(TrainConfig(), name))


def _trials_csv(plan: SearchPlan, found: SearchResult) -> bytes:
    """All trials, one line each; a value that is a list is JSON."""
    stream, columns = io.StringIO(), [*_FIRST_COLUMNS, *(one.name for one in plan.space)]
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for trial in found.trials:
        cells = [trial.get(column) for column in columns]
        writer.writerow([json.dumps(cell) if isinstance(cell, list | bool) else cell for cell in cells])
    return stream.getvalue().encode()


def write_search(out: Path, plan: SearchPlan, found: SearchResult) -> None:
    """Write `best.toml`, `search.json`, `search.md`, `trials.csv` and `predictions.csv` (of the outer folds).

    Raises:
        BimodalError: The folder cannot be written.
    """
    outer = {name: _outer(found, name).shown() for name in (SEARCHED, DEFAULT)}
    remarks = [
        "Chosen by 'bimodal search'; give it to 'bimodal train --config'.",
        f"UAR of {found.system} on outer folds: {outer[SEARCHED]} %, with default settings {outer[DEFAULT]} %.",
    ]
    toml = best_toml(plan.outer.config, found.values, remarks)
    told = {
        "schema": 1,
        "system": found.system,
        "protocol": plan.outer.protocol,
        "seed": plan.outer.config.seed,
        "best": dict(found.values),
        "studies": msgspec.to_builtins(found.studies),
        "outer": msgspec.json.decode(encode_report(found.report)),
    }
    try:
        write_bytes(out / "trials.csv", _trials_csv(plan, found))
        write_predictions(out / "predictions.csv", found.predictions)
        write_bytes(out / "search.md", _markdown(plan, found).encode())
        write_bytes(out / "search.json", msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")
        write_bytes(out / BEST, toml.encode())
    except OSError as error:
        raise BimodalError(f"{out}: the result cannot be written ({error.strerror}); free some space") from error
    read_config(TrainConfig(), out / BEST)  # what is written must be readable
