"""`recognize --adapt`: the same as `bimodal adapt` to the recordings, kept for later calls, told on every result."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bimodal import Recognizer
from bimodal.audio.recordings import find_recordings
from bimodal.errors import BimodalError, ModelFolderError
from bimodal.features.adaptation import load_adaptation
from bimodal.inference.adapt import adapt_model
from bimodal.inference.adapt_recordings import adapt_to_recordings, evenly_spaced
from bimodal.inference.model import Model
from bimodal.inference.model_folder import ADAPTATION


@pytest.fixture(scope="module")
def recordings(tiny_manifest: Path):
    return find_recordings([tiny_manifest.parent])


def run(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "bimodal", "recognize", *map(str, arguments), "--threads", "1"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_equals_adapt_with_a_manifest_of_the_same_recordings(tiny_model, recordings, tmp_path):
    manifest = tmp_path / "all.csv"
    manifest.write_text("\n".join(["path", *(str(one.path.resolve()) for one in recordings)]), encoding="utf-8")
    from bimodal.data.manifest import read_manifest

    root = Path(recordings[0].path.resolve().anchor)
    folder = adapt_model(tiny_model, read_manifest(manifest, root=root), tmp_path / "adapted", threads=1)
    ours = adapt_to_recordings(Model(tiny_model, threads=1), recordings)
    written = load_adaptation(folder / ADAPTATION)
    assert ours.adaptation.corpus.count == written.corpus.count == len(recordings)
    assert ours.adaptation.corpus.mean == pytest.approx(written.corpus.mean, abs=1e-5)
    assert ours.adaptation.share == pytest.approx(written.share, abs=1e-3)
    assert ours.config.revision != Model(tiny_model, threads=1).config.revision


def test_an_adaptation_is_kept_and_another_models_is_refused(tiny_model, recordings, tmp_path):
    file = tmp_path / "kept" / ADAPTATION
    model = Model(tiny_model, threads=1)
    first = adapt_to_recordings(model, recordings, file)
    content = file.read_bytes()
    again = adapt_to_recordings(model, [], file)  # nothing is read again
    assert file.read_bytes() == content and again.config.revision == first.config.revision
    with pytest.raises(BimodalError, match="is adapted already"):
        adapt_to_recordings(first, recordings)
    other = Model(Recognizer("permissive").folder, threads=1)
    with pytest.raises(ModelFolderError, match=r"adaptation of another model than 'permissive'; delete it"):
        adapt_to_recordings(other, recordings, file)


def test_long_recordings_are_cut_and_many_clips_are_thinned_out(tmp_path):
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "long.wav", rng.normal(0, 0.1, 16_000 * 63), 16_000)
    soundfile.write(tmp_path / "short.wav", rng.normal(0, 0.1, 8_000 * 2), 8_000)
    (tmp_path / "text.wav").write_text("no recording")
    found = find_recordings([tmp_path])
    assert [len(clip) / 16_000 for clip in evenly_spaced(found)] == [*[6.0] * 10, 3.0, 2.0]
    assert len(list(evenly_spaced(found, most=4))) == 4


def test_results_say_to_what_the_model_was_adapted(tiny_model, tiny_manifest, tmp_path):
    folder = tiny_manifest.parent
    done = run(tiny_model, folder, "--adapt", "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert {one["adapted_to"] for one in results} == {f"{len(results)} unlabelled clips of the recordings themselves"}
    plain = [json.loads(line) for line in run(tiny_model, folder, "--format", "jsonl").stdout.splitlines()]
    assert {one["adapted_to"] for one in plain} == {None}
    assert any(one["scores"] != other["scores"] for one, other in zip(results, plain, strict=True))


def test_a_second_call_goes_on_with_the_kept_adaptation(tiny_model, recordings, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for number, one in enumerate(recordings[:24]):
        shutil.copyfile(one.path, folder / f"{number}{one.path.suffix}")
    assert run(tiny_model, folder, "--adapt", "--out", out).returncode == 0
    before = {file.name: file.read_bytes() for file in out.iterdir() if file.suffix == ".jsonl"}
    shutil.copyfile(recordings[30].path, folder / f"new{recordings[30].path.suffix}")
    again = run(tiny_model, folder, "--adapt", "--out", out)
    assert again.returncode == 0 and "24 of 25 recordings are finished already" in again.stderr
    assert "an earlier call kept this" in again.stderr
    assert {name: (out / name).read_bytes() for name in before if name != "index.jsonl"} == {
        name: content for name, content in before.items() if name != "index.jsonl"
    }


def test_what_cannot_be_adapted_is_one_sentence(tiny_model, recordings):
    few = run(tiny_model, *(one.path for one in recordings[:5]), "--adapt")
    assert few.returncode == 1 and "5 usable clips" in few.stderr and "Traceback" not in few.stderr
    sets = run(tiny_model, *(one.path for one in recordings[:5]), "--adapt", "--coverage", "0.9")
    assert sets.returncode == 2 and "--coverage cannot be used with --adapt" in sets.stderr


def test_warnings_of_a_folder_are_told_once(tiny_model, tiny_manifest):
    done = run(tiny_model, tiny_manifest.parent)
    lines = done.stdout.splitlines()
    marked = [line for line in lines if ": " in line and line.endswith(" *")]
    assert marked and lines[-1].startswith("warnings (marked *): ")
    assert not any(line.startswith("  warning") for line in lines)
