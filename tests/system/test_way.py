"""The way of a clip, from `bimodal recognize clip.wav` to the printed line, is short enough to read.

What counts are the files that wait on the call stack whenever the recording is read, a network runs, the answer is
made, or a line is printed. Small helpers that return before that do not count.
"""

import subprocess
import sys
from pathlib import Path

MOST_FILES = 12

TRACE = """
import os, sys
from pathlib import Path
import bimodal, bimodal.cli, bimodal.records, onnxruntime, soundfile, typer
from bimodal.__main__ import main

base, found, opened = Path(bimodal.__file__).parent, {}, []

def note():
    frame = sys._getframe(2)
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        if file.is_relative_to(base):
            found[file.relative_to(base).as_posix()] = True
        frame = frame.f_back

def watch(owner, name):
    original = getattr(owner, name)
    def watched(*arguments, **options):
        note()
        return original(*arguments, **options)
    setattr(owner, name, watched)

first_open = soundfile.SoundFile.__init__
def opening(self, file, *arguments, **options):
    opened.append(str(file))
    first_open(self, file, *arguments, **options)
soundfile.SoundFile.__init__ = opening
watch(soundfile.SoundFile, "read")
watch(onnxruntime.InferenceSession, "run")
watch(bimodal.records.Recognition, "__init__")
watch(typer, "echo")
os._exit = lambda code: None
sys.argv[0] = "bimodal"
try:
    main()
except SystemExit:
    pass
print("files", *sorted(found), file=sys.stderr)
print("opened", len(opened), file=sys.stderr)
"""


def test_a_clip_passes_few_files_and_is_opened_once(tiny_model: Path, tiny_manifest: Path):
    clip = tiny_manifest.parent / "audio" / "s0-anger-0.wav"
    command = [sys.executable, "-c", TRACE, "recognize", "-m", str(tiny_model), str(clip)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "anger" in done.stdout
    *_, files, opened = done.stderr.splitlines()
    way = files.split()[1:]
    assert {"cli/recognize.py", "audio/decode.py", "inference/model.py", "features/backbone.py"} < set(way)
    assert len(way) <= MOST_FILES, way
    assert opened == "opened 1"
