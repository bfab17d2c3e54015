"""One recording in two rows is found whatever its path and container; stretches that differ are not the same."""

import shutil

import numpy as np
import pytest
import soundfile

from bimodal.data.leaks import check_shared_recordings, repeated_rows, same_recordings, similar_names
from bimodal.errors import SplitError
from bimodal.records import Utterance


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    one, two = (rng.integers(-9000, 9000, 3 * 16_000).astype(np.int16) for _ in range(2))
    soundfile.write(tmp_path / "a.wav", one, 16_000)
    soundfile.write(tmp_path / "a.flac", one, 16_000)
    soundfile.write(tmp_path / "a24.wav", one.astype(np.int32) << 16, 16_000, subtype="PCM_24")
    soundfile.write(tmp_path / "stereo.wav", np.stack([one, one], axis=1), 16_000)
    soundfile.write(tmp_path / "b.wav", two, 16_000)
    late = one.copy()
    late[-1] += 1
    soundfile.write(tmp_path / "almost.wav", late, 16_000)
    shutil.copy(tmp_path / "a.wav", tmp_path / "copy.wav")
    (tmp_path / "link.wav").symlink_to("a.wav")
    (tmp_path / "sub").mkdir()
    (tmp_path / "empty.wav").touch()
    (tmp_path / "empty2.wav").touch()
    return tmp_path


def test_a_recording_is_told_by_its_samples_in_any_container_copy_or_spelling(folder):
    same = ["a.wav", "./a.wav", "sub/../a.wav", "copy.wav", "link.wav", "a.flac", "a24.wav", "stereo.wav"]
    other = ["b.wav", "almost.wav", "none.wav", "text.wav"]
    (folder / "text.wav").write_text("no audio")
    numbers = same_recordings([folder / name for name in same + other])
    assert {numbers[folder / name] for name in same} == {0}
    assert len({numbers[folder / name] for name in ["a.wav", *other]}) == 5
    assert same_recordings([]) == {}


def test_only_files_of_one_size_or_length_are_read(folder, monkeypatch):
    soundfile.write(folder / "short.wav", np.zeros(100), 16_000)
    read = []
    monkeypatch.setattr("bimodal.data.leaks.iterate_audio", lambda file, **_: read.append(file.name) or iter(()))
    same_recordings([folder / "short.wav", folder / "a.wav"])
    assert read == []


def test_stretches_of_one_recording_are_the_same_if_they_overlap_by_half():
    def row(start, end):
        return Utterance(id=f"{start}", path="a.wav", start=start, end=end)

    assert repeated_rows([row(None, None), row(None, None)], [1, 1]) == [(0, 1)]
    assert repeated_rows([row(None, None), row(None, None)], [1, 2]) == []
    assert repeated_rows([row(None, None), row(None, None)], [None, None]) == []
    assert repeated_rows([row(0.0, 2.0), row(2.0, 4.0), row(3.5, 6.0)], [0, 0, 0]) == []
    assert repeated_rows([row(4.0, 6.0), row(None, None), row(0.0, 2.0)], [0, 0, 0]) == [(0, 1), (1, 2)]
    assert repeated_rows([row(0.0, 2.0), row(0.0, 10.0), row(0.5, 2.5)], [0, 0, 0]) == [(0, 1), (0, 2), (1, 2)]
    assert repeated_rows([row(5.0, None), row(None, None)], [0, 0]) == [(0, 1)]


def test_parts_that_share_a_recording_are_refused_unless_the_split_is_official(folder):
    rows = [Utterance(id=name, path=name) for name in ("a.wav", "b.wav", "a.flac")]
    told = "train and test share 1 recording, such as 'a.wav', which is 'a.flac'"
    with pytest.raises(SplitError, match=f"{told}: a model would be .* --set official_split=NAME"):
        check_shared_recordings(rows, folder, ["train", "train", "test"], "")
    (accepted,) = check_shared_recordings(rows, folder, ["train", "train", "test"], "EmoX")
    assert (accepted.what, accepted.shared, accepted.allowed) == ("recordings in train and test", 1, "EmoX")
    assert check_shared_recordings(rows, folder, ["train", "test", "train"], "") == []
    assert check_shared_recordings(rows, folder, ["train", "test", None], "") == []
    assert check_shared_recordings([Utterance(id="1", transcript="hi")] * 2, folder, ["train", "test"], "") == []


def test_an_unreadable_recording_is_the_same_as_no_other(folder):
    numbers = same_recordings([folder / "empty.wav", folder / "none.wav", folder / "sub"])
    assert len(set(numbers.values())) == 3


def test_names_that_may_be_one_person():
    names = ["Anna", "anna", "ANNA ", "01", "1", "1.0", "10", "s1", "s01", "s10", "Jose\u0301", "José", "Bob"]
    pairs = [("Anna", "anna"), ("Anna", "ANNA "), ("01", "1"), ("01", "1.0"), ("s1", "s01"), ("Jose\u0301", "José")]
    assert similar_names(names) == pairs
    assert similar_names(["1", "2", "10", "100", "a1", "a10"]) == []
