"""lhotse: its own package reads ours; manifests that it wrote, and damaged ones."""

import gzip
import json
from pathlib import Path

import pytest

from bimodal.data.exchange import convert
from bimodal.data.manifest import read_manifest
from bimodal.errors import ManifestError


def test_the_package_reads_what_is_written(source, tmp_path):
    from lhotse import CutSet, RecordingSet, SupervisionSet
    from lhotse.qa import validate_recordings_and_supervisions

    convert(source, tmp_path / "lhotse", "lhotse")
    recordings = RecordingSet.from_file(tmp_path / "lhotse" / "recordings.jsonl.gz")
    recordings = recordings.with_path_prefix(tmp_path / "lhotse")
    supervisions = SupervisionSet.from_file(tmp_path / "lhotse" / "supervisions.jsonl.gz")
    validate_recordings_and_supervisions(recordings, supervisions, read_data=True)
    cuts = {
        cut.supervisions[0].id: cut for cut in CutSet.from_manifests(recordings, supervisions).trim_to_supervisions()
    }
    assert cuts["two"].load_audio().shape == (1, 3000) and cuts["two"].supervisions[0].text == "Zwei"
    assert cuts["one"].supervisions[0].custom["emotion"] == "joy|surprise"


def test_manifests_of_the_package_are_read(source, tmp_path):
    from lhotse import Recording, RecordingSet, SupervisionSegment, SupervisionSet

    folder = source.parent
    recording = Recording.from_file(folder / "audio" / "e.wav", recording_id="e", relative_path_depth=2)
    RecordingSet.from_recordings([recording]).to_file(folder / "x_recordings_all.jsonl.gz")
    segments = [
        SupervisionSegment(id="u", recording_id="e", start=0.25, duration=0.5, text="Hi", speaker="s", gender="F",
                           language="en", custom={"emotion": "joy", "score": 1.5}),
        SupervisionSegment(id="v", recording_id="e", start=0.0, duration=1.0),
    ]  # fmt: skip
    SupervisionSet.from_segments(segments).to_file(folder / "x_supervisions_all.jsonl")
    convert(folder, tmp_path / "out", read_as="lhotse")
    first, second = read_manifest(tmp_path / "out" / "manifest.csv").utterances
    assert (first.id, first.path, first.start, first.end) == ("u", "audio/e.wav", 0.25, 0.75)
    assert (first.transcript, first.emotion, first.speaker, first.lang) == ("Hi", "joy", "s", "en")
    assert first.extra == {"score": "1.5", "gender": "F"}
    assert (second.start, second.end, second.path) == (None, None, "audio/e.wav")


RECORDING = {"id": "e", "sources": [{"type": "file", "channels": [0], "source": "e.wav"}], "duration": 1.0}
SUPERVISION = {"id": "u", "recording_id": "e", "start": 0.0, "duration": 0.5}


def lhotse(folder: Path, recording: object, supervision: object) -> Path:
    folder.mkdir()
    (folder / "recordings.jsonl").write_text(json.dumps(recording) + "\n", encoding="utf-8")
    (folder / "supervisions.jsonl").write_text(json.dumps(supervision) + "\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("recording", "supervision", "told"),
    [
        ({**RECORDING, "id": "f"}, SUPERVISION, "supervision 1: its recording 'e' is not in the recordings"),
        (
            {**RECORDING, "sources": [{"type": "url"}]},
            SUPERVISION,
            r"the sources \['url'\], expected one of type 'file'",
        ),
        (RECORDING, {**SUPERVISION, "duration": "long"}, "must be numbers"),
        (RECORDING, {**SUPERVISION, "custom": "joy"}, "custom is 'joy', expected an object"),
        ({**RECORDING, "sources": [1]}, SUPERVISION, r"the sources \[1\], expected one of type 'file'"),
        (RECORDING, ["u"], r"supervisions\.jsonl:1: found a list, expected an object"),
    ],
)
def test_other_content_is_told(tmp_path, recording, supervision, told):
    with pytest.raises(ManifestError, match=told):
        convert(lhotse(tmp_path / "in", recording, supervision), tmp_path / "out")


def test_a_damaged_file_is_told(tmp_path):
    folder = lhotse(tmp_path / "in", RECORDING, SUPERVISION)
    (folder / "supervisions.jsonl").unlink()
    (folder / "supervisions.jsonl.gz").write_bytes(gzip.compress(b"{}" * 99)[:-12])
    with pytest.raises(ManifestError, match=r"supervisions\.jsonl\.gz: cannot be read .*; copy it again"):
        convert(folder, tmp_path / "out")
