"""The study: `python -m benchmarks.study`. Stopped and started again, it goes on; `--tables` writes the page alone."""

import argparse
import datetime
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import torch

from benchmarks.record import ROOT, Options, append_ledger, current_commit, options_parser, to_options
from benchmarks.study.cells import Cells
from benchmarks.study.findings import Section, Study, fusion_section, imbalance_section, loss_section
from benchmarks.study.fusion import PAIRED, run_fusion
from benchmarks.study.losses import choices, run_imbalance, run_losses
from benchmarks.study.page import certain, difference, read_study, write_page
from benchmarks.study.plots import draw
from benchmarks.study.tasks import TASKS, Task
from benchmarks.tables import STUDY

PAGE = ROOT / "docs" / "study.md"
PARTS = (*(f"losses/{name}" for name in TASKS), "imbalance/ravdess", *(f"fusion/{name}" for name in PAIRED))
SEEDS = (0, 1, 2, 3, 4)
SWEEP_SEEDS = 3


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts that were asked for, then write the page from all that is stored."""
    found = read_arguments(arguments)
    options = to_options(found)
    if not found.tables:
        torch.set_num_threads(options.threads)
        for part in found.only:
            sections, minutes = run_part(part, options, Cells(folder=found.cells or options.cache / "study"))
            save(sections, minutes, options)
    study = read_study(options.results / f"{STUDY}.json")
    for section in study.sections:
        draw(section, options.results)
    write_page(study, found.page)


def read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What every benchmark is told, and which parts."""
    parser = options_parser(__doc__ or "")
    parser.set_defaults(seeds=list(SEEDS))
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to run; default all")
    parser.add_argument("--cells", type=Path, help="folder of the cells that are done (default: the cache's `study`)")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--tables", action="store_true", help="only write the page and plots from study.json")
    return parser.parse_args(arguments)


def run_part(part: str, options: Options, cells: Cells) -> tuple[Section, dict[str, float]]:
    """One section, and the CPU minutes of its cells; a look at a test part goes into the ledger."""
    kind, _, corpus = part.partition("/")
    section = {"losses": _losses, "imbalance": _imbalance, "fusion": _fusion}[kind](corpus, options, cells)
    if part in cells.computed:
        section = replace(section, commit=current_commit())
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M")
        append_ledger(options.ledger, [now, current_commit(), "study", part, "", headline(section)])
    return section, {name: sum(seconds.values()) / 60 for name, seconds in cells.seconds.items()}


Builders = dict[str, Callable[[Options], Task]]


def _losses(corpus: str, options: Options, cells: Cells, tasks: Builders = TASKS) -> Section:
    task = tasks[corpus](options)
    ravdess = task if task.choose else tasks["ravdess"](options)
    chosen = choices(task, ravdess, cells)
    return loss_section(task, chosen, run_losses(task, chosen, options.seeds, cells))


def _imbalance(corpus: str, options: Options, cells: Cells) -> Section:
    task = TASKS[corpus](options)
    chosen = choices(task, task, cells)
    return imbalance_section(task, run_imbalance(task, chosen, options.seeds[:SWEEP_SEEDS], cells))


def _fusion(corpus: str, options: Options, cells: Cells) -> Section:
    task = PAIRED[corpus](options)
    return fusion_section(task, run_fusion(task, options.seeds, cells))


def headline(section: Section) -> str:
    """The ledger's line: the first metric of every system."""
    first = section.rows[0].figure.metric
    rows = [row for row in section.rows if row.figure.metric == first]
    return f"{first}: " + "; ".join(
        f"{row.system}{', ' if row.condition else ''}{row.condition} {row.figure.mean:.2f} sd {row.figure.sd:.2f}"
        for row in rows
    )


def save(section: Section, minutes: dict[str, float], options: Options) -> None:
    """Put a section into study.json beside those that are there."""
    file = options.results / f"{STUDY}.json"
    known = read_study(file) if file.exists() else None
    sections = {old.name: old for old in (known.sections if known else ())}
    if not section.commit and section.name in sections:  # its cells were there
        section = replace(section, commit=sections[section.name].commit)
    sections[section.name] = section
    order = [*PARTS, *(name for name in sections if name not in PARTS)]
    study = Study(
        sections=tuple(sections[name] for name in order if name in sections),
        seeds=options.seeds,
        minutes=(known.minutes if known else {}) | minutes,
        date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M"),
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(study), indent=1))
    wins = [f"{row.system} {row.figure.metric} {difference(row)}" for row in section.rows if certain(row)]
    print(section.name, headline(section), "certain:", "; ".join(wins) or "nothing", flush=True)


if __name__ == "__main__":
    main()
