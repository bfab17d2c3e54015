"""A real IPython shell runs the magic; what it shows is HTML without foreign marks."""

import shutil
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile

from bimodal import Recognition, Recognizer
from bimodal.audio.decode import load_signal
from bimodal.integrations.notebook import Timeline

InteractiveShell = pytest.importorskip("IPython.core.interactiveshell", reason="needs IPython").InteractiveShell


@pytest.fixture
def shell():
    shell = InteractiveShell()
    shell.run_line_magic("load_ext", "bimodal")
    return shell


class Names(HTMLParser):
    """The elements of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)


def test_the_magic_gives_the_answer_of_the_recognizer(shell, samples, tmp_path):
    shutil.copyfile(samples / "cross.mp3", tmp_path / "my clip.mp3")
    result = shell.run_line_magic("bimodal", f"'{tmp_path}/my clip.mp3' I told you to stop that!")
    expected = Recognizer().recognize(samples / "cross.mp3", transcript="I told you to stop that!")
    assert result.emotion == expected.emotion and result.transcript == expected.transcript
    shown = shell.display_formatter.format(result)[0]
    assert result.emotion in shown["text/html"]


def test_a_long_recording_is_drawn_over_time(shell, samples, tmp_path):
    signal = load_signal(samples / "diary.mp3")
    soundfile.write(tmp_path / "long.wav", np.concatenate([signal, signal]), 16_000)
    found = shell.run_line_magic("bimodal", str(tmp_path / "long.wav"))
    page = shell.display_formatter.format(found)[0]["text/html"]
    assert isinstance(found, Timeline) and len(found) > 10
    bars = sum(one.emotion is not None for one in found)
    assert Names(page).names.count("rect") == bars and "%" in page
    assert str(found[0].emotion or found[0].reason) in repr(found)


def test_words_of_strangers_are_text_and_nothing_is_nothing():
    nasty = "<script>alert('a')</script>"
    one = Recognition(
        emotion="anger", scores={"anger": 0.9, nasty: 0.1}, speech_scores=None, text_scores=None, gate=None,
        start=0.0, end=4.0, transcript=nasty, speaker=nasty,
    )  # fmt: skip
    page = Timeline([one, replace(one, emotion=nasty, start=4.0, end=8.0)])._repr_html_()
    assert "script" not in Names(page).names and "&lt;script&gt;" in page
    assert "no emotion recognised" in Timeline([])._repr_html_()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [("", "usage: %bimodal FILE"), ("'a", "usage"), ("none.wav", "none.wav: no such file"), (".", "is a folder")],
)
def test_a_bad_line_is_one_sentence(shell, capsys, line, sentence):
    assert shell.run_line_magic("bimodal", line) is None
    assert sentence in capsys.readouterr().out
