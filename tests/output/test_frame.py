"""Results as a data frame hold what the CSV holds, as numbers."""

import csv
import io
import subprocess
import sys
from dataclasses import replace

import pytest

from bimodal.output.formats import write_recognitions
from bimodal.output.frame import to_frame
from bimodal.records import Recognition, failed_recognition

CALM = Recognition(
    emotion="calm", scores={"anger": 0.25, "calm": 0.75}, speech_scores=None, text_scores=None, gate=0.5, start=0.0,
    end=1.5, transcript="hm", warnings=("short", "noisy"),
)  # fmt: skip
RESULTS = [failed_recognition("gone"), CALM, replace(CALM, emotion=None, abstained=True, reason="silent", warnings=())]


def test_a_frame_has_the_columns_and_rows_of_the_csv_and_the_warnings():
    pytest.importorskip("pandas")
    frame = to_frame(iter(RESULTS))
    stream = io.StringIO(newline="")
    write_recognitions(RESULTS, stream, "csv")
    rows = list(csv.DictReader(io.StringIO(stream.getvalue(), newline="")))
    assert sorted(frame.columns) == sorted([*rows[0], "warnings"])
    assert frame["calm"].isna().tolist() == [True, False, False] and frame["calm"].tolist()[1:] == [0.75, 0.75]
    assert [row["calm"] for row in rows] == ["", "0.7500", "0.7500"]
    assert frame["error"].tolist()[0] == rows[0]["error"] == "gone"
    assert frame["warnings"].tolist() == ["", "short; noisy", ""]


def test_no_results_are_a_frame_without_rows():
    pytest.importorskip("pandas")
    assert len(to_frame([])) == 0 and "emotion" in to_frame([]).columns


def test_without_pandas_the_sentence_names_it():
    code = (
        "import sys; sys.modules['pandas'] = None\n"
        "from bimodal.errors import BimodalError\nfrom bimodal.output.frame import to_frame\n"
        "try: to_frame([])\nexcept BimodalError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "to_frame needs pandas: pip install pandas\n"
