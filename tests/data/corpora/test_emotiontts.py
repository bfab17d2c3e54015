"""emotiontts_open_db: file names tell emotion and sentence; anger and sadness are not as the README has them."""

from collections import Counter, defaultdict

import pytest

from bimodal.data.corpora import emotiontts
from bimodal.data.manifest import read_manifest
from bimodal.data.splits import comparable_text
from bimodal.errors import ManifestError


@pytest.fixture
def official(tmp_path):
    for name, words in {"nea00203": "우울해.\n", "nea00301": "억지 주장", "ema00101": "5월", "emb00301": "5월"}.items():
        folder = tmp_path / "Emotional" / name[:3]
        (folder / "wav").mkdir(parents=True, exist_ok=True)
        (folder / "wav" / f"{name}.wav").touch()
        (folder / "script").mkdir(exist_ok=True)
        (folder / "script" / f"{name}.txt").write_text(words, encoding="utf-8")
    return tmp_path


def test_the_third_hundred_is_sadness_and_the_fourth_anger(official):
    found = {row.id: row.emotion for row in emotiontts.prepare(official)}
    assert found == {"ema00101": "happiness", "emb00301": "anger", "nea00203": "sadness", "nea00301": "anger"}


def test_a_plain_sentence_keeps_its_name_in_every_emotion(official):
    rows = {row.id: row for row in emotiontts.prepare(official)}
    assert rows["ema00101"].extra == rows["emb00301"].extra == {"script": "plain", "sentence": "plain-001"}
    assert rows["nea00203"].extra == {"script": "emotional", "sentence": "emotional-203"}
    assert (rows["nea00203"].speaker, rows["nea00203"].transcript, rows["nea00203"].lang) == ("nea", "우울해.", "ko")


def test_what_was_said_goes_before_the_script_and_a_missing_text_is_counted(official, caplog):
    folder = official / "Emotional" / "nea"
    (folder / "transcript").mkdir()
    (folder / "transcript" / "nea00203.txt").write_bytes("너무 우울해.".encode("cp949"))
    (folder / "script" / "nea00301.txt").unlink()
    rows = {row.id: row.transcript for row in emotiontts.prepare(official)}
    assert (rows["nea00203"], rows["nea00301"]) == ("너무 우울해.", None)
    assert "1 of 4 utterances have no text file" in caplog.text


def test_a_number_beyond_the_corpus_and_an_empty_folder_are_refused(official, tmp_path):
    (official / "Emotional" / "nea" / "wav" / "nea00401.wav").touch()
    with pytest.raises(ManifestError, match=r"nea00401\.wav: not a recording of emotiontts_open_db"):
        emotiontts.prepare(official)
    (tmp_path / "none").mkdir()
    with pytest.raises(ManifestError, match="no emotional speech of emotiontts_open_db below"):
        emotiontts.prepare(tmp_path / "none")


def test_the_corpus_agrees_with_its_corrected_manifest_and_has_25_sentences_in_29_spellings(corpus_data):
    rows = emotiontts.prepare(corpus_data / "emotiontts_ko")
    given = {row.path: row for row in read_manifest(corpus_data / "emotiontts_ko" / "manifest.csv").utterances}
    assert {row.path: (row.emotion, row.speaker, row.extra["script"]) for row in rows} == {
        path: (row.emotion, row.speaker, row.extra["script"]) for path, row in given.items()
    }
    assert Counter(row.extra["script"] for row in rows) == {"emotional": 200, "plain": 100}
    spellings = defaultdict(set)
    for row in rows:
        spellings[row.extra["sentence"]].add(row.transcript)
    assert (len(spellings), len(set.union(*spellings.values()))) == (25, 29)
    homes = Counter(
        comparable_text(text) for texts in spellings.values() for text in {comparable_text(t) for t in texts}
    )
    assert set(homes.values()) == {1}
