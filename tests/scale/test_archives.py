"""WebDataset archives: members of one key are one sample; what is cut is read up to the cut."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from bimodal.scale.archives import archive_items


def pack(file: Path, members: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(file, "w", format=form) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file


def listed(file: Path):
    return list(archive_items(file.name, str(file), file.stat().st_size))


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_members_are_found_where_they_stand(tmp_path, form):
    long = "d/" + "x" * 90 + ".wav"
    file = pack(tmp_path / "a.tar", {"d/0.wav": b"first", "d/._0.wav": b"no", long: b"second"}, form)
    content = file.read_bytes()
    found = listed(file)
    assert [content[item.offset : item.offset + item.size] for item in found] == [b"first", b"second"]
    assert [item.name for item in found] == ["a.tar/d/0.wav", f"a.tar/{long}"]


def test_texts_beside_a_recording_say_its_words_and_speaker(tmp_path):
    said = json.dumps({"speaker": "ann", "text": "not these", "start": 0.5, "more": {"a": 1}}).encode()
    members = {
        "0.json": said,
        "0.wav": b"x",
        "0.txt": b"Hello.\n",
        "1.wav": b"y",
        "2.left.wav": b"l",
        "2.right.wav": b"r",
    }
    first, second, left, right = listed(pack(tmp_path / "a.tar", members))
    assert (first.speaker, first.transcript, first.start, first.id, first.problem) == ("ann", "Hello.", 0.5, None, "")
    assert (second.speaker, second.transcript) == (None, None)
    assert (left.name, right.name) == ("a.tar/2.left.wav", "a.tar/2.right.wav")


@pytest.mark.parametrize(
    ("text", "told"), [(b"{", "cannot be used"), (b"[1]", "expected an object"), (b'{"start": -1}', "start is")]
)
def test_texts_that_cannot_be_used_are_a_problem_of_their_recording(tmp_path, text, told):
    bad, good = listed(pack(tmp_path / "a.tar", {"0.wav": b"x", "0.json": text, "1.wav": b"y"}))
    assert told in bad.problem and not good.problem


def test_an_archive_that_is_cut_or_no_archive_ends_with_a_problem(tmp_path):
    whole = pack(tmp_path / "a.tar", {f"{number}.wav": bytes(1000) for number in range(4)}).read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[:2500])
    found = listed(tmp_path / "cut.tar")
    assert [item.name for item in found] == ["cut.tar/0.wav", "cut.tar/1.wav", "cut.tar"]
    assert "cut or damaged after 1.wav" in found[-1].problem
    (tmp_path / "no.tar").write_bytes(b"no archive" * 100)
    assert "after its beginning" in listed(tmp_path / "no.tar")[0].problem
