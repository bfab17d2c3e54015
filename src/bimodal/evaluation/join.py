"""Recordings with known turns of emotion: clips of a corpus, joined with pauses between."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from bimodal.audio.decode import SAMPLING_RATE, Signal, load_signal
from bimodal.audio.segmentation import SegmentConfig, SegmentStream
from bimodal.errors import ConfigError, ManifestError
from bimodal.records import Utterance

Channels = Literal["mix", "speakers"]

_STRETCHES: Final = SegmentConfig(min_pause=0.5, padding=0.0, max_seconds=600.0)
_CLIPS_WITHOUT_SPEAKERS: Final = 40
_LONGEST: Final = 60.0  # seconds
_FADE: Final = 160  # samples: 10 ms, so that a join makes no click


@dataclass(frozen=True, kw_only=True)
class JoinConfig:
    """How clips are joined; lengths in seconds.

    Attributes:
        speakers: Speakers of a recording. Each speaker is in one recording only, with all clips.
        shortest_pause: Between the speech of two clips.
        longest_pause: Pauses are drawn evenly between the two.
        overlap: By how much two speakers may speak at once, where each has a channel.
        seed: Of the order of the clips and the pauses.
    """

    speakers: int = 2
    shortest_pause: float = 0.4
    longest_pause: float = 2.0
    overlap: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values that contradict one another."""
        if self.speakers < 1 or self.seed < 0:
            raise ConfigError(f"speakers {self.speakers}, seed {self.seed}: expected at least 1 and 0")
        if not 0 <= self.shortest_pause <= self.longest_pause <= _LONGEST or not 0 <= self.overlap <= _LONGEST:
            raise ConfigError(
                f"shortest_pause {self.shortest_pause} s, longest_pause {self.longest_pause} s, overlap {self.overlap} "
                f"s: expected 0 <= shortest_pause <= longest_pause <= {_LONGEST:g}, and overlap from 0"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Joined:
    """A joined recording.

    Attributes:
        name: For a report.
        signals: Of each channel, (T,) at 16 kHz.
        turns: The true turns; their `path` is the name, their speaker `channel 1` or `channel 2` where each speaker has
            a channel.
        silent: Clips that were left out, as they have no speech.
    """

    name: str
    signals: tuple[Signal, ...]
    turns: tuple[Utterance, ...]
    silent: int


def group_clips(clips: Sequence[Utterance], config: JoinConfig) -> list[list[Utterance]]:
    """The clips of each recording, in an order of chance.

    Args:
        clips: Of a manifest. Where no speakers are named, a recording has 40 clips.
        config: Settings.

    Example:
        >>> clips = [Utterance(id=str(number), speaker="abcd"[number % 4]) for number in range(8)]
        >>> [sorted({clip.speaker for clip in group}) for group in group_clips(clips, JoinConfig())]
        [['a', 'c'], ['b', 'd']]
    """
    chance = np.random.default_rng(config.seed)
    speakers = sorted({clip.speaker for clip in clips if clip.speaker})
    order = chance.permutation(len(speakers)).tolist()
    places = {speakers[one]: place // config.speakers for place, one in enumerate(order)}
    groups: dict[int, list[Utterance]] = {}
    for clip in clips:
        if clip.speaker:
            groups.setdefault(places[clip.speaker], []).append(clip)
    found = [group for _, group in sorted(groups.items())]
    unknown = [clip for clip in clips if not clip.speaker]
    unknown = [unknown[place] for place in chance.permutation(len(unknown))]
    size = _CLIPS_WITHOUT_SPEAKERS
    found += [unknown[first : first + size] for first in range(0, len(unknown), size)]
    return [[group[place] for place in chance.permutation(len(group))] for group in found]


def join_clips(
    clips: Sequence[Utterance], folder: Path, name: str, channels: Channels, config: JoinConfig, seed: int
) -> Joined:
    """Join clips to one recording.

    The speech of each clip is cut out, with 0.1 s around it. The voice activity detector finds it, in the clip alone.
    The detector of the timeline is the same one, so missed speech and false alarms come out a little too well.

    Args:
        clips: In their order, with an emotion of the model.
        folder: Of their manifest.
        name: Of the recording.
        channels: `mix` for one channel, `speakers` for one a speaker.
        config: Settings.
        seed: Of the pauses.

    Raises:
        AudioError: A clip cannot be used.
        ManifestError: With one channel a speaker: a clip without a speaker, or no clip has speech.
    """
    lanes = _lanes(clips, channels)
    chance = np.random.default_rng([config.seed, seed])
    placed: list[tuple[int, int, Signal]] = []  # channel, first sample, signal
    turns: list[Utterance] = []
    last, end, silent = -1, SAMPLING_RATE // 2, 0
    for clip, lane in zip(clips, lanes, strict=True):
        spoken = _spoken(clip, folder)
        if spoken is None:
            silent += 1
            continue
        signal, stretches = spoken
        least = -config.overlap if len(set(lanes)) > 1 and lane != last >= 0 else config.shortest_pause
        first = max(0, end + round(chance.uniform(least, config.longest_pause) * SAMPLING_RATE) - stretches[0][0])
        placed.append((lane, first, signal))
        turns += _turns(clip, name, channels, lane, [(first + start, first + stop) for start, stop in stretches])
        last, end = lane, first + stretches[-1][1]
    if not placed:
        raise ManifestError(f"{name}: no clip has speech, such as '{clips[0].id}'")
    length = max(first + len(signal) for _, first, signal in placed) + SAMPLING_RATE // 2
    signals = [np.zeros(length, np.float32) for _ in range(max(lanes) + 1)]
    for lane, first, signal in placed:
        signals[lane][first : first + len(signal)] += signal
    return Joined(name=name, signals=tuple(signals), turns=tuple(turns), silent=silent)


def _lanes(clips: Sequence[Utterance], channels: Channels) -> list[int]:
    """Channel of each clip, from 0."""
    if channels == "mix":
        return [0] * len(clips)
    for clip in clips:
        if not clip.speaker:
            raise ManifestError(f"clip '{clip.id}' has no speaker; --channels speakers needs the speaker of each clip")
    speakers = sorted({str(clip.speaker) for clip in clips})
    return [speakers.index(str(clip.speaker)) for clip in clips]


def _turns(
    clip: Utterance, name: str, channels: Channels, lane: int, stretches: Sequence[tuple[int, int]]
) -> Iterator[Utterance]:
    speaker = f"channel {lane + 1}" if channels == "speakers" else clip.speaker
    for start, end in stretches:
        yield Utterance(
            id=clip.id,
            path=name,
            start=start / SAMPLING_RATE,
            end=end / SAMPLING_RATE,
            emotion=clip.emotion,
            speaker=speaker,
        )


def _spoken(clip: Utterance, folder: Path) -> tuple[Signal, list[tuple[int, int]]] | None:
    """A clip's speech with a margin, faded, and where its stretches lie in it; None if there is none."""
    signal = load_signal(folder / str(clip.path), start=clip.start, end=clip.end)
    stream = SegmentStream(SAMPLING_RATE, _STRETCHES)
    found = [*stream.push(signal), *stream.finish()]
    if not found:
        return None
    stretches = [(round(one.start * SAMPLING_RATE), round(one.end * SAMPLING_RATE)) for one in found]
    first = max(0, stretches[0][0] - SAMPLING_RATE // 10)
    kept = signal[first : stretches[-1][1] + SAMPLING_RATE // 10].copy()
    fade = np.linspace(0.0, 1.0, min(_FADE, len(kept) // 2), dtype=np.float32)
    kept[: len(fade)] *= fade
    kept[len(kept) - len(fade) :] *= fade[::-1]
    return kept, [(start - first, min(stop - first, len(kept))) for start, stop in stretches]
