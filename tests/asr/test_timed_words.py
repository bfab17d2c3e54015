"""Words by time: packed for one hearing and put back, weighed by their confidence, and read with what came before."""

import itertools
import math
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bimodal import Clip, Recognizer, Turn
from bimodal.asr.timed_words import Asr, Conversation, SegmentTranscriber, TimedWords, clip_words, make_asr
from bimodal.asr.whisper import Transcriber, Transcription, Word
from bimodal.audio.decode import load_signal
from bimodal.audio.segmentation import Segment, segment_audio
from bimodal.errors import AudioError
from bimodal.inference.stream import TimelineConfig

RATE = 16_000


def tones(starts: Sequence[float], seconds: float) -> list[Segment]:
    """Segments whose samples all say when they begin, in thousandths."""
    return [
        Segment(start=start, end=start + seconds, signal=np.full(int(seconds * RATE), start / 1000, np.float32))
        for start in starts
    ]


def hear_levels(signal: np.ndarray, language: str | None) -> Transcription:
    """A recogniser that hears one word of half a second for each level: real arithmetic on the signal, no network."""
    borders = np.flatnonzero(np.diff(signal, prepend=0.0))
    words = [
        Word(text=f"{1000 * signal[at]:.0f}", start=at / RATE, end=at / RATE + 0.5, probability=0.5)
        for at in borders if signal[at] > 0
    ]  # fmt: skip
    return Transcription(
        text="", language=language or "ko", language_probability=0.9, words=tuple(words), confidence=0.5
    )


def test_segments_share_hearings_of_half_a_minute_and_get_their_own_words_back():
    heard: list[int] = []
    asked: list[str | None] = []

    def asr(signal: np.ndarray, language: str | None) -> Transcription:
        heard.append(len(signal))
        asked.append(language)
        return hear_levels(signal, language)

    segments = tones([1, 11, 30, 41, 55, 80], 8.0)
    found = list(SegmentTranscriber(Asr(words=asr)).listen(segments))
    assert [round(length / RATE) for length in heard] == [25, 25] and asked == [None, "ko"]
    for segment, (same, words) in zip(segments, found, strict=True):
        assert same is segment
        assert [(word.transcript, word.language) for word in words] == [(f"{segment.start:.0f}", "ko")]
        assert words[0].start == pytest.approx(segment.start, abs=0.01)
        assert words[0].end == pytest.approx(segment.start + 0.5, abs=0.01)


def test_speech_that_was_cut_because_it_lasted_is_heard_without_a_gap():
    heard: list[int] = []

    def asr(signal: np.ndarray, language: str | None) -> Transcription:
        heard.append(len(signal))
        return hear_levels(signal, language)

    found = list(SegmentTranscriber(Asr(words=asr)).listen(tones([1, 5, 9, 13.25], 4.0)))
    assert [length / RATE for length in heard] == [16.25]  # as much silence as there was, where it was short
    assert [[word.transcript for word in words] for _, words in found] == [["1"], ["5"], ["9"], ["13"]]
    assert [words[0].start for _, words in found] == pytest.approx([1, 5, 9, 13.25], abs=0.01)


def test_several_hearings_at_once_give_the_same_in_the_same_order():
    segments = tones(range(1, 240, 10), 8.0)
    together, running = threading.Barrier(3, timeout=30), itertools.count()

    def asr(signal: np.ndarray, language: str | None) -> Transcription:
        if 0 < next(running) < 7:  # the first hearing tells the language, alone; then three at a time
            together.wait()
        return hear_levels(signal, language)

    alone = list(SegmentTranscriber(Asr(words=hear_levels)).listen(segments))
    found = list(SegmentTranscriber(Asr(words=asr, at_once=3)).listen(segments))
    assert found == alone and len(found) == 24 and next(running) == 8
    assert {word.language for _, words in found for word in words} == {"ko"}


def test_what_is_known_is_not_heard_again_unless_it_shares_a_hearing():
    segments = tones([1, 11, 30, 41, 55, 80], 8.0)
    found = list(SegmentTranscriber(Asr(words=hear_levels), "en", known_until=49.0).listen(segments))
    assert [words[0].transcript if words else "" for _, words in found] == ["", "", "", "41", "55", "80"]
    assert [segment for segment, _ in found] == segments


def test_a_language_that_was_detected_in_what_is_known_is_that_of_the_rest():
    asked: list[str | None] = []

    def asr(signal: np.ndarray, language: str | None) -> Transcription:
        asked.append(language)
        return hear_levels(signal, language or ("ko" if len(asked) == 1 else "de"))

    segments = tones([1, 11, 30, 41, 55, 80], 8.0)
    whole = list(SegmentTranscriber(Asr(words=asr)).listen(segments))
    asked.clear()
    rest = list(SegmentTranscriber(Asr(words=asr), known_until=49.0).listen(segments))
    assert asked == [None, "ko"] and rest[3:] == whole[3:]


def test_what_was_whole_is_heard_before_a_late_damage_is_told():
    def damaged():
        yield from tones([1, 11], 3.0)
        raise AudioError("damaged")

    found = []
    with pytest.raises(AudioError, match="damaged"):
        for segment, words in SegmentTranscriber(Asr(words=hear_levels)).listen(damaged()):
            found.append((segment.start, words[0].transcript))
    assert found == [(1, "1"), (11, "11")]


