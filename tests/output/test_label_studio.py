"""Label Studio's own package accepts the predictions, and `bimodal convert` reads what annotators make of them."""

import io
import json
from dataclasses import replace

import pytest

from bimodal import Recognition
from bimodal.data.exchange import label_studio
from bimodal.data.exchange.info import ReadOptions
from bimodal.output.formats import write_recognitions

FIRST = Recognition(
    emotion="anger", scores={"anger": 0.75, "sadness": 0.25}, speech_scores=None, text_scores=None, gate=None,
    start=0.5, end=2.0, transcript="Stop\nthat!", model="tiny", revision="abc",
)  # fmt: skip
SECOND = replace(FIRST, emotion="sadness", start=2.0, end=3.0, transcript="Oh no.")
ABSTAINED = replace(FIRST, emotion=None, abstained=True, reason="silent", start=3.5, end=4.0, transcript=None)
SET_UP = """<View>
  <Text name="text" value="$text"/>
  <Audio name="audio" value="$audio"/>
  <Labels name="stretch" toName="audio"><Label value="utterance"/></Labels>
  <Choices name="emotion" toName="audio" perRegion="true">
    <Choice value="anger"/><Choice value="sadness"/>
  </Choices>
</View>"""


def written(results: list[Recognition]) -> list[dict]:
    stream = io.StringIO()
    write_recognitions(iter(results), stream, "labelstudio", recording="calls/my call.wav")
    return json.loads(stream.getvalue())


def test_a_task_has_the_recording_its_words_and_one_prediction():
    (task,) = written([FIRST, SECOND, ABSTAINED])
    assert task["data"] == {"audio": "/data/local-files/?d=calls/my%20call.wav", "text": "Stop that! Oh no."}
    (prediction,) = task["predictions"]
    assert prediction["model_version"] == "tiny abc" and prediction["score"] == 0.5
    assert [mark["value"].get("choices") or mark["value"]["labels"] for mark in prediction["result"]] == [
        ["utterance"], ["anger"], ["utterance"], ["sadness"], ["utterance"],
    ]  # fmt: skip
    assert prediction["result"][1]["id"] == prediction["result"][0]["id"] != prediction["result"][2]["id"]


def test_label_studio_accepts_the_predictions():
    interface = pytest.importorskip("label_studio_sdk.label_interface", reason="needs label-studio-sdk")
    found = interface.LabelInterface(SET_UP)
    (task,) = written([FIRST, SECOND, ABSTAINED])
    assert found.validate_prediction(task["predictions"][0])
    broken = json.loads(json.dumps(task["predictions"][0]).replace('"anger"', '"joy"'))
    assert not found.validate_prediction(broken)


def test_what_annotators_make_of_a_prediction_is_read_back(tmp_path):
    (task,) = written([FIRST, SECOND])
    task["annotations"] = [{"id": 1, "result": task["predictions"][0]["result"]}]
    (tmp_path / "tasks.json").write_text(json.dumps([task]), encoding="utf-8")
    rows = label_studio.read(tmp_path, ReadOptions(scratch=tmp_path / "scratch")).utterances
    assert [(row.start, row.end, row.emotion) for row in rows] == [(0.5, 2.0, "anger"), (2.0, 3.0, "sadness")]
