"""The progress bar, in a real pseudo-terminal: what is left, lines above it, and silence where there is no terminal."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

CODE = """
import time
from bimodal.cli.terminal import open_bar
with open_bar(100.0, quiet=False) as bar:
    time.sleep(0.2)
    bar.reach(50.0)
    bar.echo("a result")
    bar.say("a sentence")
"""


def in_terminal(code: str) -> str:
    """What a program shows in a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # how a pseudo-terminal ends on Linux
            break
        if not part:
            break
        shown += part
    assert process.wait() == 0
    return shown.decode()


def test_the_bar_shows_the_share_and_the_time_left_below_the_lines():
    shown = in_terminal(CODE)
    assert "audio:  50% of 100 s |" in shown and "00:00<00:" in shown
    last = shown.replace("\r\n", "\n").split("\n")
    assert any(line.endswith("\ra result") for line in last) and any(line.endswith("\ra sentence") for line in last)


def test_little_audio_and_other_places_than_a_terminal_have_no_bar():
    assert in_terminal(CODE.replace("100.0", "20.0")).split() == ["a", "result", "a", "sentence"]
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("a result\n", "a sentence\n")


def test_no_text_of_a_stranger_steers_the_terminal(capsys):
    from bimodal.cli.terminal import say
    from bimodal.output.console import format_line, format_result, format_stretch
    from bimodal.records import Recognition

    evil = "a\x1b]0;owned\x07\x9b31m\u202eb"
    result = Recognition(
        emotion="joy", scores={"joy": 1.0}, speech_scores=None, text_scores=None, gate=None, start=0.0, end=1.0,
        speaker=evil, transcript=evil, warnings=(evil,),
    )  # fmt: skip
    say(evil)
    shown = [capsys.readouterr().err, format_line(result, evil), format_result(result, None), format_stretch(result)]
    for text in shown:
        assert not set(text) & set("\x1b\x07\x9b\u202e") and "a?]0;owned??31m?b" in text
