"""MSP-Podcast: the consensus of the raters, and the official parts."""

from pathlib import Path

import pytest

from bimodal.data.corpora import CORPORA
from bimodal.errors import ManifestError


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


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


def test_a_folder_without_the_corpus_is_refused(tmp_path):
    with pytest.raises(ManifestError, match=r"no .*below"):
        CORPORA["msp_podcast"].prepare(tmp_path)
