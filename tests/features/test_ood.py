"""How unlike the training data an input is: the threshold is that of held-out groups, and models keep it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import bimodal
from bimodal import Clip, Recognizer
from bimodal.audio.decode import load_signal
from bimodal.errors import ModelFolderError
from bimodal.features.ood import (
    fit_ood_stats,
    load_ood_stats,
    ood_score,
    save_ood_stats,
    temperature_factor,
)
from bimodal.features.pooling import pool
from bimodal.runtime import make_session


def test_the_threshold_keeps_nearly_all_of_new_draws_and_none_of_another_kind():
    rng = np.random.default_rng(0)
    known = fit_ood_stats(rng.normal(3.0, 2.0, size=(500, 2, 20)), np.arange(500) % 5)
    fresh, far = rng.normal(3.0, 2.0, size=(500, 2, 20)), rng.normal(12.0, 2.0, size=(500, 2, 20))
    assert 0.97 <= (ood_score(fresh, known) <= 1).mean() < 1
    assert (ood_score(far, known) > 1).all()


def test_the_farther_the_less_sure_and_half_of_the_training_data_not_at_all():
    rng = np.random.default_rng(0)
    known = fit_ood_stats(rng.normal(size=(500, 20)), np.arange(500) % 5)
    fresh, far = rng.normal(size=(500, 20)), rng.normal(4.0, 1.0, size=(500, 20))
    near, away = (temperature_factor(ood_score(values, known), known) for values in (fresh, far))
    assert 0.4 < (near == 1).mean() < 0.6 and near.max() < 5 < away.min()
    assert temperature_factor(np.array([np.nan]), known).tolist() == [1.0]


def test_the_parts_are_measured_against_the_others():
    """One odd speaker widens the threshold only where they are held out of what they are measured by."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200, 10))
    values[:20] += 50.0
    held_out = fit_ood_stats(values, (np.arange(200) >= 20).astype(int))
    together = fit_ood_stats(values, np.zeros(200, int))
    assert held_out.threshold > 5 * together.threshold


def test_what_is_saved_is_loaded(tmp_path):
    known = fit_ood_stats(np.random.default_rng(0).normal(size=(50, 2, 3)), np.arange(50) % 5)
    save_ood_stats(tmp_path / "a.safetensors", {"speech": known})
    loaded = load_ood_stats(tmp_path / "a.safetensors")
    assert list(loaded) == ["speech"] and loaded["speech"].threshold == pytest.approx(known.threshold)
    assert loaded["speech"].typical == pytest.approx(known.typical)
    assert np.array_equal(loaded["speech"].mean, known.mean)
    (tmp_path / "a.safetensors").write_bytes(b"12345678")
    with pytest.raises(ModelFolderError, match="damaged"):
        load_ood_stats(tmp_path / "a.safetensors")


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> Recognizer:
    return Recognizer(tiny_model, threads=1)


def test_a_model_knows_its_training_data_and_warns_of_the_rest(recognizer, tiny_manifest):
    files = sorted((tiny_manifest.parent / "audio").glob("s[1-4]-*.wav"))
    own = recognizer.recognize_batch([Clip(audio=file, transcript="I feel so alone.") for file in files])
    assert sum(any("training data" in warning for warning in one.warnings) for one in own) <= len(own) // 5
    noise = np.random.default_rng(0).normal(size=16_000).astype(np.float32)
    assert recognizer.recognize(noise, sampling_rate=16_000).abstained
    spoken = recognizer.recognize(Path(bimodal.__file__).parent / "service" / "static" / "samples" / "cross.mp3")
    (warning,) = [one for one in spoken.warnings if "training data" in one]
    assert warning.startswith("the voice is ")
    words = recognizer.recognize(transcript="Quarterly revenue of the semiconductor division rose by 12.4 %, see § 7.")
    assert any(warning.startswith("the words are ") for warning in words.warnings)


def test_a_voice_unlike_the_training_data_is_judged_less_surely_and_no_otherwise(recognizer, tiny_model, tiny_manifest):
    own = tiny_manifest.parent / "audio" / "s1-anger-0.wav"
    far = Path(bimodal.__file__).parent / "service" / "static" / "samples" / "cross.mp3"
    session = make_session(tiny_model / "speech.onnx", threads=1)
    factors = []
    for file in (own, far):
        found = recognizer.extract([Clip(audio=file)])
        frames = recognizer.model.encode_frames(load_signal(file))
        logits = session.run(None, {"statistics": pool(frames, recognizer.model.pooling)[None]})[1]
        factors.append(logits / found.speech.logits)
        assert factors[-1] == pytest.approx(np.full_like(logits, factors[-1][0, 0]), rel=1e-3)
    assert factors[0].max() < factors[1].min()


@pytest.mark.parametrize(
    "words",
    ["오늘 정말 기분이 좋아요", "Я очень рад тебя видеть", "我很高兴见到你", "Der Lappen liegt auf dem Eisschrank."],
)
def test_words_in_another_language_give_a_warning(recognizer, words):
    assert any("another language" in one for one in recognizer.recognize(transcript=words).warnings)
    (known,) = recognizer.recognize_batch([Clip(transcript=words, language="xx")])
    assert any("are in 'xx', the model reads en" in one for one in known.warnings)


def test_english_gives_no_warning_about_its_language(recognizer):
    for words in ("I can't believe you did this to me!", "Well.", "Kids are talking by the door"):
        results = recognizer.recognize_batch([Clip(transcript=words), Clip(transcript=words, language="en")])
        assert not any("language" in one or "words are in" in one for result in results for one in result.warnings)


def test_a_model_says_how_fast_its_confidence_falls_with_distance_and_keeps_it(tmp_path):
    known = fit_ood_stats(np.random.default_rng(0).normal(size=(40, 8)), np.arange(40) % 4)
    never = replace(known, exponent=0.0)
    far = np.array([0.5, 4.0])
    assert temperature_factor(far, never).tolist() == [1.0, 1.0]
    save_ood_stats(tmp_path / "ood.safetensors", {"speech": never, "text": known})
    read = load_ood_stats(tmp_path / "ood.safetensors")
    assert (read["speech"].exponent, read["text"].exponent) == (0.0, 3.0)
    flat = {name: array for name, array in load_file(tmp_path / "ood.safetensors").items() if "exponent" not in name}
    save_file(flat, tmp_path / "older.safetensors")
    assert load_ood_stats(tmp_path / "older.safetensors")["speech"].exponent == 3.0
