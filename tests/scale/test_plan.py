"""The plan only grows: what stands in it keeps its part, what is new gets a part of its own."""

from pathlib import Path

import pytest

from bimodal.errors import BimodalError
from bimodal.scale.plan import check_settings, cut_batches, extend_plan, key_of, read_plan
from bimodal.scale.records import BYTES_AT_ONCE, Item


def items(*numbers: int, size: int = 10) -> list[Item]:
    return [Item(name=f"{number}.wav", url=f"/calls/{number}.wav", size=size) for number in numbers]


def extend(folder: Path, listed: list[Item], size: int = 3):
    return extend_plan(folder, listed, size, lambda count: None)


def planned(folder: Path) -> list[list[str]]:
    return [[item.name for item in part.items()] for part in read_plan(folder)]


def test_recordings_are_read_back_in_parts(tmp_path):
    strange = Item(
        name="caf\\xe9.wav", url="/calls/caf\udce9.wav", id="7", size=5, start=0.5, end=1.5, transcript="Größe",
        confidence=0.5, language="de", speaker="ann", problem="p", offset=3, group=1, row=2, held_in=9,
    )  # fmt: skip
    assert extend(tmp_path, [*items(0, 1, 2), strange]).new == 4
    parts = read_plan(tmp_path)
    assert [part.count for part in parts] == [3, 1] and parts[1].items() == [strange]


def test_new_recordings_get_new_parts_and_the_old_ones_stay(tmp_path):
    extend(tmp_path, items(0, 1, 2, 3))
    growth = extend(tmp_path, items(4, 0, 1, 3, 3, 5))
    assert (growth.known, growth.new, growth.gone, growth.changed) == (3, 2, 1, 0)
    assert planned(tmp_path) == [["0.wav", "1.wav", "2.wav"], ["3.wav"], ["4.wav", "5.wav"]]
    assert extend(tmp_path, items(0, 1, 2, 3, 4, 5)).new == 0
    assert len(list((tmp_path / "plan").iterdir())) == 2


def test_a_recording_is_planned_once_and_another_size_is_told(tmp_path):
    assert extend(tmp_path, items(0, 0, 1)).new == 2
    assert extend(tmp_path, items(0, 1, size=11)).changed == 2


def test_sources_that_name_nothing_or_only_others_are_refused_and_leave_the_plan(tmp_path):
    with pytest.raises(BimodalError, match="the sources name no recording"):
        extend(tmp_path, [])
    extend(tmp_path, items(0, 1))
    with pytest.raises(BimodalError, match=r"other recordings \(none of its 2 is among the sources\)"):
        extend(tmp_path, items(7))
    assert planned(tmp_path) == [["0.wav", "1.wav"]]


def test_an_archive_that_has_changed_is_refused(tmp_path):
    inside = Item(name="a.tar/0.wav", url="/a.tar", offset=512, size=4, held_in=100)
    extend(tmp_path, [inside])
    grown = Item(name="a.tar/0.wav", url="/a.tar", offset=512, size=4, held_in=200)
    with pytest.raises(BimodalError, match="has changed since it was planned"):
        extend(tmp_path, [grown])


def test_a_listing_that_fails_leaves_no_plan(tmp_path):
    def broken():
        yield from items(0, 1, 2, 3)
        raise BimodalError("the store went away")

    with pytest.raises(BimodalError, match="went away"):
        extend_plan(tmp_path, broken(), 2, lambda count: None)
    assert read_plan(tmp_path) == [] and list((tmp_path / "plan").iterdir()) == []


@pytest.mark.parametrize("change", [{"id": "2"}, {"start": 1.0}, {"transcript": "Hi."}, {"speaker": "bo"}, {"row": 1}])
def test_what_is_said_of_a_recording_belongs_to_its_key(change):
    assert key_of(Item(name="a", url="/a")) != key_of(Item(name="a", url="/a", **change))


def test_batches_end_at_a_count_or_at_many_bytes_and_do_not_depend_on_what_is_done():
    few = items(*range(10))
    assert [(one.start, one.end) for one in cut_batches(0, few, [], 4)] == [(0, 4), (4, 8), (8, 10)]
    assert [(one.start, one.end) for one in cut_batches(0, few, [(4, 8)], 4)] == [(0, 4), (8, 10)]
    large = items(*range(3), size=BYTES_AT_ONCE)
    assert [(one.start, one.end) for one in cut_batches(0, large, [], 4)] == [(0, 1), (1, 2), (2, 3)]
    assert cut_batches(0, few, [(0, 10)], 4) == []


def test_other_settings_are_refused_and_those_of_a_call_that_found_nothing_are_not(tmp_path):
    check_settings(tmp_path, {"model": "a"})
    check_settings(tmp_path, {"model": "b"})  # nothing is planned yet
    extend(tmp_path, items(0))
    check_settings(tmp_path, {"model": "b"})
    with pytest.raises(BimodalError, match="model 'b' instead of 'c'"):
        check_settings(tmp_path, {"model": "c"})


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(BimodalError, match="choose a new folder"):
        check_settings(tmp_path, {})


def test_a_damaged_plan_is_a_sentence(tmp_path):
    extend(tmp_path, items(0, 1))
    (tmp_path / "plan" / "00000.parquet").write_bytes(b"PAR1 cut")
    for call in (lambda: extend(tmp_path, items(0, 1)), lambda: read_plan(tmp_path)):
        with pytest.raises(BimodalError, match=r"00000\.parquet: damaged \(.*\); choose a new folder"):
            call()
