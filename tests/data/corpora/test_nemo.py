"""nEMO: a table names recordings and words."""

from pathlib import Path

import pytest

from bimodal.data.corpora import CORPORA
from bimodal.errors import ManifestError


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_the_table_of_nemo_names_recordings_and_words(tmp_path):
    columns = "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"
    text = columns + 'WR0_surprised_64.wav\tsurprised\tUcho "wykrywa".\tucho wykrywa\t        WR0\tmale\t23\n'
    write(tmp_path, {"data.tsv": text})
    (row,) = CORPORA["nemo"].prepare(tmp_path)
    assert (row.id, row.path, row.emotion) == ("WR0_surprised_64", "samples/WR0_surprised_64.wav", "surprise")
    assert (row.transcript, row.speaker) == ('Ucho "wykrywa".', "WR0")
    assert row.extra == {"gender": "male", "age": "23", "sentence": "64"}
    write(tmp_path, {"data.tsv": text.replace("raw_text", "words")})
    with pytest.raises(ManifestError, match=r"data\.tsv:1: columns \['raw_text'\] are missing"):
        CORPORA["nemo"].prepare(tmp_path)


def test_a_folder_without_the_corpus_is_refused(tmp_path):
    with pytest.raises(ManifestError, match=r"no .*data.tsv"):
        CORPORA["nemo"].prepare(tmp_path)
