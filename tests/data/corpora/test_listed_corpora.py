"""Corpora with lists of their own: IEMOCAP, MSP-Podcast, nEMO, DailyDialog, EmoContext."""

from pathlib import Path

import pytest

from bimodal.data.corpora import CORPORA
from bimodal.data.labels import find_map
from bimodal.errors import ManifestError

EVALUATION = """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[14.8872 - 18.0175]\tSes01F_impro01_M000\tneu\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral;\t()
C-E3:\tNeutral;\t()
C-M1:\tFrustration; Anger;\t(annoyed)
A-E3:\tval 3; act 2; dom  2;\t()

[6.2901 - 8.2357]\tSes01F_impro01_F000\txxx\t[4.0000, 1.0000, 5.0000]
C-E2:\tSurprise;\t()
C-E3:\tExcited;\t()
A-E3:\tval 2; act 2; dom  2;\t()
"""
WORDS = """Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.
Ses01F_impro01_M000 [014.8872-018.0175]: Is there a problem?
"""


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def iemocap(folder: Path) -> Path:
    return write(
        folder,
        {
            "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt": EVALUATION,
            "Session1/dialog/EmoEvaluation/Categorical/Ses01F_impro01_e1_cat.txt": "other",
            "Session1/dialog/transcriptions/Ses01F_impro01.txt": WORDS,
            "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav": "",
        },
    )


def test_turns_of_iemocap_have_words_votes_and_dimensions(tmp_path, caplog):
    first, second = CORPORA["iemocap"].prepare(iemocap(tmp_path))  # in order of time
    assert (first.id, first.speaker, first.emotion, first.transcript) == (
        "Ses01F_impro01_F000", "01F", "xxx", "Excuse me.",
    )  # fmt: skip
    assert second.path == "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M000.wav"
    assert (second.speaker, second.emotion, second.dialogue) == ("01M", "neu", "Ses01F_impro01")
    assert second.extra == {
        "gender": "male", "session": "1", "script": "improvised", "votes": "neu|neu|fru|ang",
        "valence": "-0.25", "arousal": "-0.25", "dominance": "-0.25", "turn": "1",
    }  # fmt: skip
    assert (first.extra["valence"], first.extra["arousal"], first.extra["dominance"]) == ("0.5", "-1", "1")
    assert find_map("iemocap4").apply(str(second.emotion)) == "neutral" and "2 of 10039" in caplog.text


def test_podcasts_have_the_consensus_and_the_official_parts(tmp_path):
    head = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\n"
    rows = "MSP-PODCAST_0001_0008.wav,N,4.0,1.0,7,127,Female,Train\nMSP-PODCAST_0001_0009.wav,X,2.5,,3,Unknown,Male,"
    write(
        tmp_path,
        {
            "Labels/labels_consensus.csv": head + rows + "Test1\n",
            "Transcripts/MSP-PODCAST_0001_0008.txt": "So what is it?\n",
            "Audios/MSP-PODCAST_0001_0008.wav": "",
        },
    )
    first, second = CORPORA["msp_podcast"].prepare(tmp_path)
    assert (first.path, first.emotion, first.speaker, first.split, first.transcript) == (
        "Audios/MSP-PODCAST_0001_0008.wav", "neutral", "127", "train", "So what is it?",
    )  # fmt: skip
    assert first.extra == {"gender": "female", "arousal": "0", "valence": "-1", "dominance": "1"}
    assert (second.emotion, second.speaker, second.split) == ("unknown", None, "test1")
    assert second.extra == {"gender": "male", "arousal": "-0.5", "dominance": "-0.3333"}
    write(tmp_path, {"Labels/labels_consensus.csv": head + rows.replace(",N,", ",Q,") + "Test1\n"})
    with pytest.raises(ManifestError, match=r"labels_consensus\.csv:2: emotion 'Q', expected one of"):
        CORPORA["msp_podcast"].prepare(tmp_path)


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


def test_dialogues_have_a_number_for_each_turn(tmp_path):
    texts = "Hello . __eou__ Go away ! __eou__\nThanks . __eou__\n"
    write(tmp_path, {"train/dialogues_train.txt": texts, "train/dialogues_emotion_train.txt": "0 1\n4\n"})
    rows = CORPORA["dailydialog"].prepare(tmp_path)
    assert [(row.id, row.transcript, row.emotion, row.dialogue, row.split) for row in rows] == [
        ("train_1_0", "Hello .", "neutral", "train_1", "train"),
        ("train_1_1", "Go away !", "anger", "train_1", "train"),
        ("train_2_0", "Thanks .", "happiness", "train_2", "train"),
    ]
    assert rows[0].speaker != rows[1].speaker
    whole = write(tmp_path / "whole", {"dialogues_text.txt": texts, "dialogues_emotion.txt": "0 1 \n4 \n"})
    assert [row.split for row in CORPORA["dailydialog"].prepare(whole)] == [None] * 3
    for wrong, told in (("0\n4\n", "1 emotions for 2 turns"), ("0 9\n4\n", "emotion '9'"), ("0 1\n", "1 dialogues")):
        write(whole, {"dialogues_emotion.txt": wrong})
        with pytest.raises(ManifestError, match=told):
            CORPORA["dailydialog"].prepare(whole)


def test_the_last_turn_of_a_chat_has_the_emotion(tmp_path):
    head = "id\tturn1\tturn2\tturn3\tlabel\n"
    write(tmp_path, {"train.txt": head + "0\tHi\tWho are you\tYou know me\tothers\n1\ta\tb\tI hate you\tangry\n"})
    rows = CORPORA["emocontext"].prepare(tmp_path)
    assert [row.emotion for row in rows] == [None, None, "other", None, None, "anger"]
    assert [row.speaker for row in rows[:3]] == ["train_0_a", "train_0_b", "train_0_a"]
    assert rows[5].transcript == "I hate you" and rows[5].dialogue == "train_1"
    write(tmp_path, {"train.txt": head + "0\tHi\tWho are you\tYou know me\tbored\n"})
    with pytest.raises(ManifestError, match=r"train\.txt:2: 5 cells ending in 'bored'"):
        CORPORA["emocontext"].prepare(tmp_path)


@pytest.mark.parametrize("name", ["iemocap", "msp_podcast", "nemo", "dailydialog", "emocontext"])
def test_a_folder_without_the_corpus_is_refused(name, tmp_path):
    with pytest.raises(ManifestError, match=r"no .*(below|data\.tsv)"):
        CORPORA[name].prepare(tmp_path)
