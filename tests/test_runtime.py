"""Sessions: what cannot be loaded is one sentence, and nothing is printed."""

import subprocess
import sys

import pytest

from bimodal.errors import BackboneError
from bimodal.inference.installed import find_model
from bimodal.runtime import make_session


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
