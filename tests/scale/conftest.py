"""Recordings and a worker's setup."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bimodal.inference.installed import DEFAULT, find_model
from bimodal.inference.model_folder import load_model_config
from bimodal.scale.records import BulkOptions, Setup


@pytest.fixture(scope="session")
def clips(tiny_manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with twelve clips of half a second and a file that is no recording; read only."""
    folder = tmp_path_factory.mktemp("bulk") / "clips"
    folder.mkdir()
    for file in sorted((tiny_manifest.parent / "audio").glob("s[01]-*-[01].wav")):
        shutil.copyfile(file, folder / file.name)
    (folder / "torn.wav").write_bytes(b"RIFF....no sound")
    return folder


@pytest.fixture(scope="session")
def setup() -> Setup:
    """Of the packaged model, which needs no training."""
    return Setup(model=DEFAULT, revision=load_model_config(find_model()).revision, options=BulkOptions())


@pytest.fixture
def long_clip(tmp_path: Path, clips: Path) -> Path:
    """A recording of 31 seconds: a clip, and then nearly nothing."""
    signal = 1e-5 * np.random.default_rng(0).normal(size=31 * 16_000)
    clip, _ = soundfile.read(sorted(clips.glob("s*.wav"))[0])
    signal[16_000 : 16_000 + len(clip)] += clip
    soundfile.write(tmp_path / "long.wav", signal, 16_000)
    return tmp_path / "long.wav"
