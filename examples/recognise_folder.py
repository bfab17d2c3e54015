"""Recognise all recordings of a folder and write a table.

    python examples/recognise_folder.py FOLDER results.csv

A recording that cannot be used gets a row with its error; the others go on.
"""

import csv
import sys
from pathlib import Path

from bimodal import Recognizer
from bimodal.audio.recordings import find_recordings


def main(folder: Path, out: Path) -> None:
    """Write one row per recording: its name, the emotion, its score, and the error if there was one."""
    recordings = find_recordings([folder])
    results = Recognizer().recognize_batch([recording.path for recording in recordings], strict=False)
    with out.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["recording", "emotion", "score", "error"])
        for recording, result in zip(recordings, results, strict=True):
            score = f"{result.scores[result.emotion]:.2f}" if result.emotion else ""
            table.writerow([recording.place, result.emotion or "", score, result.error or ""])
    print(f"{len(results)} recordings in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
