"""Changes of words: the error rate is jiwer's; other words are another clip's, or another emotion's."""

import jiwer
import numpy as np
import pytest

from bimodal.asr.timed_words import Asr
from bimodal.asr.whisper import Transcription
from bimodal.evaluation.model_tests.words import MAKERS, edit_distance, other_words, recognised_words, split_words
from bimodal.records import Clip

TEXTS = ["Go away!", "I hate this.", "What a day!", "So lovely.", "Go away!"]
CLIPS = [Clip(audio="a.wav", transcript=text) for text in TEXTS]
TARGETS = np.array([0, 0, 1, 1, 1])


@pytest.mark.parametrize("seed", range(5))
def test_the_edit_distance_is_that_of_jiwer(seed):
    rng = np.random.default_rng(seed)
    first, second = (" ".join(rng.choice(list("abcd"), rng.integers(1, 9))) for _ in range(2))
    expected = jiwer.wer(first, second) * len(first.split())
    assert edit_distance(first.split(), second.split()) == pytest.approx(expected)


def test_words_are_compared_without_case_and_punctuation():
    assert split_words("\u201cDon\u2019t\u201d, she SAID \u2013 no.") == ["don't", "she", "said", "no"]
    assert split_words(None) == []


def test_words_of_another_emotion_are_those_that_this_one_never_has():
    found = other_words(CLIPS, TARGETS, np.random.default_rng(0), other_emotion=True)
    assert {TEXTS[place] for place in found[:2]} <= {"What a day!", "So lovely."}
    assert {TEXTS[place] for place in found[2:]} == {"I hate this."}


def test_words_of_another_clip_differ():
    for seed in range(5):
        found = other_words(CLIPS, TARGETS, np.random.default_rng(seed), other_emotion=False)
        assert all(TEXTS[place] != TEXTS[row] for row, place in enumerate(found))


def test_a_corpus_of_fixed_sentences_has_no_words_of_another_emotion():
    clips = [Clip(transcript="The door is open.")] * 6
    told = MAKERS["words of another emotion"](clips, np.arange(6) % 2, np.random.default_rng(0))
    assert told == "only 0 of 6 clips have a fitting clip with other words"


def test_a_missing_modality_leaves_the_other():
    rng = np.random.default_rng(0)
    assert [clip.transcript for clip in MAKERS["words missing"](CLIPS, TARGETS, rng).clips] == [None] * 5
    left = MAKERS["speech missing"](CLIPS, TARGETS, rng).clips
    assert [(clip.audio, clip.transcript) for clip in left] == [(None, text) for text in TEXTS]


def test_recognised_words_replace_the_true_ones_and_the_error_rate_is_told():
    said = iter(["go away", "I hate it", "what a day", "", "go away"])

    def words(signal, language):
        return Transcription(
            text=next(said), language=language or "en", language_probability=1.0, words=(), confidence=0.5
        )

    signal = np.zeros(8000, np.float32)
    changed = recognised_words([(clip, signal, "en") for clip in CLIPS], Asr(words=words))
    assert [clip.transcript for clip in changed.clips] == ["go away", "I hate it", "what a day", None, "go away"]
    assert [clip.transcript_confidence for clip in changed.clips] == [0.5, 0.5, 0.5, None, 0.5]
    assert changed.detail == "word error rate 25.0 %"  # one of three wrong, two of two missing, of twelve
