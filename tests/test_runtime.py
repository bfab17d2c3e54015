"""Sessions: what cannot be loaded is one sentence, and nothing is printed."""

import subprocess
import sys
import time

import pytest

from bimodal.errors import BackboneError
from bimodal.inference.installed import find_model
from bimodal.runtime import in_order, make_session


def test_damaged_bytes_are_one_sentence_and_their_text_is_not_printed(capfd):
    with pytest.raises(BackboneError, match="cannot be loaded as an ONNX model") as caught:
        make_session(b"\x08\x07\x12\x05\x1b[31m" + b"\xe3" * 20)
    assert "\x1b" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_an_operator_whose_name_is_no_text_is_one_sentence_and_not_printed(capfd):
    """onnxruntime's own second attempt prints such an error to stdout, where results belong."""
    graph = (find_model("permissive") / "fusion.onnx").read_bytes()
    with pytest.raises(BackboneError, match="cannot be loaded as an ONNX model"):
        make_session(graph.replace(b"Softmax", b"\xe3" * 7))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("given", "expected"), [(None, "1"), ("0", "0")])
def test_telemetry_of_onnxruntime_is_off_unless_somebody_asks_for_it(given, expected, monkeypatch):
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    if given is not None:
        monkeypatch.setenv("ORT_DISABLE_TELEMETRY", given)
    code = "import bimodal, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


def test_results_come_in_the_order_of_the_items_whoever_is_done_first():
    def work(number: int) -> int:
        time.sleep(0.02 * (number % 3 == 0))
        return -number

    for at_once in (1, 2, 5):
        assert list(in_order(work, range(20), at_once)) == [-number for number in range(20)]


def test_few_items_are_taken_ahead_so_that_memory_stays_flat():
    taken: list[int] = []
    items = (taken.append(number) or number for number in range(1000))
    found = in_order(str, items, 2)
    assert [next(found) for _ in range(3)] == ["0", "1", "2"]
    assert len(taken) <= 8
    found.close()
    assert len(taken) <= 8


def test_the_first_error_is_raised_in_its_place():
    found = in_order(lambda number: 1 // number, [2, 1, 0, 1], 2)
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(found)
