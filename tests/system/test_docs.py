"""What README and docs say is true: commands, options, settings, Python, links, figures."""

import ast
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
import typer

from bimodal.cli import app
from bimodal.config import TrainConfig, TuneSpeechConfig, TuneTextConfig, read_config
from bimodal.evaluation.timeline import TimelineEvaluation
from bimodal.inference.export import export_model
from bimodal.inference.installed import find_model
from bimodal.service.limits import Limits

ROOT = Path(__file__).parents[2]
GENERATED = ("results.md", "study.md", "server-load.md")
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if path.name not in GENERATED
}
GROUP = typer.main.get_command(app)
COMMANDS = GROUP.commands | {
    f"{name} {inner}": command
    for name, group in GROUP.commands.items()
    for inner, command in getattr(group, "commands", {}).items()
}
"""All commands by name, those of groups, such as `backbone build`, among them."""

TRAINED = ("train", "evaluate", "cross-corpus", "search")
CONFIGS = {**dict.fromkeys(TRAINED, TrainConfig()), "serve": Limits()}
ELSEWHERE = ("docs/how-to/server.md",)  # test_server_docs.py runs its Python against a server
SAMPLES = ROOT / "src/bimodal/service/static/samples"


def blocks(language: str) -> list[pytest.param]:
    """Every block of code in a language."""
    pattern = re.compile(rf"^```{language}\n(.*?)^```", re.DOTALL | re.MULTILINE)
    found = [(page, text) for page, content in PAGES.items() for text in pattern.findall(content)]
    return [pytest.param(text, id=f"{page}-{number}") for number, (page, text) in enumerate(found)]


def calls(text: str) -> Iterator[list[str]]:
    """The arguments of each `bimodal` in a shell script."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>()")
        lexer.whitespace_split = True
        call: list[str] | None = None
        for word in lexer:
            if Path(word).name == "bimodal":
                call = []
            elif call is not None and set(word) <= set("|&;<>()"):
                yield call
                call = None
            elif call is not None:
                call.append(word)
        if call is not None:
            yield call


def options(command) -> set[str]:
    context = typer.Context(command, info_name="bimodal")
    shown = [one for one in command.get_params(context) if not getattr(one, "hidden", False)]
    return {name for one in shown for name in (*one.opts, *one.secondary_opts) if name[0] == "-"}


def check(call: list[str]) -> None:
    """Refuse a command, an option or a setting that does not exist."""
    command, name = GROUP, ""
    if call and not call[0].startswith("-"):
        name = call[0]
        assert name in GROUP.commands, f"bimodal {name}: no such command"
        command = GROUP.commands[name]
        if inner := getattr(command, "commands", None):
            assert len(call) > 1 and call[1] in inner, f"bimodal {name}: no such command {call[1:2]}"
            command, name = inner[call[1]], f"{name} {call[1]}"
    for word in call:
        if re.match(r"--?[a-z]", word):
            assert word.partition("=")[0] in options(command), f"bimodal {name}: no option {word}"
    settings = [value for option, value in pairwise(call) if option == "--set" and "..." not in value]
    if settings:
        tuned = {"speech": TuneSpeechConfig(), "text": TuneTextConfig()}
        own = TimelineEvaluation() if "--timeline" in call else CONFIGS.get(name)
        read_config(tuned[call[1]] if name == "tune" else own, settings=settings)


@pytest.mark.parametrize("text", blocks("sh"))
def test_commands_of_a_block_exist(text):
    for call in calls(text):
        check(call)


@pytest.mark.parametrize(("page", "text"), PAGES.items(), ids=PAGES)
def test_commands_options_and_modules_within_sentences_exist(page, text):
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    every = {name for command in (GROUP, *COMMANDS.values()) for name in options(command)}
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    for span in spans:
        first, *rest = span.split()
        if first == "bimodal" and rest:
            check(shlex.split(span)[1:])
        elif first == "--set":
            read = [value for value in shlex.split(span)[1:] if value != "--set" and "..." not in value]
            assert any(
                _reads(config, read) for config in (*CONFIGS.values(), TuneSpeechConfig(), TimelineEvaluation())
            ), span
        elif re.match(r"--[a-z]", first):
            assert first in every, f"{page}: no command has {first}"
        elif first == "make":
            assert rest[0] in targets, f"{page}: no target {span}"
        elif span.startswith("python -m "):
            assert importlib.util.find_spec(rest[1]), f"{page}: no module {rest[1]}"


@pytest.mark.parametrize(("page", "text"), PAGES.items(), ids=PAGES)
def test_extras_exist(page, text):
    known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = re.findall(r"extras? `(\w+)`", text) + ",".join(re.findall(r"'\.\[([\w,]+)\]'", text)).split(",")
    assert set(named) - {""} <= set(known)


def _reads(config, settings: list[str]) -> bool:
    try:
        return bool(read_config(config, settings=settings))
    except Exception:
        return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where the Python of the docs runs: recordings and models under the names that it uses."""
    folder = tmp_path_factory.mktemp("docs")
    for name in ("clip.wav", "call.wav", "a.wav", "b.wav"):
        shutil.copyfile(SAMPLES / ("diary.mp3" if name == "call.wav" else "cross.mp3"), folder / name)
    export_model(find_model(None), folder / "portable")
    for run in ("run", "run-context"):
        shutil.copytree(folder / "portable", folder / run / "model")
    return folder


