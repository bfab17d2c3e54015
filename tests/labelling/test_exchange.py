"""Labels to and from other programs."""

import csv
import json

import pytest

from bimodal.data.manifest import read_manifest
from bimodal.errors import LabellingError, ManifestError
from bimodal.labelling.exchange import export_labels, import_labels, labelled_rows
from bimodal.labelling.records import Label
from bimodal.labelling.store import Store
from tests.labelling.conftest import truth


@pytest.fixture
def labelled(session):
    """Two raters who disagree on one clip; a clip that nobody can tell."""
    for number, clip in enumerate(session.store.clips[:6]):
        answer = "unsure" if number == 5 else truth(clip.id)
        session.store.add("anna", Label(clip=clip.id, answer=answer, intensity=3, note="a note" if number == 0 else ""))
    session.store.add("bob", Label(clip=session.store.clips[0].id, answer="sadness", intensity=5))
    return session


def answers(store, rater):
    return {name: label.answer for name, label in store.labels_of(rater).items()}


def test_rows_hold_all_votes_of_a_clip(labelled):
    first = labelled_rows(labelled.store)[0]
    assert first.emotion.split("|") == [truth(first.id), "sadness"]
    assert first.extra == {"raters": "anna|bob", "intensity": "4", "notes": "a note"}
    assert len(labelled_rows(labelled.store)) == 5


@pytest.mark.parametrize("to", ["label_studio", "manifest", "audformat", "audiofolder"])
def test_labels_survive_a_round_trip_through_other_formats(labelled, tmp_path, to):
    done = export_labels(labelled.recordings, labelled.store, tmp_path / "out", to)
    assert done.utterances == 5
    assert any("1 clips have no emotion" in one for one in done.lost)
    files = {rater: labelled.store.file_of(rater) for rater in labelled.store.raters()}
    before = {
        clip: {answers(labelled.store, rater).get(clip) for rater in files} for clip in answers(labelled.store, "anna")
    }
    for file in files.values():
        file.unlink()
    store = Store(labelled.store.folder)
    found = import_labels(labelled.recordings, store, tmp_path / "out", "again")
    assert found.unmatched == 0
    assert found.raters[0] == "again"
    for clip, given in before.items():
        again = {answers(store, rater).get(clip) for rater in store.raters()} - {None}
        wanted = given - {None, "unsure"}
        assert again == wanted or (to == "audiofolder" and again <= wanted)


def test_a_csv_lies_beside_the_recordings(labelled, tmp_path):
    export_labels(labelled.recordings, labelled.store, labelled.recordings / "labels.csv")
    assert len(read_manifest(labelled.recordings / "labels.csv").utterances) == 5
    with pytest.raises(LabellingError, match="recordings lie below its folder"):
        other = tmp_path / "elsewhere"
        other.mkdir()
        export_labels(labelled.recordings, labelled.store, other / "labels.csv")


def test_a_label_of_another_program_outside_the_vocabulary_imports_nothing(labelled, tmp_path):
    names = [clip.path for clip in labelled.store.clips[:3]]
    with (labelled.recordings / "theirs.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(
            [["path", "emotion"], [names[0], "angry"], [names[1], "boredom"], [names[2], "zeal"]]
        )
    with pytest.raises(LabellingError, match=r"2 labels are outside the vocabulary \(boredom, zeal\)") as error:
        import_labels(labelled.recordings, labelled.store, labelled.recordings / "theirs.csv", "they")
    assert "\n" not in str(error.value)
    assert "they" not in labelled.store.raters()


def test_synonyms_are_understood_and_strangers_counted(labelled):
    name = labelled.store.clips[7].path
    (labelled.recordings / "theirs.jsonl").write_text(
        json.dumps({"path": name, "emotion": "angry|Happy"})
        + "\n"
        + json.dumps({"path": name, "start": 0.1, "end": 0.5, "emotion": "sad"})
    )
    found = import_labels(labelled.recordings, labelled.store, labelled.recordings / "theirs.jsonl", "they")
    assert (found.labels, found.raters, found.unmatched) == (2, ("they", "they 2"), 1)
    assert answers(labelled.store, "they 2") == {labelled.store.clips[7].id: "happiness"}


def test_nothing_to_export_and_nothing_to_import_are_told(session, tmp_path):
    with pytest.raises(LabellingError, match="no clip has an emotion yet"):
        export_labels(session.recordings, session.store, tmp_path / "out")
    with pytest.raises(LabellingError, match="no such file"):
        import_labels(session.recordings, session.store, tmp_path / "none.csv", "they")
    with pytest.raises(ManifestError, match="unknown format"):
        import_labels(session.recordings, session.store, tmp_path, "they", read_as="xml")


def test_labels_of_a_recording_that_vanished_are_left_out_and_named(labelled, tmp_path):
    gone = labelled.store.clips[1]
    (labelled.recordings / gone.path).unlink()
    done = export_labels(labelled.recordings, labelled.store, tmp_path / "out")
    assert done.utterances == 4
    assert any(gone.path in one for one in done.lost)
