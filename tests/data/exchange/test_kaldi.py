"""Kaldi's data folders: those of others, lhotse as oracle of ours."""

from pathlib import Path

import pytest

from bimodal.data.exchange import convert
from bimodal.data.manifest import read_manifest
from bimodal.errors import ManifestError

FILES = {
    "wav.scp": "rec1 one.wav\nrec2 sub/two.wav\n",
    "segments": "s1-a rec1 0.5 1.25\ns1-b rec1 0 -1\ns2-a rec2 1 -1\n",
    "text": "s1-a Hello there\ns1-b\ns2-a Bye\n",
    "utt2spk": "s1-a s1\ns1-b s1-b\ns2-a s2\n",
    "spk2gender": "s1 f\ns2 m\n",
    "utt2emo": "s1-a joy|surprise\ns2-a anger\n",
    "utt2lang": "s1-a en\ns1-b und\ns2-a de\n",
    "utt2dur": "s1-a 0.75\n",
}


def data(folder: Path, **changed: str) -> Path:
    for name in ("one.wav", "sub/two.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    for name, text in FILES.items():
        (folder / name).write_text(changed.get(name.replace(".", "_"), text), encoding="utf-8")
    return folder


def test_tables_become_columns_and_what_stands_for_nothing_is_empty(tmp_path):
    convert(data(tmp_path / "data"), tmp_path / "out")
    first, second, third = read_manifest(tmp_path / "out" / "manifest.csv").utterances
    assert (first.id, first.path, first.start, first.end) == ("s1-a", "audio/one.wav", 0.5, 1.25)
    assert (first.transcript, first.emotion, first.speaker, first.lang) == ("Hello there", "joy|surprise", "s1", "en")
    assert first.extra == {"gender": "f"}
    assert (second.start, second.end, second.transcript, second.speaker, second.lang) == (None,) * 5
    assert (third.start, third.end, third.emotion) == (1.0, None, "anger")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"wav_scp": "rec1 flac -dc one.flac |\nrec2 sub/two.wav\n"}, r"wav\.scp: rec1 is the output of a command"),
        ({"segments": "s1-a rec9 0 1\n"}, r"segments: 's1-a rec9 0 1', expected an id, a recording"),
        ({"segments": "s1-a rec1 later 1\n"}, r"row 1: start is 'later'"),
        ({"text": "s1-a x\ns1-a y\n"}, r"text:2: id 's1-a' again"),
        ({"wav_scp": "rec1 /data/one.wav\nrec2 ../two.wav\n"}, "must be relative to the manifest"),
    ],
)
def test_other_lines_are_told(tmp_path, changed, told):
    with pytest.raises(ManifestError, match=told):
        convert(data(tmp_path / "data", **changed), tmp_path / "out")


def test_lhotse_reads_what_is_written(source, tmp_path, monkeypatch):
    from lhotse.kaldi import load_kaldi_data_dir

    convert(source, tmp_path / "kaldi", "kaldi")
    monkeypatch.chdir(tmp_path / "kaldi")
    recordings, supervisions, _ = load_kaldi_data_dir(tmp_path / "kaldi", 8000)
    found = {one.id: one for one in supervisions}
    assert len(list(recordings)) == 4 and sorted(found) == ["four", "one", "six", "three", "two"]
    assert (found["two"].start, found["two"].duration, found["two"].text) == (0.25, 0.375, "Zwei")
    assert (found["one"].duration, found["one"].speaker, found["six"].speaker) == (1.0, "s1", "six")


def test_ids_and_speakers_without_spaces_and_lines_without_breaks(source, tmp_path):
    text = 'id,path,transcript,speaker,odd name\na b,audio/e.wav,"Hi\nyou",Ms X,1\nc,audio/d.flac, spaced ,y,2\n'
    source.write_text(text, encoding="utf-8")
    lost = convert(source, tmp_path / "kaldi", "kaldi").lost
    assert [sentence.split(":")[0].split(",")[0] for sentence in lost] == [
        "1 id with spaces", "the columns odd name are left out", "names of speakers with spaces",
        "transcripts lose line breaks and spaces around them",
    ]  # fmt: skip
    assert (tmp_path / "kaldi" / "text").read_text() == "a_b Hi you\nc spaced\n"
    assert (tmp_path / "kaldi" / "utt2spk").read_text() == "a_b Ms_X\nc y\n"
    source.write_text(text.replace("\nc,", "\na_b,"), encoding="utf-8")
    with pytest.raises(ManifestError, match="two ids are the same once their spaces are underscores"):
        convert(source, tmp_path / "again", "kaldi")