@pytest.mark.parametrize("text", [block for block in blocks("python") if not block.id.startswith(ELSEWHERE)])
def test_python_runs(text, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    exec(compile(ast.parse(text), "docs", "exec"), {})
    assert ("print(" in text) == bool(capsys.readouterr().out)


def test_the_first_tutorial_shows_what_the_program_prints(tmp_path):
    shutil.copyfile(SAMPLES / "conflict.mp3", tmp_path / "clip.wav")
    page = PAGES["docs/tutorials/first-recognition.md"]
    scripts = re.findall(r"^```sh\n(bimodal recognize .*?)^```.*?^```text\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(scripts) == 2
    for script, shown in scripts:
        command = [sys.executable, "-m", *shlex.split(script)]
        printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        assert without_digits(printed).startswith(without_digits(shown))  # processors differ in the last digit


def without_digits(text: str) -> str:
    return re.sub(r"\d", "0", text)


@pytest.mark.parametrize(("page", "text"), PAGES.items(), ids=PAGES)
def test_links_lead_to_files(page, text):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if "://" not in target and "reference/" not in target:  # the reference is made with the site
            assert (ROOT / page).parent.joinpath(target).exists(), target


@pytest.mark.parametrize("broken", ["[x](how-to/gone.md)", "[x](reference/cli.md#gone)"])
def test_make_docs_fails_for_a_broken_link_or_anchor(broken, tmp_path):
    for name in ("Makefile", "mkdocs.yml", "docs", "scripts"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, tmp_path / name)
    (tmp_path / "src").symlink_to(ROOT / "src")
    with (tmp_path / "docs" / "index.md").open("a", encoding="utf-8") as page:
        page.write(broken)
    command = ["make", "docs", f"PYTHON={sys.executable}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode and "gone" in done.stderr


def test_figures_of_the_readme_stand_in_the_results():
    results = PAGES["README.md"].partition("## Results")[2].partition("## What to know")[0]
    known = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in GENERATED)
    figures = re.findall(r"\d+\.\d+", results)
    assert len(figures) > 30 and [one for one in figures if one not in known] == []


def test_the_readme_is_short_and_its_pictures_small():
    assert len(PAGES["README.md"].splitlines()) <= 120
    pictures = list((ROOT / "docs" / "images").iterdir())
    assert len(pictures) >= 2 and all(picture.stat().st_size < 200_000 for picture in pictures)


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_reference", ROOT / "scripts" / "build_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_names_every_command_with_its_options(reference):
    page = reference.cli_page()
    sections = dict(re.findall(r"^## bimodal ?([\w -]*)\n(.*?)(?=^## |\Z)", page, flags=re.DOTALL | re.MULTILINE))
    assert set(sections) == {"", *COMMANDS}
    for name, command in COMMANDS.items():
        assert all(option in sections[name] for option in options(command)), name


def test_the_reference_says_what_every_setting_means(reference):
    rows = re.findall(r"^\| `([\w.]+)` \| (.*) \| `(.*)` \| (.*) \|$", reference.settings_page(), flags=re.MULTILINE)
    assert [name for name, kind, _, meaning in rows if not kind or not meaning] == []
    assert {"speech.loss.gamma", "fusion.kind", "head.augmentations", "clip_seconds"} <= {name for name, *_ in rows}
    assert {name: default for name, _, default, _ in rows[:10]}["vocabulary"] == '"ekman7"'
