"""Bytes of recordings from files, archives, Parquet rows and stores."""

import fsspec
import pyarrow as pa
import pytest
from pyarrow import parquet

from bimodal.errors import BimodalError
from bimodal.scale.fetch import IN_MEMORY, fetch, fetch_all, on_disk
from bimodal.scale.records import Item


@pytest.fixture(scope="module")
def store():
    found = fsspec.filesystem("memory")
    found.pipe({"/fetch/a.wav": b"abc", "/fetch/big.wav": bytes(IN_MEMORY + 5)})
    return found


def test_a_file_of_this_machine_is_left_to_the_decoder(tmp_path):
    assert fetch(Item(name="a", url=str(tmp_path / "a.wav"))) == tmp_path / "a.wav"
    assert fetch(Item(name="a", transcript="Words.")) is None


def test_a_member_of_an_archive_is_read_where_it_stands(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"0123456789")
    inside = Item(name="a.tar/b.wav", url=str(tmp_path / "a.tar"), offset=2, size=3)
    assert fetch(inside) == b"234"
    cut = Item(name="a.tar/b.wav", url=str(tmp_path / "a.tar"), offset=8, size=3)
    assert str(fetch(cut)) == "a.tar/b.wav: the archive is cut; 2 of 3 bytes are there"


def test_a_recording_of_a_store_is_read_and_a_large_one_goes_to_the_disk(store):
    assert fetch(Item(name="a", url="memory://fetch/a.wav")) == b"abc"
    large = Item(name="big", url="memory://fetch/big.wav")
    assert fetch(large) is None
    with on_disk(large) as file:
        assert file.stat().st_size == IN_MEMORY + 5
    assert not file.exists()


def test_what_is_missing_is_an_error_of_its_own(store, tmp_path):
    assert (
        str(fetch(Item(name="memory://fetch/no.wav", url="memory://fetch/no.wav")))
        == "memory://fetch/no.wav: no such file"
    )
    assert str(fetch(Item(name="x", problem="x: told before"))) == "x: told before"
    assert isinstance(fetch(Item(name="x", url="memory://fetch/no.wav", offset=0, size=1)), BimodalError)


def test_groups_come_in_order_while_others_are_read(store):
    items = [Item(name=str(number), url="memory://fetch/a.wav") for number in range(5)]
    items[3] = Item(name="3", url="/plain.wav")
    found = list(fetch_all(items, 2))
    assert (
        [len(group) for group in found] == [2, 2, 1]
        and found[0] == [b"abc", b"abc"]
        and str(found[1][1]) == "/plain.wav"
    )
    assert list(fetch_all([], 2)) == []


@pytest.mark.parametrize("rows", [[0, 1, 5, 19], [19, 0, 7], [3, 3]])
@pytest.mark.parametrize("form", ["struct", "binary"])
def test_rows_of_parquet_are_read_in_any_order(tmp_path, rows, form):
    content = [f"row {number}".encode() for number in range(40)]
    audio = [{"bytes": one, "path": None} for one in content] if form == "struct" else content
    parquet.write_table(pa.table({"audio": audio}), tmp_path / "held.parquet", row_group_size=20)
    found = [fetch(Item(name="x", url=str(tmp_path / "held.parquet"), group=1, row=row)) for row in rows]
    assert found == [content[20 + row] for row in rows]


def test_a_row_without_bytes_or_of_a_changed_file_is_an_error(tmp_path):
    parquet.write_table(pa.table({"audio": [b"x", None]}), tmp_path / "held.parquet")
    url = str(tmp_path / "held.parquet")
    assert str(fetch(Item(name="held#2", url=url, group=0, row=1))) == "held#2: the row holds no bytes of a recording"
    assert "the file has changed" in str(fetch(Item(name="held#9", url=url, group=0, row=8)))
