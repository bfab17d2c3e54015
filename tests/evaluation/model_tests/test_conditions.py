"""Changes of recordings: each keeps a usable signal, is as strong as it says, and the same for the same seed."""

import re

import numpy as np
import pytest

from bimodal.audio.decode import SAMPLING_RATE, check_signal
from bimodal.evaluation.model_tests.codecs import CODECS, change_tempo, through_ffmpeg, through_libsndfile
from bimodal.evaluation.model_tests.conditions import CONDITIONS, SOUNDS, Surroundings, missing_reason
from bimodal.evaluation.model_tests.pitch import mean_pitch


def voice(hertz: float = 150.0, seconds: float = 1.5, seed: int = 0) -> np.ndarray:
    time = np.arange(round(seconds * SAMPLING_RATE)) / SAMPLING_RATE
    tone = sum(np.sin(2 * np.pi * hertz * k * time) / k for k in range(1, 12))
    beat = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * time)
    noise = np.random.default_rng(seed).normal(size=len(time))
    return (0.1 * tone * beat + 0.001 * noise).astype(np.float32)


AROUND = Surroundings(
    sounds={kind: [voice(60 + 40 * number, 0.7)] for number, kind in enumerate(SOUNDS)},
    others=[voice(200, 2.0, 1), voice(120, 0.4, 2)],
)


def changed(name: str, seed: int = 0, signal: np.ndarray | None = None) -> np.ndarray:
    return CONDITIONS[name].change(voice() if signal is None else signal, AROUND, np.random.default_rng(seed))


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_changed_signal_is_a_signal_of_about_its_length_and_depends_on_the_seed_alone(name):
    found = changed(name)
    assert found.dtype == np.float32 and found.ndim == 1
    check_signal(found)
    assert 0.85 * len(voice()) < len(found) < 1.15 * len(voice()) + SAMPLING_RATE
    assert not np.array_equal(found, voice())
    np.testing.assert_array_equal(found, changed(name))


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_very_short_and_a_silent_clip_do_not_break_it(name):
    for signal in (voice(seconds=0.1), np.zeros(8000, np.float32)):
        assert np.isfinite(changed(name, signal=signal)).all()


STEADY = [name for name in CONDITIONS if re.fullmatch("(white noise|noise|babble|music), \\d+ dB", name)]


@pytest.mark.parametrize("name", STEADY)
def test_noise_is_as_strong_as_its_name_says(name):
    noise = changed(name) - voice()
    ratio = 10 * np.log10(np.mean(voice() ** 2) / np.mean(noise**2))
    assert ratio == pytest.approx(float(name.split(", ")[1].split()[0]), abs=0.1)


@pytest.mark.parametrize("name", CODECS)
def test_a_codec_keeps_time_and_length(name):
    found = CODECS[name](voice())
    assert len(found) == len(voice())
    lags = np.correlate(found, voice()[4000:-4000], "valid")
    assert abs(int(lags.argmax()) - 4000) < 200  # 12 ms
    assert not np.allclose(found, voice(), atol=1e-4)


def test_a_codec_that_is_not_there_is_told():
    from bimodal.errors import BimodalError

    with pytest.raises(BimodalError, match="cannot write no-such-codec"):
        through_ffmpeg(voice(), "ogg", "no-such-codec", 16_000, 16_000)
    with pytest.raises(BimodalError, match="cannot write NONE"):
        through_libsndfile(voice(), "NONE")


def test_tempo_changes_length_and_keeps_pitch_while_speed_changes_both():
    for factor in (0.9, 1.1):
        tempo, speed = change_tempo(voice(150), factor), changed(f"speed, {factor}")
        assert len(tempo) == pytest.approx(len(voice()) / factor, rel=0.03)
        assert mean_pitch(tempo) == pytest.approx(150, rel=0.02)
        assert mean_pitch(speed) == pytest.approx(150 * factor, rel=0.02)


@pytest.mark.parametrize("hertz", [70, 110, 165, 230, 320])
def test_the_pitch_of_a_voice_is_measured(hertz):
    assert mean_pitch(voice(hertz)) == pytest.approx(hertz, rel=0.02)


def test_noise_silence_and_very_high_tones_have_no_pitch():
    noise = np.random.default_rng(0).normal(size=16_000).astype(np.float32)
    for signal in (noise, np.zeros(16_000, np.float32), voice(500), voice(seconds=0.05)):
        assert np.isnan(mean_pitch(signal))


def test_what_needs_recordings_says_so_without_them():
    alone = Surroundings()
    missing = {name for name, one in CONDITIONS.items() if missing_reason(name, one, alone)}
    assert missing == {
        "noise, 20 dB",
        "noise, 10 dB",
        "babble, 20 dB",
        "babble, 10 dB",
        "a cough, 10 dB",
        "a sneeze, 10 dB",
    }
