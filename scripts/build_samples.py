"""Speak the samples of the page with CMU Flite, whose licence puts no condition on what it speaks (Debian: flite)."""

import json
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

SAMPLES = [
    ("cross", "Cross words, raised voice", [("I told you three times to stop that!", LOUD)]),
    ("conflict", "Glad words, flat voice", [("I am so glad that you are here. What a lovely day.", LOW)]),
    (
        "diary",
        "Half a minute of a day",
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
    listed = []
    for name, title, sentences in SAMPLES:
        parts = [part for text, voice in sentences for part in (speak(text, voice), pause)]
        signal = np.concatenate([pause[: RATE // 4], *parts[:-1], pause[: RATE // 4]])
        soundfile.write(OUT / f"{name}.mp3", signal, RATE, compression_level=0.8, bitrate_mode="VARIABLE")
        words = sentences[0][0] if len(sentences) == 1 else ""
        listed.append({"file": f"{name}.mp3", "title": title, "words": words})
    (OUT / "samples.json").write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
