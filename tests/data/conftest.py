"""A small corpus that has what formats differ in: stretches, several labels, rows without this or that."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

RECORDINGS = ("audio/a b.wav", "audio/sub/c.wav", "audio/d.flac", "audio/e.wav")
MANIFEST = """id,path,start,end,transcript,emotion,speaker,split,lang,dialogue,gender,note
one,audio/a b.wav,,,"Hi, ""x"" you",joy|surprise,s1,train,en,d1,f,ü
two,audio/sub/c.wav,0.25,0.625,Zwei,anger|anger|neutral,s2,test,de,d1,m,
three,audio/sub/c.wav,0.625,0.875,,sadness,s2,test,de,d2,m,a
four,audio/d.flac,,,Vier,anger,s3,dev,,,f,
words,,,,Only words,joy,s3,dev,en,,f,x
six,audio/e.wav,,,,,,train,,,,
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Manifest of the corpus, with recordings of a second."""
    rng, folder = np.random.default_rng(0), tmp_path / "source"
    for name in RECORDINGS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, 0.1 * rng.normal(size=8000), 8000)
    (folder / "manifest.csv").write_text(MANIFEST, encoding="utf-8")
    return folder / "manifest.csv"
