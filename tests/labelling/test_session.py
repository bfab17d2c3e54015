"""A session over real speech: what comes next, the head, models, other programs."""

import json
import threading
import time

import numpy as np
import pytest

from bimodal.arrays import softmax
from bimodal.data.manifest import read_manifest
from bimodal.errors import LabellingError
from bimodal.inference.recognizer import Recognizer
from bimodal.labelling.export import export_model_of, fit_labelled_model
from bimodal.labelling.features import ClipFeatures
from bimodal.labelling.records import Label
from bimodal.labelling.session import Session, SessionOptions
from bimodal.labelling.store import Store
from tests.labelling.conftest import EMOTIONS, truth


def label_next(session, rater, count, answer=truth):
    """Label as the page does; the clips that were shown."""
    shown, before = [], len(session.store.labels_of(rater))
    for number in range(before, before + count):
        clip = session.next_clips(rater, 1)[0]
        at = f"2026-01-01T00:{number // 60:02d}:{number % 60:02d}+00:00"
        session.label(rater, Label(clip=clip.id, answer=answer(clip.id), at=at))
        shown.append(clip)
    return shown


def test_every_clip_comes_once_and_test_clips_come_among_the_others(session):
    shown = label_next(session, "anna", 80)
    assert len({clip.id for clip in shown}) == 80
    assert session.next_clips("anna") == []
    places = [number for number, clip in enumerate(shown) if clip.part == "test"]
    assert len(places) == 20  # as many as a figure needs
    assert [place // 5 for place in places[:15]] == list(range(15))  # one of each five, until the others end
    assert len({place % 5 for place in places}) > 1


def test_a_rater_continues_where_they_were(session, folder, model):
    label_next(session, "anna", 7)
    again = Session(folder, Store(session.store.folder), model)
    assert [clip.id for clip in again.next_clips("anna", 3)] == [clip.id for clip in session.next_clips("anna", 3)]
    assert len({clip.id for clip in label_next(again, "anna", 73)} | {*session.store.labels_of("anna")}) == 80


def test_two_raters_get_different_training_clips_and_the_same_test_clips(session):
    one, two = label_next(session, "anna", 30), label_next(session, "bob", 30)
    parts = [
        {part: {clip.id for clip in shown if clip.part == part} for part in ("train", "test")} for shown in (one, two)
    ]
    assert parts[0]["test"] == parts[1]["test"]
    assert not parts[0]["train"] & parts[1]["train"]


def test_a_clip_that_one_rater_has_on_the_screen_is_not_shown_to_another(session):
    first = [clip.id for clip in session.next_clips("anna", 3) if clip.part == "train"]
    second = [clip.id for clip in session.next_clips("bob", 10) if clip.part == "train"]
    assert not {*first} & {*second}


def test_with_two_votes_wanted_every_clip_is_shown_to_two_raters(folder, model, session):
    both = Session(folder, session.store, model, SessionOptions(votes=2))
    first, second = label_next(both, "anna", 20), label_next(both, "bob", 20)
    shared = {clip.id for clip in first} & {clip.id for clip in second}
    assert len(shared) >= 19


def test_a_recording_that_vanished_is_passed_over_and_named(session, folder):
    gone = session.next_clips("anna", 1)[0]
    (folder / gone.path).unlink()
    assert session.next_clips("anna", 1)[0].id != gone.id
    assert session.status()["problems"] == [f"{gone.path}: the recording is gone; put it back, or leave it out"]


def test_blind_mode_shows_no_guess(session, folder, model):
    label_next(session, "anna", 20)
    session.refit()
    clip = session.next_clips("anna", 1)[0]
    assert session.guess(clip) is None
    seen = Session(folder, session.store, model, SessionOptions(show_guess=True))
    seen.refit()
    assert sum(seen.guess(clip).values()) == pytest.approx(1, abs=1e-3)


def test_labels_make_the_head_better_and_test_clips_never_train_it(session):
    before = session.refit()
    assert before.labels == 0
    label_next(session, "anna", 80)
    after = session.refit()
    assert after.labels == 60  # 80 without the 20 test clips
    tests = [clip for clip in session.store.clips if clip.part == "test"]
    wrong = {clip.id: EMOTIONS[(EMOTIONS.index(truth(clip.id)) + 1) % 4] for clip in tests}
    for name, answer in wrong.items():
        session.label("anna", Label(clip=name, answer=answer))
    again = session.refit()
    assert np.array_equal(again.head.weight, after.head.weight)


def test_heads_of_the_same_labels_are_used_again_and_others_fitted(session, folder, model):
    shown = [clip.id for clip in label_next(session, "anna", 40) if clip.part == "train"]
    first = session.refit()
    label_next(session, "anna", 10)
    second = session.refit()
    assert all(second.fitted[name] is head for name, head in first.fitted.items() if name in second.fitted)
    assert len(first.fitted.keys() & second.fitted.keys()) == 2  # of 0 and of 20 labels
    fresh = Session(folder, session.store, model).refit()
    assert fresh.fitted.keys() == second.fitted.keys()
    assert np.array_equal(fresh.head.weight, second.head.weight)
    session.label("anna", Label(clip=shown[0], answer=EMOTIONS[(EMOTIONS.index(truth(shown[0])) + 1) % 4]))
    changed = session.refit()
    assert len(second.fitted.keys() & changed.fitted.keys()) == 1  # of 0 labels
    assert not np.array_equal(changed.head.weight, second.head.weight)


def test_the_next_clips_are_those_that_the_order_picks(session):
    label_next(session, "anna", 25)
    session.refit()
    ranked = session._state.ranked
    shown = [clip.id for clip in session.next_clips("anna", 8) if clip.part == "train"]
    assert shown == list(ranked[: len(shown)])


def test_the_page_never_waits_for_the_head(session):
    """While the head is fitted, again and again, a label is stored and the next clip known within 100 ms."""
    stop, fits = threading.Event(), []

    def fit():
        while not stop.is_set():
            session.refit()
            fits.append(1)

    label_next(session, "anna", 20)
    thread = threading.Thread(target=fit)
    thread.start()
    times = []
    for _ in range(30):
        begun = time.perf_counter()
        label_next(session, "anna", 1)
        times.append(time.perf_counter() - begun)
        time.sleep(0.02)
    stop.set()
    thread.join()
    assert fits
    assert np.median(times) < 0.1


def test_work_in_the_background_fits_after_twenty_labels(session):
    session.start()
    try:
        label_next(session, "anna", 25)
        end = time.monotonic() + 60
        while time.monotonic() < end and (session.learned is None or session.learned.labels < 15):
            time.sleep(0.1)
    finally:
        session.stop()
    assert session.learned.labels >= 15
    assert session.status("anna")["learning"]["labels"] == session.learned.labels


def test_features_are_read_again_and_a_replaced_recording_is_encoded_again(session, folder, model):
    clip = session.store.clips[0]
    again = ClipFeatures(session.store.folder, folder, model)
    assert len(again) == 80
    assert np.allclose(again.of(clip.id), session.features.of(clip.id))
    other = folder / session.store.clips[50].path
    (folder / clip.path).write_bytes(other.read_bytes())
    assert [one.id for one in again.extract(session.store.clips)] == [clip.id]
    assert np.abs(again.of(clip.id) - session.features.of(clip.id)).max() > 0.1
    assert [*ClipFeatures(session.store.folder, folder, model).extract(session.store.clips)] == []


def test_a_damaged_file_of_features_is_made_again(session, folder, model):
    file = sorted(session.store.folder.glob("features/*/*.safetensors"))[0]
    file.write_bytes(b"nothing")
    again = ClipFeatures(session.store.folder, folder, model)
    assert len(again) < 80
    assert len([*again.extract(session.store.clips)]) == 80 - len(session.features) + 64


def test_an_exported_model_gives_the_scores_of_the_page(session, tmp_path):
    label_next(session, "anna", 60)
    out = export_model_of(session, tmp_path / "model")
    recognizer = Recognizer(out, threads=1)
    assert recognizer.config.emotions == EMOTIONS
    clips = session.store.clips[::8]
    for clip in clips:
        statistics = session.features.of(clip.id)[None]
        logits = recognizer.model.session("speech").run(None, {"statistics": statistics})[1][0]
        scores = softmax(logits, recognizer.config.speech.temperature)
        assert scores == pytest.approx([session.scores(clip)[name] for name in EMOTIONS], abs=2e-3)
    answers = [recognizer.recognize(session.recordings / clip.path).emotion for clip in clips]
    assert np.mean([answer == truth(clip.id) for answer, clip in zip(answers, clips, strict=True)]) >= 0.8
    card = (out / "README.md").read_text()
    assert "fitted to" in card and "Of a random tenth" in card
    with pytest.raises(Exception, match="exists already"):
        export_model_of(session, out)


def test_a_model_with_the_packaged_vocabulary_keeps_its_words(folder, model, tmp_path):
    from bimodal.labelling.open import open_labels

    store = open_labels(folder, tmp_path / "labels", model=model).store
    session = Session(folder, store, model)
    for _ in session.features.extract(store.clips):
        pass
    label_next(session, "anna", 30)
    recognizer = Recognizer(export_model_of(session), threads=1)
    assert recognizer.config.text is not None
    found = recognizer.recognize(folder / store.clips[0].path, transcript="I am so happy, this is wonderful!")
    assert found.text_scores is not None and found.gate is not None


def test_few_labels_make_no_model(session):
    label_next(session, "anna", 5)
    with pytest.raises(LabellingError, match="at least 10 are needed"):
        export_model_of(session)
    assert not [*session.store.folder.glob("model-*")]


def test_adapt_learns_from_the_labels_of_a_manifest(session, tmp_path):
    from bimodal.labelling.exchange import export_labels

    label_next(session, "anna", 60)
    export_labels(session.recordings, session.store, session.recordings / "labels.csv")
    rows = read_manifest(session.recordings / "labels.csv").utterances
    assert {row.split for row in rows} == {"train", "test"}
    out = fit_labelled_model(session.model.folder, session.recordings / "labels.csv", tmp_path / "fitted", threads=1)
    config = json.loads((out / "config.json").read_text())
    assert config["name"] == "permissive-labelled"
    assert Recognizer(out, threads=1).recognize(session.recordings / rows[0].path).emotion is not None
