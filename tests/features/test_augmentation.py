"""Augmented views: what each does to a signal, what stands in its cache key, what is refused."""

import numpy as np
import pytest
import soundfile

from bimodal.errors import AudioError, ConfigError
from bimodal.features.augmentation import PLAIN, apply_augmentation, augmentation_key, check_augmentation

RNG = np.random.default_rng(0)
SIGNAL = RNG.normal(0, 0.1, 16_000).astype(np.float32)


def tone(hertz: float) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(16_000) / 16_000).astype(np.float32)


def rms(signal: np.ndarray) -> float:
    return float(np.sqrt(np.mean(signal.astype(np.float64) ** 2)))


@pytest.fixture
def rain(tmp_path):
    soundfile.write(tmp_path / "rain.wav", RNG.normal(0, 0.02, 5000), 16_000)
    return tmp_path / "rain.wav"


def test_the_plain_view_is_the_signal_itself():
    assert apply_augmentation(SIGNAL, PLAIN) is SIGNAL


def test_speed_moves_the_pitch():
    played = apply_augmentation(tone(400), "speed1.25")
    peak = np.abs(np.fft.rfft(played)).argmax() * 16_000 / len(played)
    assert peak == pytest.approx(500, abs=3)


def test_gain_is_in_decibels():
    assert rms(apply_augmentation(SIGNAL, "gain-20")) == pytest.approx(rms(SIGNAL) / 10, rel=1e-4)


@pytest.mark.parametrize(("hertz", "left"), [(100, 0.0), (1000, 1.0), (5000, 0.0)])
def test_the_telephone_leaves_its_band(hertz, left):
    assert rms(apply_augmentation(tone(hertz), "telephone")) == pytest.approx(left * rms(tone(hertz)), abs=2e-3)


def test_noise_is_as_far_below_the_speech_as_asked_and_always_the_same(rain):
    heard = apply_augmentation(SIGNAL, f"noise10:{rain}")
    added = heard - SIGNAL
    assert 20 * np.log10(rms(SIGNAL) / rms(added)) == pytest.approx(10, abs=0.01)
    assert np.array_equal(heard, apply_augmentation(SIGNAL, f"noise10:{rain}"))
    assert not np.allclose(apply_augmentation(SIGNAL[::-1].copy(), f"noise10:{rain}") - SIGNAL[::-1], added)


def test_a_room_of_one_reflection_is_an_echo(tmp_path):
    response = np.zeros(900, np.float32)
    response[100], response[900 - 1] = 0.9, 0.45
    soundfile.write(tmp_path / "room.wav", response, 16_000, subtype="FLOAT")
    heard = apply_augmentation(SIGNAL, f"room:{tmp_path / 'room.wav'}")
    expected = 0.9 * SIGNAL
    expected[799:] += 0.45 * SIGNAL[:-799]
    assert np.allclose(heard, expected, atol=1e-4)


def test_parts_follow_each_other(rain):
    both = apply_augmentation(SIGNAL, f"speed0.9+noise5:{rain}")
    assert np.array_equal(both, apply_augmentation(apply_augmentation(SIGNAL, "speed0.9"), f"noise5:{rain}"))


def test_the_key_names_the_content_of_a_file_not_its_place(rain, tmp_path):
    copy = tmp_path / "copy.wav"
    copy.write_bytes(rain.read_bytes())
    other = tmp_path / "other.wav"
    soundfile.write(other, RNG.normal(0, 0.02, 5000), 16_000)
    assert (
        augmentation_key(f"noise10:{rain}")
        == augmentation_key(f"noise10:{copy}")
        != augmentation_key(f"noise10:{other}")
    )
    assert augmentation_key(f"noise10:{rain}") != augmentation_key(f"noise5:{rain}")
    assert augmentation_key("speed0.9") == "speed0.9"


@pytest.mark.parametrize(
    "view", ["speed", "speed3", "loud", "noise10", "room", "telephone3", "noise99:x.wav", "speed0.9:x.wav", "gain", ""]
)
def test_an_unknown_augmentation_is_refused(view):
    with pytest.raises(ConfigError, match="augmentation"):
        check_augmentation(view)


def test_a_missing_or_silent_file_is_refused(tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(800), 16_000)
    with pytest.raises(AudioError, match="no such file"):
        check_augmentation(f"noise10:{tmp_path / 'gone.wav'}")
    with pytest.raises(AudioError, match="silence"):
        check_augmentation(f"room:{tmp_path / 'silence.wav'}")


def test_real_noises_and_rooms_can_be_heard(corpus_data):
    folder = corpus_data / "noise_rir"
    files = [*(folder / "noise").glob("*.flac"), *(folder / "rir").glob("*.flac")]
    assert len(files) > 20
    for file in files:
        kind = "noise10" if file.parent.name == "noise" else "room"
        assert np.isfinite(apply_augmentation(SIGNAL, f"{kind}:{file}")).all()
