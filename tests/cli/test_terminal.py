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


EPOCHS = """
from bimodal.cli import terminal
from bimodal.cli.terminal import epochs
terminal._SECONDS_BETWEEN_LINES = {between}
with epochs(quiet={quiet}) as on_epoch:
    for stage, count in (("speech", 3), ("fusion/speech/part1", 2)):
        for epoch in range(1, count + 1):
            on_epoch(dict(stage=stage, epoch=float(epoch), epochs=4 - count % 2, loss=0.5, seconds=2.0, dev=epoch / 10))
"""


def test_training_in_a_terminal_is_one_line_a_stage():
    shown = in_terminal(EPOCHS.format(between=10, quiet=False))
    assert "speech: epoch 3/3 |" in shown and "fusion/speech/part1: epoch 2/4 |" in shown
    assert "loss 0.500, dev UAR 30.0 %" in shown and "<" in shown
    assert shown.count("\n") == 2


def test_training_in_a_log_is_plain_lines():
    def log(between: float, quiet: bool = False) -> list[str]:
        code = EPOCHS.format(between=between, quiet=quiet)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return done.stderr.splitlines()

    assert log(-1) == [
        "speech: epoch 1 of 3, loss 0.500, dev UAR 10.0 %, about 4 s left",
        "speech: epoch 2 of 3, loss 0.500, dev UAR 20.0 %, about 2 s left",
        "speech: epoch 3 of 3, loss 0.500, dev UAR 30.0 %",
        "fusion/speech/part1: epoch 1 of 4, loss 0.500, dev UAR 10.0 %, about 6 s left",
        "fusion/speech/part1: epoch 2 of 4, loss 0.500, dev UAR 20.0 %, about 4 s left",
    ]
    # the second stage ends before its last epoch, out of patience
    assert log(10) == [log(-1)[2], "fusion/speech/part1: epoch 2 of 4, loss 0.500, dev UAR 20.0 %"]
    assert log(-1, quiet=True) == []
