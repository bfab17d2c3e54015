"""Speaker statistics in recognition: causal, the same under any chunking, refused by a model that cannot use them."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from bimodal import Clip, Recognizer
from bimodal.audio.decode import load_signal
from bimodal.errors import BimodalError
from bimodal.features.speaker_stats import SpeakerStatsStore, load_speaker_stats, measure_stats, save_speaker_stats
from bimodal.inference.check_model import check_graph
from bimodal.inference.speaker_normalization import score_statistics
from bimodal.runtime import make_session
from tests.conftest import FAST


@pytest.fixture(scope="module")
def recognizer(tiny_manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    """A model that was trained with 0 to all earlier clips of a speaker."""
    from bimodal.config import TrainConfig, read_config
    from bimodal.training.train import train

    settings = [*FAST, "threads=1", "speech.speaker_stats=[0, 1, 1000]"]
    config = read_config(TrainConfig(), settings=settings)
    folder = tmp_path_factory.mktemp("baselines")
    return Recognizer(train(tiny_manifest, folder / "run", config, folder / "cache", stages=("speech",)), threads=1)


@pytest.fixture(scope="module")
def clips(tiny_manifest: Path) -> list[Clip]:
    files = sorted((tiny_manifest.parent / "audio").glob("s[01]-*.wav"))
    return [Clip(audio=file, speaker=file.name[:2]) for file in files]


def scores(results) -> np.ndarray:
    """Logarithms, as this small a model is quite sure of everything."""
    return np.log(np.array([list(result.scores.values()) for result in results]) + 1e-37)


def test_any_chunking_gives_the_same(recognizer, clips):
    whole = scores(recognizer.recognize_batch(clips, SpeakerStatsStore()))
    for size in (1, 5):
        known, found = SpeakerStatsStore(), []
        for first in range(0, len(clips), size):
            found += recognizer.recognize_batch(clips[first : first + size], known)
        assert scores(found) == pytest.approx(whole, abs=1e-2)


def test_a_first_clip_is_scored_alone_and_a_later_one_with_the_clips_before(recognizer, clips):
    alone = scores(recognizer.recognize_batch(clips))
    in_turn = scores(recognizer.recognize_batch(clips, SpeakerStatsStore()))
    first = [0, next(row for row, clip in enumerate(clips) if clip.speaker == "s1")]
    assert in_turn[first] == pytest.approx(alone[first], abs=1e-2)
    later = [row for row in range(len(clips)) if row not in first]
    assert np.abs(in_turn[later] - alone[later]).max(axis=1).min() > 5e-2


def test_a_graph_with_other_input_names_gives_the_same(recognizer):
    """Models of earlier versions call the number of clips `heard`."""
    model = onnx.load(recognizer.folder / "speech.onnx")
    for item in [*model.graph.input, *(node for node in model.graph.node)]:
        if isinstance(item, onnx.NodeProto):
            item.input[:] = ["heard" if name == "clip_count" else name for name in item.input]
        elif item.name == "clip_count":
            item.name = "heard"
    assert "heard" in [item.name for item in model.graph.input]
    backbone, pooling = recognizer.model.speech_backbone.description, recognizer.model.pooling
    shape = (3, len(pooling.statistics), len(backbone.layers), backbone.width)
    statistics = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    own = [measure_stats(statistics)] * 3
    session = make_session(model.SerializeToString(), threads=1)
    check_graph("speech", session, recognizer.config, "speech.onnx")
    old = score_statistics(session, True, statistics, own, None)
    new = score_statistics(recognizer.model.session("speech"), True, statistics, own, None)
    assert all((one == other).all() for one, other in zip(old, new, strict=True))


def test_what_comes_later_changes_nothing_before(recognizer, clips):
    whole = scores(recognizer.recognize_batch(clips, SpeakerStatsStore()))
    assert scores(recognizer.recognize_batch(clips[:7], SpeakerStatsStore())) == pytest.approx(whole[:7], abs=1e-2)


def test_a_history_that_was_kept_goes_on(recognizer, clips, tmp_path):
    whole = scores(recognizer.recognize_batch(clips, SpeakerStatsStore()))
    known = SpeakerStatsStore()
    recognizer.recognize_batch(clips[:6], known)
    save_speaker_stats(tmp_path / "ann.safetensors", known)
    rest = recognizer.recognize_batch(clips[6:], load_speaker_stats(tmp_path / "ann.safetensors"))
    assert scores(rest) == pytest.approx(whole[6:], abs=1e-2)


def test_a_clip_is_scored_by_what_came_before_it_and_joins_afterwards(recognizer, clips):
    model = recognizer.model
    encoded = [model.encode(load_signal(clip.audio)) for clip in clips[:3]]
    known = SpeakerStatsStore()
    nothing = [known.of(clip.speaker, one.statistics.shape) for clip, one in zip(clips, encoded, strict=False)]
    alone = model.score(clips[:3], encoded, nothing)
    before = [known.join(clip.speaker, one.statistics) for clip, one in zip(clips, encoded, strict=False)]
    assert before[0].count == 0 and known.of(clips[0].speaker, ()).count == 3
    in_turn = model.score(clips[:3], encoded, before)
    assert in_turn == recognizer.recognize_batch(clips[:3], SpeakerStatsStore())
    assert scores(in_turn)[0] == pytest.approx(scores(alone)[0], abs=1e-6)
    assert np.abs(scores(in_turn)[1:] - scores(alone)[1:]).max() > 5e-2


def test_a_timeline_follows_its_speakers(recognizer, tmp_path):
    import soundfile

    from bimodal.inference.stream import TimelineConfig

    time = np.arange(16_000 * 8) / 16_000
    voice = 0.2 * np.sin(2 * np.pi * 150 * time) * (np.sin(2 * np.pi * 0.5 * time) > 0)
    soundfile.write(tmp_path / "call.wav", np.stack([voice, 0.5 * voice], 1).astype(np.float32), 16_000)
    known = SpeakerStatsStore()
    results = list(
        recognizer.recognize_long(
            tmp_path / "call.wav", config=TimelineConfig(channels="speakers"), speaker_stats=known
        )
    )
    heard = {result.speaker for result in results if not result.abstained}
    assert set(known.speakers) == heard


def test_a_model_that_scores_each_clip_by_itself_refuses_speaker_statistics(tiny_model, clips):
    with pytest.raises(BimodalError, match=r"scores each clip by itself.*speech\.speaker_stats"):
        Recognizer(tiny_model, threads=1).recognize_batch(clips[:1], SpeakerStatsStore())
