"""Joined recordings: turns stand where the speech is."""

from itertools import pairwise

import numpy as np
import pytest
import soundfile

from bimodal.audio.decode import SAMPLING_RATE
from bimodal.errors import ConfigError, ManifestError
from bimodal.evaluation.join import JoinConfig, group_clips, join_clips
from bimodal.records import Utterance
from tests.soak.recording import SAMPLES


@pytest.fixture
def clips():
    speech = {"cross": "anger", "conflict": "neutral"}
    return [
        Utterance(id=f"{name}{number}", path=f"{name}.mp3", emotion=emotion, speaker=("Ann", "Bob")[number % 2])
        for number in range(4)
        for name, emotion in speech.items()
    ]


def test_speech_lies_in_the_turns_and_silence_between_them(clips):
    joined = join_clips(clips, SAMPLES, "one", "mix", JoinConfig(), 0)
    (signal,) = joined.signals
    times = [(round(turn.start * SAMPLING_RATE), round(turn.end * SAMPLING_RATE)) for turn in joined.turns]
    inside = np.zeros(len(signal), bool)
    for turn, (start, end) in zip(joined.turns, times, strict=True):
        assert np.abs(signal[start:end]).max() > 0.05
        last = max(one.end for one in joined.turns if one.id == turn.id)  # a clip keeps its own pauses
        inside[max(0, start - SAMPLING_RATE // 10) : round((last + 0.1) * SAMPLING_RATE)] = True
    assert not signal[~inside].any() and (~inside).mean() > 0.1
    assert [turn.emotion for turn in joined.turns if turn.id.startswith("cross")] == ["anger"] * 4
    assert {turn.path for turn in joined.turns} == {"one"} and joined.silent == 0


def test_pauses_lie_between_the_shortest_and_the_longest(clips):
    config = JoinConfig(shortest_pause=0.3, longest_pause=0.9)
    joined = join_clips(clips, SAMPLES, "one", "mix", config, 0)
    pauses = [other.start - one.end for one, other in pairwise(joined.turns) if one.id != other.id]
    assert 0.299 < min(pauses) < max(pauses) < 0.901 and len(pauses) == len(clips) - 1


def test_each_speaker_has_a_channel_and_two_may_speak_at_once(clips):
    joined = join_clips(clips, SAMPLES, "one", "speakers", JoinConfig(shortest_pause=0.0, longest_pause=0.1), 0)
    assert len(joined.signals) == 2 and {turn.speaker for turn in joined.turns} == {"channel 1", "channel 2"}
    spoken = {turn.id: turn.speaker for turn in joined.turns}
    assert all(spoken[clip.id] == ("channel 1" if clip.speaker == "Ann" else "channel 2") for clip in clips)
    changes = [other.start - one.end for one, other in pairwise(joined.turns) if one.speaker != other.speaker]
    assert min(changes) < 0 and min(changes) > -0.51


def test_the_same_seed_gives_the_same_recording_and_another_one_another(clips):
    one, same, other = (join_clips(clips, SAMPLES, "one", "mix", JoinConfig(seed=seed), 0) for seed in (1, 1, 2))
    assert np.array_equal(one.signals[0], same.signals[0]) and one.turns == same.turns
    assert [turn.start for turn in one.turns] != [turn.start for turn in other.turns]


def test_a_speaker_is_in_one_recording_with_all_clips():
    clips = [Utterance(id=str(number), speaker=f"s{number % 7}") for number in range(70)]
    groups = group_clips(clips, JoinConfig())
    assert sorted(clip.id for group in groups for clip in group) == sorted(clip.id for clip in clips)
    speakers = [{clip.speaker for clip in group} for group in groups]
    assert sorted(map(len, speakers)) == [1, 2, 2, 2] and len(set.union(*speakers)) == 7


def test_clips_without_speakers_are_forty_a_recording():
    clips = [Utterance(id=str(number)) for number in range(90)]
    assert [len(group) for group in group_clips(clips, JoinConfig())] == [40, 40, 10]


def test_clips_without_speech_are_left_out_and_counted(tmp_path, clips):
    soundfile.write(tmp_path / "silence.wav", np.zeros(16_000), 16_000)
    (tmp_path / "cross.mp3").write_bytes((SAMPLES / "cross.mp3").read_bytes())
    silent = Utterance(id="s", path="silence.wav", emotion="anger")
    assert join_clips([silent, clips[0]], tmp_path, "one", "mix", JoinConfig(), 0).silent == 1
    with pytest.raises(ManifestError, match="one: no clip has speech, such as 's'"):
        join_clips([silent], tmp_path, "one", "mix", JoinConfig(), 0)


def test_a_channel_for_each_speaker_needs_speakers(clips):
    nobody = Utterance(id="x", path="cross.mp3", emotion="anger")
    with pytest.raises(ManifestError, match="clip 'x' has no speaker; --channels speakers needs"):
        join_clips([*clips, nobody], SAMPLES, "one", "speakers", JoinConfig(), 0)


@pytest.mark.parametrize("wrong", [{"speakers": 0}, {"shortest_pause": 3.0}, {"longest_pause": 1e9}, {"overlap": -1.0}])
def test_settings_that_contradict_one_another_are_refused(wrong):
    with pytest.raises(ConfigError, match="expected"):
        JoinConfig(**wrong)
