"""What words may do to the voice in the packaged model: the promises of its card, on the model itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bimodal.errors import BimodalError
from bimodal.inference.model import Model
from bimodal.inference.outputs import Encoded
from bimodal.records import Clip, Recognition

FOLDERS = {
    "permissive": "models/src/bimodal_models/permissive",
    "research": "models-research/src/bimodal_models_research/research",
}
SENTENCES = (
    "The meeting is at three.",
    "Kids are talking by the door.",
    "I told you to stop that!",
    "I am so happy for you!",
    "She died last week and I miss her.",
    "I wonder what this is about.",
    "That is disgusting.",
)
search = settings(max_examples=25, deadline=None)
voices, confidences = st.integers(0, 30), st.floats(0, 1, width=32)


@pytest.fixture(scope="module", params=FOLDERS)
def model(request) -> Model:
    return Model(Path(__file__).parents[2] / FOLDERS[request.param], threads=1)


def spoken(model: Model, seed: int) -> Encoded:
    """Speech like that of the training data, drawn at random."""
    known, rng = model.ood_stats["speech"], np.random.default_rng(seed)
    return Encoded(duration=2.0, statistics=(known.mean + known.std * rng.normal(size=known.mean.shape)).astype("f"))


def answer(model: Model, voice: Encoded, words: str | None, confidence: float | None = None) -> Recognition:
    (found,) = model.score([Clip(transcript=words, transcript_confidence=confidence)], [voice])
    return found


def scores(found: Any) -> np.ndarray:
    return np.array(list(found.values()))


@given(voices, st.sampled_from(SENTENCES))
@search
def test_words_of_confidence_0_blank_words_and_no_words_are_the_same(model, seed, words):
    voice = spoken(model, seed)
    absent = answer(model, voice, None)
    assert answer(model, voice, words, 0.0).scores == absent.scores
    assert answer(model, voice, "  ").scores == absent.scores
    assert absent.scores == pytest.approx(dict.fromkeys(model.emotions, 0.0) | absent.speech_scores, abs=1e-5)
    assert answer(model, voice, words, 0.0).gate == 1.0


@given(voices, st.sampled_from(SENTENCES), confidences, confidences)
@search
def test_scores_move_monotonically_and_continuously_with_confidence(model, seed, words, one, other):
    voice, between = spoken(model, seed), sorted([one, other])
    ends = [scores(answer(model, voice, words, share).scores) for share in (0.0, *between, 1.0)]
    steps = np.diff(ends, axis=0)
    assert (steps[0] * steps[1] >= -1e-9).all() and (steps[1] * steps[2] >= -1e-9).all()
    assert np.abs(steps[1]).max() <= 3 * (between[1] - between[0]) + 1e-5


@given(voices, st.sampled_from(SENTENCES), confidences)
@search
def test_the_answer_is_the_first_or_second_of_a_modality_and_that_of_both_where_they_agree(model, seed, words, share):
    found = answer(model, spoken(model, seed), words, share)
    ranked = [sorted(one, key=one.get, reverse=True) for one in (found.speech_scores, found.text_scores)]
    assert found.emotion in {*ranked[0][:2], *ranked[1][:2]}
    assert ranked[0][0] != ranked[1][0] or found.emotion == ranked[0][0]


@given(voices, confidences)
@search
def test_plain_words_move_the_odds_of_two_emotions_by_2_percent_at_most(model, seed, share):
    """1 / m with m = .98. Of emotions that both know."""
    voice = spoken(model, seed)
    found = answer(model, voice, "The meeting is at three.", share)
    both = [name for name in found.speech_scores if found.speech_scores[name] > 1e-6]
    moved = [np.log(found.scores[name]) - np.log(found.speech_scores[name]) for name in both]
    assert max(moved) - min(moved) <= -np.log(0.98) + 1e-3


def test_clear_words_can_still_change_the_answer(model):
    """Otherwise all of the above would hold for a fusion that ignores the words."""
    changed = [
        answer(model, spoken(model, seed), words).emotion != answer(model, spoken(model, seed), None).emotion
        for seed in range(20)
        for words in ("I told you to stop that, I hate you!", "I am so happy for you!")
    ]
    assert sum(changed) >= 3


def test_words_alone_pass_through(model):
    found = answer(model, Encoded(), "I am so happy for you!")
    assert found.scores == pytest.approx(found.text_scores, abs=1e-5) and found.emotion == "happiness"


def test_nothing_at_all_is_refused(model):
    with pytest.raises(BimodalError, match="nothing to recognise"):
        answer(model, Encoded(), " ")
