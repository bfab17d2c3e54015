"""Make the samples of the page: clips of EmoDB (CC0), and sentences spoken by CMU Flite (Debian: flite).

The licence of Flite puts no condition on what it speaks. EmoDB lies in the folder `BIMODAL_DATA`; without it, its
samples stay as they are. `tests/system/test_samples.py` checks that the packaged model answers what the titles say.
"""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile

OUT = Path(__file__).parents[1] / "src" / "bimodal" / "service" / "static" / "samples"
RATE = 16_000

LOUD = {"duration_stretch": 0.82, "int_f0_target_mean": 255, "int_f0_target_stddev": 55}
LOW = {"duration_stretch": 1.35, "int_f0_target_mean": 150, "int_f0_target_stddev": 6}
BRIGHT = {"duration_stretch": 0.9, "int_f0_target_mean": 245, "int_f0_target_stddev": 48}
PLAIN = {"duration_stretch": 1.05, "int_f0_target_mean": 190, "int_f0_target_stddev": 14}

SPOKEN = [
    ("cross", [("I told you three times to stop that!", LOUD)]),
    ("conflict", [("I am so glad that you are here. What a lovely day.", LOW)]),
    (
        "diary",
        [
            ("The train left at eight, as it always does.", PLAIN),
            ("Then somebody pushed me, and would not even say sorry!", LOUD),
            ("I walked home alone. It rained the whole way.", LOW),
            ("And guess who stood at my door? My sister, after all these years!", BRIGHT),
            ("We had tea, and talked until it was late.", PLAIN),
            ("I only wish that our mother could have seen it.", LOW),
        ],
    ),
]
"""What Flite speaks. `cross` and `diary` are not on the page any more: tests and the self-test use them."""

ACTORS = {"anger": "14a05Wb", "happiness": "08b02Ff", "sadness": "11b10Td"}
"""Clips of EmoDB, one a sample."""

TALK = (
    "14b02Na", "11b09Na", "14b10Nb", "11a01Nd", "14b01Na", "11b10Nc",
    "14a05Wa", "11b01Wd", "14a02Wa", "11a07Wc", "14a05Wb", "11a01Wc",
    "11b03Td", "14a04Tc", "11a05Td", "14b02Fb", "11b02Fd", "14a07Fd",
)  # fmt: skip
"""Clips of two actors in turn, speaker 14 on the left channel and 11 on the right: calm, angry, sad, happy."""

LISTED = (
    {"file": "anger.mp3", "title": "An angry voice", "words": "", "stereo": False},
    {"file": "happiness.mp3", "title": "A happy voice", "words": "", "stereo": False},
    {"file": "sadness.mp3", "title": "A sad voice", "words": "", "stereo": False},
    {"file": "conflict.mp3", "title": "Happy words, sad voice", "words": SPOKEN[1][1][0][0], "stereo": False},
    {"file": "voices.mp3", "title": "Two voices, one minute", "words": "", "stereo": True},
)
"""What the page offers."""


def speak(text: str, voice: dict[str, float]) -> np.ndarray:
    """One sentence, at one level."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        settings = [part for name, value in voice.items() for part in ("--setf", f"{name}={value}")]
        subprocess.run(["flite", "-voice", "slt", *settings, "-t", text, "-o", file.name], check=True)
        signal, rate = soundfile.read(file.name)
    if rate != RATE:
        raise SystemExit(f"flite speaks at {rate} Hz, expected {RATE}")
    return 0.5 * signal / np.abs(signal).max()


def main() -> None:
    """Write the samples and their list."""
    OUT.mkdir(parents=True, exist_ok=True)
    pause = np.zeros(int(0.9 * RATE))
    for name, sentences in SPOKEN:
        if shutil.which("flite"):
            parts = [part for text, voice in sentences for part in (speak(text, voice), pause)]
            write(name, np.concatenate([pause[: RATE // 4], *parts[:-1], pause[: RATE // 4]]))
    folder = Path(os.environ.get("BIMODAL_DATA", Path(__file__).parents[2] / "shared" / "data")) / "emodb" / "audio"
    if folder.is_dir():
        for emotion, clip in ACTORS.items():
            write(emotion, read(folder, clip))
        write("voices", talk(folder))
    (OUT / "samples.json").write_text(json.dumps(LISTED, indent=2) + "\n", encoding="utf-8")


def read(folder: Path, clip: str) -> np.ndarray:
    """A clip of EmoDB at one level, with a little silence around it."""
    signal, rate = soundfile.read(folder / f"{clip}.flac")
    if rate != RATE:
        raise SystemExit(f"{clip} has {rate} Hz, expected {RATE}")
    return np.pad(0.5 * signal / np.abs(signal).max(), RATE // 5)


def talk(folder: Path) -> np.ndarray:
    """The clips of `TALK` one after the other, (T, 2)."""
    tracks: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for clip in TALK:
        signal = read(folder, clip)
        for track, speaker in zip(tracks, ("14", "11"), strict=True):
            track.append(signal if clip.startswith(speaker) else np.zeros_like(signal))
    return np.stack([np.concatenate(track) for track in tracks], axis=1)


def write(name: str, signal: np.ndarray) -> None:
    """A small MP3."""
    soundfile.write(OUT / f"{name}.mp3", signal, RATE, compression_level=0.9, bitrate_mode="VARIABLE")


if __name__ == "__main__":
    main()
