"""Recordings become signals; what is no usable recording becomes one sentence."""

import struct

import numpy as np
import pytest
import soundfile as sf

from bimodal.audio.decode import (
    check_signal,
    decode_audio,
    iterate_audio,
    load_signal,
    read_audio,
    read_header,
    resample,
)
from bimodal.errors import AudioError

RATE = 16_000


def noise(seconds: float = 1.0, rate: int = RATE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * rate)).astype(np.float32)


def refusal(path, **stretch) -> str:
    """The one sentence with which a recording is refused."""
    with pytest.raises(AudioError) as caught:
        read_audio(path, **stretch)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    assert "\n" not in sentence
    return sentence


def cut(path, share: float):
    """The same file without its end."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def with_data_size(path, size: int):
    """The same WAV with another size in the header of its samples."""
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", size)
    path.write_bytes(content)
    return path


def test_what_is_not_there_or_no_file_is_refused(tmp_path):
    assert refusal(tmp_path / "none.wav").endswith("no such file")
    assert "is a folder" in refusal(tmp_path)


def test_an_empty_file_and_a_recording_without_samples_are_refused(tmp_path):
    (tmp_path / "empty.wav").touch()
    assert "0 bytes" in refusal(tmp_path / "empty.wav")
    sf.write(tmp_path / "header.wav", np.zeros(0, np.float32), RATE)
    assert "holds no samples" in refusal(tmp_path / "header.wav")


@pytest.mark.parametrize("name", ["text.wav", "text.flac", "text.mp3", "text.txt", "text.raw"])
def test_a_text_file_is_refused_whatever_it_is_called(tmp_path, name):
    (tmp_path / name).write_text("This is no recording. " * 50)
    refusal(tmp_path / name)


def test_samples_without_a_header_are_refused_with_advice(tmp_path):
    (tmp_path / "samples.raw").write_bytes(noise().tobytes())
    assert "convert them to WAV" in refusal(tmp_path / "samples.raw")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.aiff", "a.w64", "a.au", "a.caf", "a.rf64"])
def test_a_recording_cut_off_anywhere_is_read_to_the_cut_with_a_warning(tmp_path, name, share):
    sf.write(tmp_path / name, noise(5.0), RATE, subtype="PCM_16")
    whole = read_audio(tmp_path / name)[0]
    decoded = decode_audio(cut(tmp_path / name, share))
    assert np.array_equal(decoded.signal, whole[: len(decoded.signal)])
    assert len(decoded.signal) == pytest.approx(share * len(whole), abs=0.1 * RATE * 5)
    (warning,) = decoded.warnings
    seconds = len(decoded.signal) / RATE
    assert warning.startswith(f"the recording is cut: it ends after {seconds:.2f} s, and its header promises 5.0")
    assert "the recording is cut" in refusal(tmp_path / name)  # whoever cannot pass a warning on refuses


def test_a_stretch_before_the_cut_is_read_without_a_warning(tmp_path):
    sf.write(tmp_path / "a.wav", noise(4.0), RATE)
    cut(tmp_path / "a.wav", 0.5)
    assert decode_audio(tmp_path / "a.wav", end=1.5).warnings == ()
    assert len(decode_audio(tmp_path / "a.wav", start=1.0, end=3.0).warnings) == 1
    assert "no samples between 3 s and its end; the recording lasts 2.00 s" in refusal(tmp_path / "a.wav", start=3.0)


def test_a_recording_cut_off_within_its_header_is_refused(tmp_path):
    for size in range(1, 44):
        sf.write(tmp_path / "a.wav", noise(), RATE)
        content = (tmp_path / "a.wav").read_bytes()
        (tmp_path / "a.wav").write_bytes(content[:size])
        refusal(tmp_path / "a.wav")


@pytest.mark.parametrize("size", [0, 16, 44])
def test_a_size_that_is_zero_or_counts_the_header_in_changes_nothing(tmp_path, size):
    sf.write(tmp_path / "a.wav", noise(), RATE)
    whole = read_audio(tmp_path / "a.wav")[0]
    wrong = with_data_size(tmp_path / "a.wav", 0 if size == 0 else 2 * RATE + size)
    decoded = decode_audio(wrong)
    assert np.array_equal(decoded.signal, whole) and decoded.warnings == ()
    assert read_header(wrong).duration == 1.0


def test_samples_in_several_data_chunks_and_joined_files_are_read_whole(tmp_path):
    for name, seed in (("a.wav", 0), ("b.wav", 1)):
        sf.write(tmp_path / name, noise(seed=seed), RATE)
    first, second = ((tmp_path / name).read_bytes() for name in ("a.wav", "b.wav"))
    both = np.concatenate([read_audio(tmp_path / name)[0] for name in ("a.wav", "b.wav")])
    (tmp_path / "joined.wav").write_bytes(first + second)
    chunk = second[second.index(b"data") :]
    (tmp_path / "chunks.wav").write_bytes(first + b"note" + struct.pack("<I", 2) + b"ab" + chunk)
    for name in ("joined.wav", "chunks.wav"):
        assert np.array_equal(read_audio(tmp_path / name)[0], both), name


def test_a_forgotten_byte_of_padding_and_a_tag_in_front_hide_nothing(tmp_path):
    sf.write(tmp_path / "a.wav", noise(), RATE)
    content, whole = (tmp_path / "a.wav").read_bytes(), read_audio(tmp_path / "a.wav")[0]
    at = content.index(b"data")
    for changed in (
        content[:at] + b"note" + struct.pack("<I", 3) + b"abc" + content[at:],
        b"ID3" + bytes([3, 0, 0, 0, 0, 0, 10]) + bytes(10) + content,
    ):
        assert np.array_equal(read_audio(changed)[0], whole)


def test_cut_files_are_found_behind_other_chunks(tmp_path):
    sf.write(tmp_path / "a.wav", noise(3.0), RATE)
    content = (tmp_path / "a.wav").read_bytes()
    notes = b"LIST" + struct.pack("<I", 7) + b"INFOabc\0"  # an odd size is followed by a byte of padding
    at = content.index(b"data")
    changed = content[:at] + notes + content[at:]
    assert decode_audio(changed).warnings == ()
    decoded = decode_audio(changed[:-2000])
    assert len(decoded.signal) == 3 * RATE - 1000 and "promises 3.00 s" in decoded.warnings[0]


@pytest.mark.parametrize("subtype", ["GSM610", "G721_32", "IMA_ADPCM", "MS_ADPCM", "ULAW"])
def test_codecs_that_cannot_seek_are_read(tmp_path, subtype):
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE).astype(np.float32)
    sf.write(tmp_path / "a.wav", tone, RATE, subtype=subtype)
    signal, rate = read_audio(tmp_path / "a.wav")
    assert rate == RATE and len(signal) == pytest.approx(2 * RATE, abs=1024)
    assert np.corrcoef(signal[: len(tone)], tone[: len(signal)])[0, 1] > 0.97
    assert np.array_equal(read_audio(tmp_path / "a.wav", start=0.5, end=1.5)[0], signal[RATE // 2 : 3 * RATE // 2])


def test_a_flac_without_a_length_and_joined_flacs_are_read_whole(tmp_path):
    sf.write(tmp_path / "a.flac", noise(3.0), RATE)
    content, whole = (tmp_path / "a.flac").read_bytes(), read_audio(tmp_path / "a.flac")[0]
    streamed = bytearray(content)
    streamed[21] &= 0xF0  # the total number of samples in STREAMINFO is 36 bits; 0 is unknown (RFC 9639)
    streamed[22:26] = bytes(4)
    assert np.array_equal(read_audio(bytes(streamed))[0], whole)
    assert np.array_equal(read_audio(content + content)[0], np.concatenate([whole, whole]))


def test_a_streamed_wav_that_does_not_know_its_length_is_read_to_its_end(tmp_path):
    sf.write(tmp_path / "a.wav", noise(), RATE)
    for size in (0xFFFFFFFF, 0x7FFFFFFF):
        assert len(read_audio(with_data_size(tmp_path / "a.wav", size))[0]) == RATE


def test_a_wav_with_something_behind_its_samples_is_read(tmp_path):
    sf.write(tmp_path / "a.wav", noise(), RATE)
    with (tmp_path / "a.wav").open("ab") as stream:
        stream.write(b"id3 " + struct.pack("<I", 4) + b"note")
    assert len(read_audio(tmp_path / "a.wav")[0]) == RATE


def test_damage_in_the_middle_of_a_flac_leaves_what_follows_at_its_time(tmp_path):
    sf.write(tmp_path / "a.flac", noise(5.0), RATE)
    content, whole = bytearray((tmp_path / "a.flac").read_bytes()), read_audio(tmp_path / "a.flac")[0]
    middle = len(content) // 2
    content[middle : middle + 400] = bytes(range(200)) * 2
    (tmp_path / "a.flac").write_bytes(content)
    decoded = decode_audio(tmp_path / "a.flac")
    assert len(decoded.signal) == len(whole)
    assert np.array_equal(decoded.signal[:RATE], whole[:RATE]) and np.array_equal(decoded.signal[-RATE:], whole[-RATE:])
    assert "the recording is damaged: about 0." in decoded.warnings[0]
    assert "damaged" in refusal(tmp_path / "a.flac")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_refused_and_the_first_is_named(tmp_path, value):
    signal = noise(2.0)
    signal[20_000:20_003] = value
    sf.write(tmp_path / "a.wav", signal, RATE, subtype="FLOAT")
    assert "3 samples are NaN or infinite, the first at sample 20000" in refusal(tmp_path / "a.wav")
    with pytest.raises(AudioError, match="first at sample 20000"):
        list(iterate_audio(tmp_path / "a.wav", start=0.5, block_seconds=0.3))
    assert len(read_audio(tmp_path / "a.wav", end=1.0)[0]) == RATE


def test_one_channel_that_is_not_finite_spoils_the_recording(tmp_path):
    both = np.stack([noise(), noise(seed=1)], axis=1)
    both[100] = np.inf, -np.inf
    sf.write(tmp_path / "a.wav", both, RATE, subtype="FLOAT")
    with np.errstate(invalid="ignore"):
        assert "first at sample 100" in refusal(tmp_path / "a.wav")


@pytest.mark.parametrize(("subtype", "step"), [("PCM_U8", 2**-7), ("PCM_16", 2**-15), ("PCM_24", 2**-23)])
def test_samples_of_8_16_and_24_bits_are_read_to_within_a_step(tmp_path, subtype, step):
    sf.write(tmp_path / "a.wav", noise(), RATE, subtype=subtype)
    signal, rate = read_audio(tmp_path / "a.wav")
    assert (signal.dtype, signal.shape, rate) == (np.float32, (RATE,), RATE)
    assert np.abs(signal - noise()).max() <= step


def test_channels_are_averaged(tmp_path):
    channels = np.stack([noise(seed=seed) for seed in range(8)], axis=1)
    sf.write(tmp_path / "a.wav", channels, RATE, subtype="FLOAT")
    assert read_audio(tmp_path / "a.wav")[0] == pytest.approx(channels.mean(axis=1), abs=1e-7)


@pytest.mark.parametrize("factor", [-1.0, -0.97])
def test_channels_in_opposite_phase_do_not_cancel(tmp_path, factor):
    sf.write(tmp_path / "a.wav", np.stack([noise(3.0), factor * noise(3.0)], axis=1), RATE, subtype="FLOAT")
    expected = noise(3.0) * (1 - factor) / 2
    signal = read_audio(tmp_path / "a.wav")[0]
    assert signal == pytest.approx(expected, abs=1e-6)
    blocks = [block for block, _ in iterate_audio(tmp_path / "a.wav", block_seconds=0.3)]
    assert np.array_equal(np.concatenate(blocks), signal)


def test_too_many_channels_are_refused(tmp_path):
    sf.write(tmp_path / "a.wav", np.zeros((10, 65), np.float32), RATE)
    assert "65 channels" in refusal(tmp_path / "a.wav")


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000])
def test_other_sampling_rates_are_brought_to_16_khz_with_their_tones(tmp_path, rate):
    time = np.arange(rate) / rate
    sf.write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 1000 * time), rate, subtype="FLOAT")
    assert read_audio(tmp_path / "a.wav")[1] == rate
    signal = load_signal(tmp_path / "a.wav")
    assert signal.shape == (RATE,)
    spectrum = np.abs(np.fft.rfft(signal))
    assert spectrum.argmax() == 1000
    assert spectrum[1000] == pytest.approx(0.25 * RATE, rel=0.02)


def test_a_wrong_extension_does_not_matter(tmp_path):
    sf.write(tmp_path / "a.flac", noise(), RATE)
    (tmp_path / "a.flac").rename(tmp_path / "a.wav")
    assert read_audio(tmp_path / "a.wav")[0] == pytest.approx(noise(), abs=2**-15)


@pytest.mark.parametrize(("start", "end"), [(0.25, 0.75), (None, 0.5), (0.5, None), (0.1, 99.0), (0.1, float("inf"))])
@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_a_stretch_equals_a_slice_of_the_whole(tmp_path, name, start, end):
    sf.write(tmp_path / name, noise(), RATE)
    whole, _ = read_audio(tmp_path / name)
    part, _ = read_audio(tmp_path / name, start=start, end=end)
    last = RATE if end is None or end > 1 else round(end * RATE)
    assert np.array_equal(part, whole[round((start or 0) * RATE) : last])


NAN = float("nan")


@pytest.mark.parametrize(
    ("start", "end"), [(1.0, None), (0.5, 0.5), (0.5, 0.4), (-0.5, None), (0.0, -1.0), (NAN, None), (None, NAN)]
)
def test_a_stretch_without_samples_is_refused(tmp_path, start, end):
    sf.write(tmp_path / "a.wav", noise(), RATE)
    assert "the recording lasts 1.00 s" in refusal(tmp_path / "a.wav", start=start, end=end)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
def test_blocks_put_together_are_the_whole_recording(tmp_path, name):
    sf.write(tmp_path / name, np.stack([noise(2.0), noise(2.0, seed=1)], axis=1), RATE)
    blocks = [block for block, _ in iterate_audio(tmp_path / name, start=0.1, block_seconds=0.3)]
    assert [len(block) for block in blocks] == [4800] * 6 + [1600]
    assert np.array_equal(np.concatenate(blocks), read_audio(tmp_path / name, start=0.1)[0])


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
@pytest.mark.parametrize("length", [100, 12_345])
def test_resampling_keeps_the_duration(rate, length):
    assert len(resample(noise(2.0, rate)[:length], rate)) == pytest.approx(length * RATE / rate, abs=1)


def test_resampling_refuses_a_rate_that_is_none():
    with pytest.raises(AudioError, match="sampling rate 0 Hz"):
        resample(noise(), 0)


def test_a_recording_too_short_to_leave_a_sample_at_16_khz_is_refused(tmp_path):
    sf.write(tmp_path / "a.wav", noise(rate=96_000)[:2], 96_000)
    with pytest.raises(AudioError, match=r"a\.wav: holds no samples"):
        load_signal(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("signal", "complaint"),
    [
        (np.zeros((2, 10), np.float32), "one dimension"),
        (np.zeros(10, np.int16), "int16"),
        (np.zeros(0, np.float32), "holds no samples"),
        (np.array([0.0, np.nan]), "the first at sample 1"),
    ],
)
def test_arrays_that_are_no_signal_are_refused(signal, complaint):
    with pytest.raises(AudioError, match=complaint):
        check_signal(signal, "given")
