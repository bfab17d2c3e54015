"""Why this answer: what is left out is what changes it, voice and words in conflict are told, nothing else changes."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from bimodal import Clip, Recognizer
from bimodal.audio.decode import read_audio
from bimodal.features.ood import load_ood_stats, save_ood_stats
from bimodal.features.pooling import join_frames
from bimodal.inference.explain import divergence_bits, explain, split_words
from bimodal.inference.model_config import ModelConfig
from bimodal.inference.model_folder import CONFIG, OOD_STATS, read_json, save_model_config
from bimodal.output.console import format_result
from bimodal.records import Recognition


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path, tmp_path_factory) -> Recognizer:
    """The tiny model, to which nothing is strange: it takes several tones in a row for speech."""
    folder = tmp_path_factory.mktemp("explaining") / "model"
    shutil.copytree(tiny_model, folder)
    known = load_ood_stats(folder / OOD_STATS)
    save_ood_stats(folder / OOD_STATS, {side: replace(one, threshold=1e9) for side, one in known.items()})
    save_model_config(folder, read_json(folder / CONFIG, ModelConfig))
    return Recognizer(folder, threads=1)


@pytest.fixture(scope="module")
def signals(tiny_manifest: Path) -> dict[str, np.ndarray]:
    folder = tiny_manifest.parent / "audio"
    return {name: read_audio(folder / f"s0-{name}-0.wav")[0] for name in ("anger", "sadness")}


def test_an_explanation_changes_nothing_else(recognizer, signals):
    arguments = {"sampling_rate": 16_000, "transcript": "Stop that at once!"}
    plain = recognizer.recognize(signals["anger"], **arguments)
    explained = recognizer.recognize(signals["anger"], **arguments, explain=True)
    assert plain.explanation is None and replace(explained, explanation=None) == plain
    assert json.loads(json.dumps(explained.to_dict()))["explanation"]["emotion"] == plain.emotion


def test_influence_is_what_the_answer_loses(recognizer, signals):
    voice = np.tile(signals["anger"], 4)
    result = recognizer.recognize(voice, sampling_rate=16_000, transcript="Stop that at once!", explain=True)
    found = result.explanation
    without = recognizer.recognize(voice, sampling_rate=16_000, transcript="that at once!")
    assert found.words[0].text == "Stop" and " ".join(word.text for word in found.words) == result.transcript
    expected = result.scores[result.emotion] - without.scores[result.emotion]
    assert found.words[0].influence == pytest.approx(expected, abs=1e-4)
    alone = recognizer.recognize(transcript="Stop that at once!")
    assert found.voice == pytest.approx(result.scores[result.emotion] - alone.scores[result.emotion], abs=1e-4)
    assert [one.start for one in found.times] == pytest.approx([0.0, 0.5, 1.0, 1.5], abs=0.01)
    assert [one.end for one in found.times[:-1]] == [one.start for one in found.times[1:]]
    assert found.times[-1].end == result.end == 2.0


def test_the_influence_of_a_stretch_is_what_the_pooling_loses_with_its_frames(recognizer, signals):
    voice = np.concatenate([signals["anger"]] * 3 + [signals["sadness"]] * 3)
    found = recognizer.recognize(voice, sampling_rate=16_000, explain=True).explanation
    frames = recognizer.model.encode_frames(voice)
    edges = np.linspace(0, len(frames), len(found.times) + 1).round().astype(int)
    for number, stretch in enumerate(found.times):
        rest = join_frames([frames.slice(0, edges[number]), frames.slice(edges[number + 1], len(frames))])
        score = recognizer.model.score([Clip()], [recognizer.model.pool(rest, 0.0)])[0].scores[found.emotion]
        assert stretch.influence == pytest.approx(found.score - score, abs=1e-4)
    assert max(stretch.influence for stretch in found.times) > 0.005


def test_voice_and_words_in_conflict_are_told(recognizer, signals):
    fitting = recognizer.recognize(signals["anger"], sampling_rate=16_000, transcript="Stop that!", explain=True)
    crossed = recognizer.recognize(signals["anger"], sampling_rate=16_000, transcript="I feel so alone.", explain=True)
    assert not fitting.explanation.contradicts and crossed.explanation.contradicts
    assert fitting.explanation.divergence < crossed.explanation.divergence <= 1
    told = [line for line in crossed.explanation.sentences if "contradict" in line]
    assert len(told) == 1 and "anger" in told[0] and "sadness" in told[0]
    assert any("voice and words" in line and "anger" in line for line in fitting.explanation.sentences)
    assert all(sentence in format_result(crossed, None) for sentence in crossed.explanation.sentences)


def test_one_side_alone_has_neither_conflict_nor_rival(recognizer, signals):
    voice = recognizer.recognize(signals["anger"], sampling_rate=16_000, explain=True).explanation
    words = recognizer.recognize(transcript="Stop", explain=True).explanation
    assert voice.words == () and voice.divergence is None and voice.voice is None and not voice.contradicts
    assert words.times == () and len(words.words) == 1 and words.words[0].influence > 0


def test_silence_has_no_explanation(recognizer):
    silent = recognizer.recognize(np.zeros(16_000, np.float32), sampling_rate=16_000, explain=True)
    assert silent.abstained and silent.explanation is None
    assert explain(recognizer, (), Clip(), silent) is None


def test_a_timeline_explains_its_stretches(recognizer, corpus_data):
    from bimodal.inference.stream import TimelineConfig

    file = corpus_data / "ravdess" / "audio" / "03-01-05-01-01-01-01.flac"
    plain = list(recognizer.recognize_long(file))
    told = list(recognizer.recognize_long(file, config=TimelineConfig(explain=True)))
    assert [replace(one, explanation=None) for one in told] == plain
    for one in told:
        assert one.start == one.explanation.times[0].start and one.end == pytest.approx(one.explanation.times[-1].end)


def test_divergence_is_scipys_squared_distance():
    rng = np.random.default_rng(0)
    for _ in range(20):
        one, other = rng.dirichlet(np.full(5, 0.3), size=2)
        assert divergence_bits(one, other) == pytest.approx(jensenshannon(one, other, base=2) ** 2, abs=1e-9)
    assert divergence_bits([0.0, 1.0], [0.0, 1.0]) == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("我很高兴见到你", list("我很高兴见到你")),
        ("기분이 좋아요", ["기분이", "좋아요"]),
        ("well-known", ["well-known"]),
    ],
)
def test_words_of_any_script(text, words):
    assert split_words(text) == words


def test_a_long_text_is_left_out_by_pieces(recognizer):
    result = recognizer.recognize(transcript="I feel so alone. " * 100, explain=True)
    assert len(result.explanation.words) <= 64
    assert " ".join(word.text for word in result.explanation.words) == result.transcript


def test_the_record_stays_readable_by_those_who_know_no_explanations():
    old = {"emotion": "anger", "scores": {"anger": 1.0}, "speech_scores": None, "text_scores": None, "gate": None}
    assert Recognition(**old).explanation is None and Recognition(**old).warnings == ()
