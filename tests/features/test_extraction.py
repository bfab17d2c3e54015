"""Backbone outputs of utterances are computed once, keyed by all that decides them."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile as sf

from bimodal.audio.decode import load_signal
from bimodal.errors import AudioError
from bimodal.features.augmentation import apply_augmentation
from bimodal.features.backbone import SpeechBackbone, TextBackbone, load_backbone
from bimodal.features.cache import FeatureCache
from bimodal.features.extraction import (
    cache_speech,
    cache_text,
    read_pooled,
    read_statistics,
    speech_key,
)
from bimodal.features.pooling import join_frames, pool_all
from bimodal.records import Utterance


@pytest.fixture(scope="module")
def speech() -> SpeechBackbone:
    return load_backbone("whisper-base-4", threads=1)


@pytest.fixture(scope="module")
def text() -> TextBackbone:
    return load_backbone("minilm-l6", threads=1)


def record(path, seed: int, seconds: float = 0.4) -> None:
    sf.write(path, np.random.default_rng(seed).normal(0, 0.1, int(seconds * 16_000)), 16_000)


def modified_times(cache: FeatureCache) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in cache.folder.iterdir()}


def test_statistics_from_the_cache_are_those_of_the_backbone_in_16_bits(tmp_path, speech):
    record(tmp_path / "a.wav", 0)
    utterances = [Utterance(id="1", path="a.wav"), Utterance(id="2", path="a.wav", start=0.1, end=0.3)]
    cache = FeatureCache(tmp_path / "cache")
    keys = cache_speech(utterances, tmp_path, speech, cache)
    assert keys[0] != keys[1]
    for key, stretch in zip(keys, ({}, {"start": 0.1, "end": 0.3}), strict=True):
        signal = load_signal(tmp_path / "a.wav", **stretch)
        found = read_statistics(FeatureCache(tmp_path / "cache"), key)
        assert found.dtype == np.float16
        assert np.array_equal(found, pool_all(speech.extract(signal)).astype(np.float16))


def test_views_that_are_heard_together_are_one_stretch(tmp_path, speech):
    record(tmp_path / "a.wav", 0)
    cache = FeatureCache(tmp_path / "cache")
    (key,) = cache_speech([Utterance(id="1", path="a.wav")], tmp_path, speech, cache, ("plain", "speed0.9"))
    signal = load_signal(tmp_path / "a.wav")
    both = join_frames([speech.extract(signal), speech.extract(apply_augmentation(signal, "speed0.9"))])
    assert np.array_equal(read_statistics(cache, key), pool_all(both).astype(np.float16))


def test_nothing_is_computed_twice(tmp_path, speech, text, monkeypatch):
    record(tmp_path / "a.wav", 0)
    utterances = [Utterance(id="1", path="a.wav"), Utterance(id="2", path="a.wav")]
    cache = FeatureCache(tmp_path / "cache")
    keys = cache_speech(utterances, tmp_path, speech, cache)
    assert keys[0] == keys[1]
    words = cache_text(["Yes.", None, " yes.\n", "Yes. "], text, cache)
    assert words[1] is None
    assert words[0] == words[3] != words[2]
    assert len(cache) == 3
    before = modified_times(cache)
    monkeypatch.setattr(SpeechBackbone, "extract", None)
    monkeypatch.setattr(TextBackbone, "extract", None)
    again = FeatureCache(tmp_path / "cache")
    assert cache_speech(utterances, tmp_path, speech, again) == keys
    assert cache_text(["Yes."], text, again) == words[:1]
    assert modified_times(again) == before


def test_a_copy_of_a_recording_has_the_same_key_and_a_changed_one_another(tmp_path, speech):
    record(tmp_path / "a.wav", 0)
    (tmp_path / "b.wav").write_bytes((tmp_path / "a.wav").read_bytes())
    first = speech_key(Utterance(id="1", path="a.wav"), tmp_path, speech)
    assert speech_key(Utterance(id="2", path="b.wav"), tmp_path, speech) == first
    record(tmp_path / "a.wav", 1)
    assert speech_key(Utterance(id="1", path="a.wav"), tmp_path, speech) != first
    (tmp_path / "c.wav").write_bytes((tmp_path / "b.wav").read_bytes())
    (tmp_path / "c.wav").replace(tmp_path / "a.wav")
    assert speech_key(Utterance(id="1", path="a.wav"), tmp_path, speech) == first


def test_the_key_names_the_stretch_the_view_and_the_backbone(tmp_path, speech, text):
    record(tmp_path / "a.wav", 0)
    utterance = Utterance(id="1", path="a.wav")
    other = object.__new__(SpeechBackbone)
    other.description = replace(speech.description, layers=(1, 2, 3))
    keys = {
        speech_key(utterance, tmp_path, speech),
        speech_key(replace(utterance, start=0.1), tmp_path, speech),
        speech_key(replace(utterance, end=0.1), tmp_path, speech),
        speech_key(utterance, tmp_path, speech, ("telephone",)),
        speech_key(utterance, tmp_path, speech, ("plain", "telephone")),
        speech_key(utterance, tmp_path, other),
    }
    assert len(keys) == 6


def test_what_was_done_before_a_bad_recording_is_kept(tmp_path, speech):
    record(tmp_path / "a.wav", 0)
    (tmp_path / "b.wav").write_text("no recording")
    utterances = [Utterance(id="1", path="a.wav"), Utterance(id="2", path="b.wav")]
    with pytest.raises(AudioError, match=r"b\.wav: cannot be decoded"):
        cache_speech(utterances, tmp_path, speech, FeatureCache(tmp_path / "cache"))
    assert speech_key(utterances[0], tmp_path, speech) in FeatureCache(tmp_path / "cache")


@pytest.mark.parametrize(("path", "complaint"), [(None, "utterance '1' has no recording"), ("none.wav", "none.wav: ")])
def test_a_missing_recording_is_one_sentence(tmp_path, speech, path, complaint):
    with pytest.raises(AudioError, match=complaint):
        cache_speech([Utterance(id="1", path=path)], tmp_path, speech, FeatureCache(tmp_path / "cache"))


def test_pooled_words_from_the_cache_are_those_of_the_backbone(tmp_path, text):
    words = ["Go away.", "", "What a surprise!", None, "Go  away."]
    cache = FeatureCache(tmp_path)
    keys = cache_text(words, text, cache)
    assert keys[1] is keys[3] is None
    assert keys[0] == keys[4]
    for index in (0, 2):
        assert read_pooled(cache, keys[index]) == pytest.approx(text.extract([words[index]])[0], abs=1e-4)
    assert cache_text([], text, cache) == []
