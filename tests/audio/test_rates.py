"""A sampling rate is a whole number of Hz; whatever else is one sentence, at every entry that takes one."""

import numpy as np
import pytest

from bimodal.audio.decode import resample
from bimodal.audio.inputs import as_audio
from bimodal.audio.rates import check_rate
from bimodal.audio.segmentation import Resampler
from bimodal.errors import AudioError

WRONG = [float("nan"), float("inf"), True, np.True_, 0, -8000, "16000", b"16000", 44100.5, 16.0, 44.1, 16, 1e30, [8000]]

ENTRIES = {
    "check": check_rate,
    "resample": lambda rate: resample(np.zeros(9, np.float32), rate),
    "array": lambda rate: as_audio(np.zeros(9), rate),
    "pair": lambda rate: as_audio({"array": np.zeros(9), "sampling_rate": rate}),
    "stream": Resampler,
}


@pytest.mark.parametrize("rate", WRONG, ids=repr)
@pytest.mark.parametrize("entry", ENTRIES)
def test_what_is_no_rate_is_a_sentence_at_every_entry(entry, rate):
    with pytest.raises(AudioError, match=r"sampling rate .*, expected"):
        ENTRIES[entry](rate)


@pytest.mark.parametrize(("rate", "hertz"), [(16.0, 16000), (44.1, 44100), (8, 8000)])
def test_a_rate_in_khz_is_told_in_hz(rate, hertz):
    with pytest.raises(AudioError, match=f"kHz are {hertz} Hz"):
        check_rate(rate)


@pytest.mark.parametrize("rate", [16000, 16000.0, np.int64(16000), np.float32(16000), np.array(16000)])
def test_a_whole_number_of_any_type_is_a_rate(rate):
    assert check_rate(rate) == 16000 and type(check_rate(rate)) is int