def test_words_of_a_loop_are_not_trusted():
    def loop(signal: np.ndarray, language: str | None) -> Transcription:
        word = Word(text="no", start=0.1, end=0.2, probability=0.99)
        return Transcription(text="no", language="en", language_probability=1.0, words=(word,) * 9, confidence=0.0)

    ((_, words),) = SegmentTranscriber(Asr(words=loop)).listen(tones([1], 2.0))
    assert clip_words(words)["transcript_confidence"] == 0


def test_a_conversation_keeps_the_last_turns_of_all_who_speak():
    talk = Conversation(2)
    talk.add([TimedWords(start=0, end=1, transcript="one"), TimedWords(start=1, end=2, transcript="more")], "ann")
    talk.add(
        [
            TimedWords(start=2, end=3, transcript="a", speaker="x"),
            TimedWords(start=3, end=4, transcript="b", speaker="y"),
        ],
        None,
    )
    assert talk.before([TimedWords(start=4, end=5, transcript="c")], "ann") == (
        Turn(transcript="a", speaker="x"), Turn(transcript="b", speaker="y"), Turn(transcript="c", speaker="ann"),
    )  # fmt: skip
    silent = Conversation(0)
    silent.add([TimedWords(start=0, end=1, transcript="one")], "ann")
    assert silent.before([TimedWords(start=4, end=5, transcript="c")], "ann") == ()


@pytest.fixture(scope="module")
def reader(tiny_manifest, tmp_path_factory) -> Recognizer:
    """The tiny model, but its text side reads three utterances before each one."""
    from bimodal.config import TrainConfig, read_config
    from bimodal.training.train import train
    from tests.conftest import FAST

    config = read_config(TrainConfig(), settings=[*FAST, "fusion.n_folds=2", "threads=1", "text.context=3"])
    return Recognizer(train(tiny_manifest, tmp_path_factory.mktemp("run"), config, tmp_path_factory.mktemp("c")))


@pytest.fixture(scope="module")
def call(corpus_data, tmp_path_factory) -> Path:
    """Four sentences that two speakers, one a channel, say in turn."""
    clips = [load_signal(file) for file in sorted((corpus_data / "ravdess" / "audio").glob("03-01-05-*.flac"))[:4]]
    left = np.concatenate([clip if number % 2 == 0 else 0 * clip for number, clip in enumerate(clips)])
    right = np.concatenate([clip if number % 2 else 0 * clip for number, clip in enumerate(clips)])
    path = tmp_path_factory.mktemp("call") / "call.wav"
    soundfile.write(path, np.stack([left, right], axis=1), RATE, subtype="FLOAT")
    return path


def logs(scores: Mapping[str, float]) -> list[float]:
    """Where a tiny model is surer than scores can show."""
    return [math.log(score) for score in scores.values()]


def test_a_timeline_reads_what_both_speakers_said_before(reader, call):
    config = TimelineConfig(channels="speakers", hop=30.0, window=30.0)
    cut = [
        (segment, f"channel {channel + 1}") for channel in (0, 1) for segment in segment_audio(call, channel=channel)
    ]
    cut.sort(key=lambda pair: pair[0].start)
    assert len(cut) == 4
    texts = ["Get out!", "What a lovely day!", "I feel so alone.", "We won!"]
    words = [
        TimedWords(start=segment.start, end=segment.end, transcript=text, speaker=speaker)
        for (segment, speaker), text in zip(cut, texts, strict=True)
    ]
    results = list(reader.recognize_long(call, words=words, config=config))
    for number, (result, (_, speaker)) in enumerate(zip(results, cut, strict=True)):
        said = [Turn(transcript=text, speaker=who) for text, (_, who) in zip(texts, cut, strict=True)]
        clip = Clip(transcript=texts[number], speaker=speaker, before=said[:number])
        alone = reader.recognize_batch([clip])[0].text_scores
        assert logs(result.text_scores) == pytest.approx(logs(alone), abs=0.02)
    without = reader.recognize_batch([Clip(transcript=texts[3], speaker=cut[3][1])])[0]
    assert logs(without.text_scores) != pytest.approx(logs(results[3].text_scores), abs=0.1)


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_an_interrupted_timeline_goes_on_as_if_it_had_not_been(reader, call, cut):
    config = TimelineConfig(channels="speakers", hop=1.0, window=2.0)
    words = [TimedWords(start=float(second), end=second + 1.0, transcript=f"word {second}") for second in range(12)]
    whole = list(reader.recognize_long(call, words=words, config=config))
    first, after = whole[: cut * len(whole) // 4], dict[str | None, float]()
    for result in first:
        after[result.speaker] = max(after.get(result.speaker, 0.0), result.end)
    rest = list(reader.recognize_long(call, words=words, config=config, after=after))
    assert [(one.start, one.end, one.speaker, one.transcript) for one in [*first, *rest]] == [
        (one.start, one.end, one.speaker, one.transcript) for one in whole
    ]
    for one, other in zip(rest, whole[len(first) :], strict=True):
        assert list(one.scores.values()) == pytest.approx(list(other.scores.values()), abs=1e-5)


def test_words_are_heard_in_the_loop_with_times_language_and_confidence(reader, call, asr_model):
    asr = make_asr(Transcriber(asr_model, threads=1))
    results = list(reader.recognize_long(call, asr=asr, config=TimelineConfig(channels="speakers")))
    assert any("kids" in (result.transcript or "").lower() for result in results)
    for result in results:
        if result.transcript:
            assert result.transcript_source == "asr" and 0 <= result.transcript_confidence <= 1
            assert result.transcript_language == "en" and 0 < result.gate <= 1
