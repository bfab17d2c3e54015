"""What is added to a table comes out at the far end, and no other list disagrees with the table."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner

from bimodal.cli import app
from bimodal.data.corpora import CORPORA, CorpusInfo
from bimodal.data.manifest import read_manifest
from bimodal.evaluation.metrics import METRICS, MetricInfo, recall_per_class
from bimodal.evaluation.writing import read_report
from bimodal.features.backbone import BACKBONES, BackboneDescription, BackboneInfo, SpeechBackbone
from bimodal.features.build_backbone import ENCODERS
from bimodal.files import file_digest, write_json
from bimodal.output.formats import FORMATS, FormatInfo
from bimodal.records import Utterance
from bimodal.service.schemas import Format

PAGE = Path(__file__).parents[2] / "src" / "bimodal" / "service" / "static"


def run(*arguments: object) -> str:
    """Run the command line in this process, where a table can be changed; gives what stands on stdout."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


@pytest.fixture
def clip(tiny_manifest: Path) -> Path:
    return tiny_manifest.parent / "audio" / "s0-anger-0.wav"


def write_toy(found, stream):
    for recording, result in found:
        stream.write(f"toy {Path(recording).name} {result.emotion}\n")


TOY_FORMAT = FormatInfo(write=write_toy, suffix=".toy", media_type="text/x-toy")


def test_a_format_of_the_table_is_written_by_recognize(tiny_model, clip, tmp_path, monkeypatch):
    monkeypatch.setitem(FORMATS, "toy", TOY_FORMAT)
    assert run("recognize", "-m", tiny_model, clip, "--format", "toy").startswith(f"toy {clip.name} ")
    assert run("recognize", "-m", tiny_model, "--transcript", "hi", "--format", "toy").startswith("toy ")
    run("recognize", "-m", tiny_model, clip, "--format", "toy", "--out", tmp_path / "out")
    assert (tmp_path / "out" / f"{clip.name}.toy").read_text().startswith("toy ")
    several = CliRunner().invoke(app, ["recognize", "-m", str(tiny_model), str(clip.parent), "--format", "toy"])
    assert several.exit_code == 2 and "holds one recording" in several.output
    monkeypatch.setitem(
        FORMATS, "toy", replace(TOY_FORMAT, append=lambda found, stream, header: write_toy(found, stream))
    )
    both = run("recognize", "-m", tiny_model, clip, clip.with_name("s0-anger-1.wav"), "--format", "toy")
    assert len(both.splitlines()) == 2


def test_a_format_of_the_table_is_a_choice_of_the_http_interface():
    code = (
        "from bimodal.output.formats import FORMATS; FORMATS['toy'] = FORMATS['csv']; "
        "from bimodal.service.schemas import Export; print(Export.model_json_schema()['properties']['format']['enum'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([*FORMATS, "toy"])


def test_every_list_of_formats_equals_the_table():
    (option,) = [one for one in cli_command("recognize").params if "--format" in one.opts]
    names = re.findall(r"[a-z]+", option.help)
    assert names == ["table", "to", "read", *FORMATS, "for", "programs"]
    assert get_args(Format) == tuple(FORMATS)
    texts = "".join(file.read_text(encoding="utf-8") for file in PAGE.rglob("*.js"))
    for name, info in FORMATS.items():
        assert f'{name}: "' in texts, f"the page has no name for the format '{name}'"
        assert info.suffix == f".{name}" or f'{name}: "{info.suffix[1:]}"' in texts, f"'{name}': the page's file ending"


def cli_command(name: str):
    import typer

    return typer.main.get_command(app).commands[name]


def test_a_metric_of_the_table_is_a_row_of_the_report(tiny_manifest, tiny_model, tmp_path, monkeypatch):
    worst = MetricInfo(title="worst recall", range=(0.0, 1.0), of_confusions=lambda m: recall_per_class(m).min(axis=-1))
    surprise = MetricInfo(title="log score", range=(-np.inf, 0.0), of_scores=lambda scores, targets: -1.5)
    monkeypatch.setitem(METRICS, "worst_recall", worst)
    monkeypatch.setitem(METRICS, "log_score", surprise)
    shown = run("evaluate", tiny_manifest, "--model", tiny_model, "--out", tmp_path)
    rows = {line.split("  ")[0]: line for line in shown.splitlines()}
    assert "worst recall %" in rows and rows["log score"].split()[-1] == "-1.500"
    found = json.loads((tmp_path / "report.json").read_text())["systems"][0]
    assert set(found["worst_recall"]) == {"value", "low", "high"} and found["log_score"] == -1.5
    assert read_report(tmp_path / "report.json").systems[0].metrics["log_score"].value == -1.5
    assert "| worst recall % | log score |" in (tmp_path / "report.md").read_text()


def test_a_metric_has_one_function():
    with pytest.raises(ValueError, match="expected one of of_confusions, of_weighted and of_scores"):
        MetricInfo(title="none", range=(0.0, 1.0))


def test_a_corpus_of_the_table_is_listed_and_prepared(tmp_path, monkeypatch):
    def prepare(source: Path) -> tuple[Utterance, ...]:
        lines = (source / "toy.txt").read_text().splitlines()
        return tuple(Utterance(id=str(number), transcript=line, emotion="joy") for number, line in enumerate(lines))

    toy = CorpusInfo(
        prepare=prepare, title="Toy: two lines", languages=("en", "de"), licence="CC0-1.0", citation="nobody 2026",
        url="https://example.org/toy", files="toy.txt",
    )  # fmt: skip
    monkeypatch.setitem(CORPORA, "toy", toy)
    assert "toy             Toy: two lines\n                language: en, de; licence: CC0-1.0" in run("corpora")
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "toy.txt").write_text("one\ntwo\n")
    run("prepare", "toy", tmp_path / "toy", tmp_path / "out")
    assert [row.transcript for row in read_manifest(tmp_path / "out" / "manifest.csv").utterances] == ["one", "two"]
    (argument,) = [one for one in cli_command("prepare").params if one.name == "corpus"]
    assert "toy" in [item.value for item in argument.shell_complete(None, "t")]


