"""Pages of the reference, made from the code while MkDocs builds the site: commands, settings, Python names.

MkDocs calls `on_files` (`hooks` in mkdocs.yml), so the pages cannot be out of date. They are never written to the disk.
"""

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import bimodal
from bimodal import config
from bimodal.cli import app
from bimodal.service.limits import Limits

BRACKET = r"\["  # `[x>=1]`, as click writes a range, is no link
SIGNS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
ENTRY = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)
SETTINGS = (
    ("bimodal train", "`bimodal train` and `bimodal evaluate --folds` read these settings.", config.TrainConfig),
    ("bimodal tune text", "`bimodal tune text` reads these settings.", config.TuneTextConfig),
    ("bimodal tune speech", "`bimodal tune speech` reads these settings.", config.TuneSpeechConfig),
    ("bimodal serve", "`bimodal serve` reads these settings: its limits.", Limits),
)
HOW = """Give settings in a TOML file with `--config FILE`, or one by one with `--set key=value`. A value on the command
line wins. An unknown key is an error that names the valid keys."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the reference to those that lie in docs/."""
    for name, text in (("cli", cli_page()), ("settings", settings_page()), ("python", python_page())):
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def cli_page() -> str:
    """Every command with its arguments and options."""
    parts = _commands("bimodal", typer.main.get_command(app))
    return "# Command line\n\nMade from the program: `bimodal COMMAND --help` shows the same.\n\n" + "\n".join(parts)


def settings_page() -> str:
    """Every setting with its type, default and meaning."""
    lines = ["# Settings", "", HOW, ""]
    for title, sentence, kind in SETTINGS:
        lines += [f"## {title}", "", sentence, "", *_settings(kind(), "")]
    return "\n".join(lines)


def python_page() -> str:
    """The public names of the package; mkdocstrings reads their docstrings."""
    names = [name for name in bimodal.__all__ if not name.startswith("_")]
    return "# Python\n\n" + "\n".join(f"::: bimodal.{name}\n" for name in names)


def _commands(name: str, command: Any) -> list[str]:
    """A command, and those within it."""
    within = getattr(command, "commands", {}).items()
    return [_command(name, command), *(part for inner, one in within for part in _commands(f"{name} {inner}", one))]


def _command(name: str, command: Any) -> str:
    context = typer.Context(command, info_name=name)
    records = [record for param in command.get_params(context) if (record := param.get_help_record(context))]
    rows = [f"| `{names}` | {_cell(meaning).replace('[', BRACKET)} |" for names, meaning in records]
    usage = f"{name} {' '.join(command.collect_usage_pieces(context))}"
    table = ["| argument or option | meaning |", "|---|---|", *rows]
    return "\n".join(
        [f"## {name}", "", inspect.cleandoc(command.help or ""), "", f"```text\n{usage}\n```", "", *table, ""]
    )


def _settings(record: Any, prefix: str) -> Iterator[str]:
    """A table of a record's own settings, then those of the records in it."""
    meanings, types = _meanings(type(record)), get_type_hints(type(record), include_extras=True)
    names = [item.name for item in fields(record)]
    nested = [name for name in names if is_dataclass(getattr(record, name))]
    yield from ("| setting | type | default | meaning |", "|---|---|---|---|")
    for name in names:
        if name not in nested:
            default = _toml(getattr(record, name))
            yield f"| `{prefix}{name}` | {_type(types[name])} | `{default}` | {_cell(meanings.get(name, ''))} |"
    yield ""
    for name in nested:
        inner = _settings(getattr(record, name), f"{prefix}{name}.")
        yield from (f"**{prefix}{name}**: {meanings.get(name, '')}", "", *inner)


def _meanings(kind: type) -> dict[str, str]:
    """What the docstrings of a record and of those that it extends say about each attribute."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        text = inspect.cleandoc(one.__doc__ or "").partition("Attributes:")[2]
        found |= {name: " ".join(meaning.split()) for name, meaning in ENTRY.findall(text)}
    return found


def _type(hint: Any) -> str:
    """A type as people write it: the values of a choice, or a name with its range."""
    if hasattr(hint, "__metadata__"):
        bounds = hint.__metadata__[0]
        limits = [f"{sign} {getattr(bounds, key):g}" for key, sign in SIGNS if getattr(bounds, key) is not None]
        return ", ".join([hint.__origin__.__name__, *limits])
    if getattr(hint, "__origin__", None) is tuple:
        return f"list of {_type(get_args(hint)[0])}"
    if choices := [value for value in get_args(hint) if isinstance(value, str)]:
        return " or ".join(f"`{value}`" for value in choices)
    return {"str": "text", "bool": "true or false"}.get(hint.__name__, hint.__name__)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else f"{value}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
