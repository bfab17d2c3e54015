"""Audio in any form that callers have gives the samples of the file; an unclear form is one sentence."""

import io
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.io import wavfile

from bimodal.audio.decode import load_signal, read_audio
from bimodal.audio.inputs import LARGEST_FLOAT, as_audio, as_clip, as_signal, load_audio
from bimodal.errors import AudioError
from bimodal.records import Clip

RATE = 16_000
FULL_SCALE = {"int8": 2**7, "int16": 2**15, "int32": 2**31, "uint8": 2**7}

times = st.integers(65, 300)
channels = st.integers(1, 64)


def refusal(audio, rate=RATE) -> str:
    with pytest.raises(AudioError) as caught:
        as_audio(audio, rate)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.filterwarnings("ignore::scipy.io.wavfile.WavFileWarning")
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_array_of_a_file_gives_the_samples_of_the_file(tmp_path, subtype, count):
    noise = np.random.default_rng(0).normal(0, 0.1, (RATE, count))
    soundfile.write(tmp_path / "a.wav", noise, RATE, subtype=subtype)
    expected, _ = read_audio(tmp_path / "a.wav")
    rate, array = wavfile.read(tmp_path / "a.wav")
    for form in (
        (rate, array),
        (array, rate),
        (array.T, float(rate)),
        {"array": array, "sampling_rate": rate, "path": "elsewhere.wav"},
        (torch.from_numpy(array.T.copy()), rate),
    ):
        signal, found = as_audio(form)
        assert found == RATE and signal.dtype == np.float32 and np.array_equal(signal, expected)
    assert np.array_equal(load_audio((rate, array)), load_signal(tmp_path / "a.wav"))


def test_encoded_audio_goes_to_the_decoder_as_it_is(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(2 * RATE), RATE)
    content = (tmp_path / "a.wav").read_bytes()
    stream = io.BytesIO(content)
    for audio in (tmp_path / "a.wav", str(tmp_path / "a.wav"), content, bytearray(content), stream):
        assert as_audio(audio) is audio
        assert len(load_audio(audio, start=0.5)) == 1.5 * RATE
    assert as_audio({"path": "a.wav", "bytes": None}) == "a.wav"
    assert as_audio({"path": "a.wav", "bytes": content}) is content
    assert "leave it out" in refusal(content)


@given(
    array=st.sampled_from(sorted(FULL_SCALE)).flatmap(
        lambda kind: arrays.arrays(kind, st.one_of(times, st.tuples(times, channels), st.tuples(channels, times)))
    )
)
def test_integers_are_scaled_by_their_full_range_and_channels_averaged(array):
    assume(array.ndim == 1 or sum(size > 64 for size in array.shape) == 1)
    exact = array.astype(np.float64)
    exact = (exact - 128 * (array.dtype == np.uint8)) / FULL_SCALE[array.dtype.name]
    if array.ndim == 2:
        exact = exact.mean(axis=int(array.shape[0] > 64))
    signal = as_signal(array)
    assert signal.dtype == np.float32 and np.abs(signal).max() <= 1
    np.testing.assert_allclose(signal, exact, atol=1e-5)


@given(
    array=st.sampled_from(["float16", "float32", "float64"]).flatmap(
        lambda kind: arrays.arrays(kind, times, elements={"min_value": -1, "max_value": 1, "allow_subnormal": False})
    )
)
def test_floats_of_any_precision_stay_as_they_are(array):
    assert np.array_equal(as_signal(array), array.astype(np.float32))
    assert np.array_equal(as_signal(torch.from_numpy(array).requires_grad_()), array.astype(np.float32))
    assert np.array_equal(as_signal(array.tolist()), array.astype(np.float32))


@given(shape=st.tuples(st.integers(0, 200), st.integers(0, 200)))
def test_a_shape_is_taken_where_it_tells_time_from_channels_and_refused_elsewhere(shape):
    array = np.zeros(shape, np.float32)
    if 0 in shape:
        assert "holds no samples" in refusal(array)
    elif (shape[0] > 64) == (shape[1] > 64):
        assert f"shape {shape} does not tell time from channels" in refusal(array)
    else:
        assert as_signal(array).shape == (max(shape),)


@given(array=arrays.arrays("int16", times), divisor=st.sampled_from([1, 10, 100]))
def test_integers_stored_as_floats_are_refused(array, divisor):
    floats = array / divisor
    if np.abs(floats).max() > LARGEST_FLOAT:
        assert "divide them by the full range" in refusal(floats)
    else:
        assert np.array_equal(as_signal(floats), floats.astype(np.float32))


@pytest.mark.parametrize(
    ("audio", "rate", "told"),
    [
        (np.zeros(100), None, "sampling_rate=16000"),
        ({"array": np.zeros(100)}, None, "sampling_rate=16000"),
        ((np.zeros(100), 8000), 16_000, "leave sampling_rate out"),
        (np.zeros(100), 0, "positive"),
        (np.zeros(100), -8000, "positive"),
        (np.zeros(100), True, "positive"),
        (np.zeros(100), 44_100.5, "whole number"),
        (np.zeros(100), "fast", "whole number"),
        (np.zeros(100), float("nan"), "whole number"),
        (np.zeros(100), float("inf"), "whole number"),
        (np.zeros((1, 1, 100)), RATE, "shape (1, 1, 100)"),
        (np.float32(0.5), RATE, "expected (T,)"),
        (np.zeros(0), RATE, "no samples"),
        ([0, 1, 2], RATE, "int64 samples have no known range"),
        (np.zeros(100, np.uint16), RATE, "uint16 samples have no known range"),
        (np.zeros(100, bool), RATE, "bool is no recording"),
        (np.zeros(100, complex), RATE, "complex128 is no recording"),
        ([[0.1], [0.1, 0.2]], RATE, "no array of numbers"),
        ([None], RATE, "NoneType is no recording"),
        (object(), RATE, "object is no recording"),
        (["a.wav"], RATE, "is no recording"),
        (np.array([0.0, np.nan, 0.0]), RATE, "the first at sample 1"),
        (np.array([0.0, np.inf, 0.0]), RATE, "NaN or infinite"),
        ({"audio": 1}, None, "['audio']"),
        ({}, None, "expected 'array'"),
    ],
)
def test_an_unclear_form_is_one_sentence(audio, rate, told):
    assert told in refusal(audio, rate)


def test_a_tuple_of_samples_is_a_signal():
    signal, _ = as_audio((0.5, 0.25), RATE)
    assert signal.tolist() == [0.5, 0.25]


def test_a_clip_is_kept_and_other_audio_becomes_one():
    clip = Clip(transcript="hi")
    assert as_clip(clip) is clip and as_clip((RATE, [0.0])) == Clip(audio=(RATE, [0.0]))


def test_half_precision_of_torch_is_taken():
    signal = torch.linspace(-1, 1, 100, dtype=torch.bfloat16)
    assert np.array_equal(as_signal(signal), signal.float().numpy())


def test_a_tensor_is_taken_without_importing_torch():
    code = "import sys, bimodal.audio.inputs; assert not {'torch', 'soundfile', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