def test_a_family_of_backbones_of_the_table_trains_and_recognises(
    tiny_manifest, clip, fast_settings, tmp_path, monkeypatch
):
    """A backbone over bare samples, of another input than Whisper's: frames of 20 ms as they are."""

    def prepare(signal):
        frames = -(-len(signal) // 320)
        return {"signal": np.pad(signal, (0, frames * 320 - len(signal)))[None]}, frames

    info = BackboneInfo(kind="speech", title="bare samples", load=partial(SpeechBackbone, prepare=prepare))
    monkeypatch.setitem(BACKBONES, "samples", info)
    folder = write_samples_backbone(tmp_path / "backbone")
    settings = [*fast_settings, "--set", f"speech_backbone={folder}", "--set", "threads=1"]
    run("train", "speech", tiny_manifest, tmp_path / "run", *settings, "--cache", tmp_path / "cache")
    assert run("recognize", "-m", tmp_path / "run" / "model", clip).startswith(str(clip))


def write_samples_backbone(folder: Path) -> Path:
    """An artifact whose network cuts samples (1, T) into states (1, 1, T / 320, 320)."""
    folder.mkdir()
    shape = helper.make_tensor("shape", TensorProto.INT64, [4], [1, 1, -1, 320])
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["signal", "shape"], ["layers"])],
        "samples",
        [helper.make_tensor_value_info("signal", TensorProto.FLOAT, [1, "time"])],
        [helper.make_tensor_value_info("layers", TensorProto.FLOAT, [1, 1, "frames", 320])],
        [shape],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.save(model, folder / "model.onnx")
    description = BackboneDescription(
        name="samples", kind="speech", source="none", licence="CC0-1.0", layers=(1,), width=320, weights="float16",
        preprocessing="level -20 dB", family="samples", digests={"model.onnx": file_digest(folder / "model.onnx")},
    )  # fmt: skip
    write_json(folder / "backbone.json", description)
    return folder


def test_every_family_of_backbones_has_a_reader_of_its_encoders():
    assert set(ENCODERS) == set(BACKBONES)


def test_contributing_names_files_and_tables_that_exist():
    root = Path(__file__).parents[2]
    source, told = root / "src" / "bimodal", (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (?!I want|---)(.*) \| (.*) \| (.*) \|$", told, flags=re.MULTILINE)
    assert len(rows) >= 12
    for wish, files, tests in rows:
        named = re.findall(r"`([\w/]+/[\w./]*|\w+\.py)`", files)
        assert named, wish
        for name in named:
            assert (
                "NAME" in name
                or name == "training/regression.py"
                or any((folder / name).exists() for folder in (source, root))
            ), f"{wish}: {name}"
        assert all((root / name).is_file() for name in re.findall(r"`([^`]+)`", tests)), f"{wish}: {tests}"
    code = "".join(file.read_text(encoding="utf-8") for file in source.rglob("*.py"))
    for table in ("CORPORA", "BACKBONES", "ENCODERS", "LOSSES", "FUSIONS", "METRICS", "FORMATS", "GROUPINGS"):
        assert f"`{table}`" in told and re.search(rf"^{table}\b.* = ", code, flags=re.MULTILINE), table
