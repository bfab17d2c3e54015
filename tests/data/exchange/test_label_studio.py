"""Label Studio: exports with several people, stretches and uploads, and JSON-MIN."""

import json
import xml.etree.ElementTree as ET

import pytest

from bimodal.data.exchange import convert
from bimodal.data.manifest import read_manifest
from bimodal.errors import ManifestError


def choice(label: str, **times: float) -> dict:
    value = {**times, "choices": [label]}
    return {"id": "r1", "from_name": "emotion", "to_name": "audio", "type": "choices", "value": value}


def export(source, tasks: object) -> None:
    source.unlink()
    (source.parent / "project-1.json").write_text(json.dumps(tasks), encoding="utf-8")


def read(source, tmp_path):
    convert(source.parent / "project-1.json", tmp_path / "out")
    return read_manifest(tmp_path / "out" / "manifest.csv").utterances


def test_votes_of_several_people_are_a_soft_target(source, tmp_path):
    words = {"from_name": "words", "to_name": "audio", "type": "textarea", "value": {"text": ["Hi", "you"]}}
    tasks = [
        {
            "id": 7,
            "data": {"audio": "/data/local-files/?d=audio/a%20b.wav", "speaker": "s", "score": 2},
            "annotations": [
                {"id": 1, "result": [choice("joy"), words]},
                {"id": 2, "result": [choice("anger")]},
                {"id": 3, "was_cancelled": True, "result": [choice("fear")]},
            ],
            "predictions": [],
        }
    ]
    export(source, tasks)
    (row,) = read(source, tmp_path)
    assert (row.id, row.path, row.emotion, row.transcript) == ("7", "audio/a b.wav", "joy|anger", "Hi you")
    assert (row.speaker, dict(row.extra)) == ("s", {"score": "2"})


def test_stretches_become_utterances_and_uploads_are_found(source, tmp_path):
    regions = [choice("joy", start=0.1, end=0.5), choice("fear", start=0.5, end=0.9)]
    annotations = [{"result": regions}, {"result": [choice("joy", start=0.5, end=0.9)]}]
    export(source, [{"id": 1, "data": {"audio": "/data/upload/3/0a1b2c3d-e.wav"}, "annotations": annotations}])
    first, second = read(source, tmp_path)
    assert (first.id, first.path, first.start, first.end) == ("1-1", "audio/e.wav", 0.1, 0.5)
    assert (second.id, second.emotion) == ("1-2", "fear|joy")


def test_json_min_is_read(source, tmp_path):
    rows = [{"id": 3, "audio": "audio/e.wav", "emotion": {"choices": ["joy", "fear"]}, "annotator": 1},
            {"id": 4, "text": "Hi", "emotion": "joy", "created_at": "2026"}]  # fmt: skip
    export(source, rows)
    first, second = read(source, tmp_path)
    assert (first.id, first.emotion, first.path, dict(first.extra)) == ("3", "joy|fear", "audio/e.wav", {})
    assert (second.transcript, second.path) == ("Hi", None)


def test_tasks_have_the_documented_form_and_fit_the_set_up(source, tmp_path):
    convert(source, tmp_path / "tasks", "label_studio")
    tasks = json.loads((tmp_path / "tasks" / "tasks.json").read_text())
    set_up = ET.fromstring((tmp_path / "tasks" / "labelling.xml").read_text())
    names = {one.get("name"): one for one in set_up.iter() if one.get("name")}
    labels = {one.get("value") for one in set_up.iter("Choice")}
    assert tasks[0]["data"]["audio"] == "/data/local-files/?d=audio/a%20b.wav"
    assert [len(task["annotations"]) for task in tasks] == [2, 3, 1, 1, 1, 0]
    for result in (one for task in tasks for annotation in task["annotations"] for one in annotation["result"]):
        assert result["from_name"] in names and result["to_name"] in names
        assert set(result["value"].get("choices", [])) <= labels


@pytest.mark.parametrize(
    ("tasks", "told"),
    [
        ({"id": 1}, "no list of tasks, expected an export"),
        ([{"data": {"audio": "https://example.org/a.wav"}}], "is an address, expected a file"),
        ([], "no utterances in it"),
        ([{"data": {}, "annotations": 1}], "task 1: annotations holds '1', expected a list of objects"),
        ([{"data": {}, "annotations": [{"result": [choice("a", end=[])]}]}], "start of a stretch is 'None'"),
    ],
)
def test_other_content_is_told(tasks, told, source, tmp_path):
    export(source, tasks)
    with pytest.raises(ManifestError, match=told):
        convert(source.parent / "project-1.json", tmp_path / "out", read_as="label_studio")
