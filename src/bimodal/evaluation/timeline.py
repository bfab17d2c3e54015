"""How good timelines are: emotion diarization error rate and changes of emotion, on recordings with known turns."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np

from bimodal.audio.decode import SAMPLING_RATE
from bimodal.audio.recordings import Recording, decoded_seconds
from bimodal.data.manifest import ManifestSource, open_manifest
from bimodal.data.turns import check_overlaps
from bimodal.errors import ConfigError, ManifestError
from bimodal.evaluation.join import Channels, JoinConfig, Joined, group_clips, join_clips
from bimodal.evaluation.metrics import TimelineErrors, ratio_interval, timeline_errors
from bimodal.evaluation.metrics.turns import Stretch, vectors
from bimodal.evaluation.report import Estimate
from bimodal.evaluation.rows import choose_rows
from bimodal.inference.recognizer import Recognizer
from bimodal.inference.stream import TimelineConfig
from bimodal.records import Recognition, Utterance
from bimodal.training.rows import LabelledRows, label_rows

_SLACK: Final = 0.1  # seconds that a reference may be longer than its recording: rounding, and padding of codecs
_FEW: Final = 20

Progress = Callable[[Iterable[Any], str], Iterable[Any]]
Lanes = Mapping[str | None, Sequence[Stretch]]
"""Stretches of each channel; of None, of all together."""


@dataclass(frozen=True, kw_only=True)
class TimelineEvaluation:
    """Settings of an evaluation of timelines.

    Attributes:
        timeline: As of `recognize_long`; its `channels`, `explain` and `coverage` are not used.
        join: How clips are joined.
        tolerance: Seconds by which a change of emotion may be off.
    """

    timeline: TimelineConfig = field(default_factory=TimelineConfig)
    join: JoinConfig = field(default_factory=JoinConfig)
    tolerance: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < math.inf:
            raise ConfigError(f"tolerance {self.tolerance} s: expected more than 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class TimelineReport:
    """How good the timelines of some recordings are. Rates are shares, 0 to 1, with intervals over recordings.

    Attributes:
        title: Title of the report.
        channels: `mix`, or `speakers` for one speaker a channel.
        joined: Whether the recordings are joined from clips.
        turns: Number of reference turns.
        tolerance: Of a change of emotion, in seconds.
        recordings: Errors of each recording, by its name.
        total: Errors of all together.
        eder: Emotion diarization error rate: `wrong_emotion` by `duration`.
        speech_error: Stricter: `wrong` by `speech`. Neutral is an emotion like the others, and pauses do not help.
        change_precision: Share of the found changes of emotion that are true, within the tolerance.
        change_recall: Share of the true changes that were found.
        uar: Mean over emotions of the share of their seconds that was found right.
        recalls: That share for each emotion.
        notes: What to mind.
        caveat: Sentence that stands before everything else; empty if there is none.
    """

    title: str
    channels: Channels
    joined: bool
    turns: int
    tolerance: float
    recordings: Mapping[str, TimelineErrors]
    total: TimelineErrors
    eder: Estimate
    speech_error: Estimate
    change_precision: Estimate
    change_recall: Estimate
    uar: float
    recalls: Mapping[str, float]
    notes: tuple[str, ...]
    caveat: str = ""


def evaluate_timeline(
    recognizer: Recognizer,
    turns: ManifestSource,
    settings: TimelineEvaluation | None = None,
    *,
    split: str = "",
    channels: Channels = "mix",
    progress: Progress = lambda items, label: items,
) -> TimelineReport:
    """Compare a model's timelines with turns whose emotions are known.

    Rows with start and end are the turns of recordings, and all speech of these must have a row. Rows without are
    clips, which are joined to recordings.

    Args:
        recognizer: The model.
        turns: As `bimodal.data.turns.read_turns` gives them.
        settings: Of the timeline, of the joining of clips, and the tolerance.
        split: As in `bimodal.evaluation.protocols.evaluate_model`.
        channels: `mix`, or `speakers`: each channel is one speaker, named `channel 1`, `channel 2`, ...
        progress: Wraps iterables with a bar.

    Raises:
        BimodalError: Turns of one speaker overlap, end after their recording, or have an emotion that the model does
            not know; a recording cannot be used; some rows have times and others have none.
    """
    read = open_manifest(turns)
    rows, notes = choose_rows(read, split)
    settings = settings or TimelineEvaluation()
    config = replace(settings.timeline, channels=channels, explain=False, coverage=None)
    joined = _are_clips(read.path, rows)
    labelled = _labelled(recognizer, rows)
    if joined:
        notes += [f"{count} rows left out: {reason}" for reason, count in labelled.dropped.items()]
        pairs = _compare_joined(recognizer, labelled.utterances, read.folder, config, settings.join, progress, notes)
        notes += [_describe_joining(settings.join, channels)]
    else:
        _check_known(read.path, rows, labelled)
        pairs = _compare_recordings(recognizer, labelled.utterances, read.folder, config, progress)
    errors, count = {}, 0
    for name, duration, truth, found in pairs:
        errors[name] = _lane_errors(truth, found, duration, settings.tolerance)
        count += sum(map(len, truth.values()))
    return _report(str(read.path), channels, joined, count, settings.tolerance, errors, notes)


def _are_clips(path: Path, rows: Sequence[Utterance]) -> bool:
    """Whether the rows are clips to join rather than turns of recordings."""
    timed = [row for row in rows if row.start is not None and row.end is not None]
    if timed and len(timed) < len(rows):
        other = next(row for row in rows if row not in timed)
        raise ManifestError(
            f"{path}: {len(timed)} of {len(rows)} rows have start and end, '{other.id}' has not; expected times in all "
            "rows (turns of recordings) or in none (clips to join)"
        )
    return not timed


def _labelled(recognizer: Recognizer, rows: Sequence[Utterance]) -> LabelledRows:
    """The rows, with the model's names of the emotions."""
    config = recognizer.config
    spoken = [row for row in rows if row.path]
    found = label_rows(spoken, config.vocabulary, recognizer.emotions, multiple_labels="drop", folder=recognizer.folder)
    named = found.names(range(len(found.utterances)))
    rows = [replace(row, emotion=emotion) for row, emotion in zip(found.utterances, named, strict=True)]
    return replace(found, utterances=tuple(rows))


def _check_known(path: Path, rows: Sequence[Utterance], labelled: LabelledRows) -> None:
    kept = {row.id for row in labelled.utterances}
    for row in rows:
        if row.id not in kept:
            reason = "; ".join(labelled.dropped) or "a row without a recording"
            raise ManifestError(
                f"{path}: the turn '{row.id}' ({row.emotion}) cannot be scored: {reason}; a reference needs one of "
                "the model's emotions for each turn, as all other speech counts as a false alarm"
            )
    check_overlaps(labelled.utterances)


Compared = tuple[str, float, Lanes, Lanes]
"""A recording's name, its length, the reference and the timeline."""


def _compare_joined(
    recognizer: Recognizer,
    clips: Sequence[Utterance],
    folder: Path,
    config: TimelineConfig,
    join: JoinConfig,
    progress: Progress,
    notes: list[str],
) -> Iterator[Compared]:
    silent, channels = 0, config.channels
    for number, group in enumerate(progress(group_clips(clips, join), "recordings")):
        recording = join_clips(group, folder, f"joined {number + 1}", channels, join, number)
        silent += recording.silent
        duration = len(recording.signals[0]) / SAMPLING_RATE
        yield recording.name, duration, _by_lane(recording.turns, channels), _stream(recognizer, recording, config)
    if silent:
        notes.append(f"{silent} clips left out: no speech was found in them")


def _stream(recognizer: Recognizer, recording: Joined, config: TimelineConfig) -> Lanes:
    found: dict[str | None, Sequence[Stretch]] = {}
    for number, signal in enumerate(recording.signals, start=1):
        speaker = f"channel {number}" if config.channels == "speakers" else None
        stream = recognizer.stream(SAMPLING_RATE, speaker=speaker, config=config)
        found[speaker] = _stretches([*stream.push(signal), *stream.finish()])
    return found


def _compare_recordings(
    recognizer: Recognizer, rows: Sequence[Utterance], folder: Path, config: TimelineConfig, progress: Progress
) -> Iterator[Compared]:
    listed: dict[str, list[Utterance]] = {}
    for row in rows:
        listed.setdefault(str(row.path), []).append(row)
    for name, turns in progress(list(listed.items()), "recordings"):
        path = folder / name
        duration = decoded_seconds(Recording(path=path, name=str(path), place=Path(path.name)))
        _check_length(path, turns, duration)
        found: dict[str | None, list[Recognition]] = {}
        for result in recognizer.recognize_long(path, config=config):
            found.setdefault(result.speaker, []).append(result)
        _check_speakers(path, turns, found, config)
        timeline = {speaker: _stretches(results) for speaker, results in found.items()}
        yield name, duration, _by_lane(turns, config.channels), timeline


def _check_length(path: Path, turns: Sequence[Utterance], duration: float) -> None:
    last = max(turns, key=lambda turn: turn.end or 0.0)
    if (last.end or 0.0) > duration + _SLACK:
        raise ManifestError(
            f"{path}: the turn '{last.id}' ends at {last.end:.2f} s, the recording at {duration:.2f} s; is this the "
            "recording that was annotated, and is it whole?"
        )


def _check_speakers(
    path: Path, turns: Sequence[Utterance], found: Mapping[str | None, Any], config: TimelineConfig
) -> None:
    if config.channels == "speakers":
        for turn in turns:
            if turn.speaker not in found:
                raise ManifestError(
                    f"{path}: the turn '{turn.id}' has the speaker {turn.speaker!r}, expected one of "
                    f"{sorted(map(str, found))} with --channels speakers"
                )


def _stretches(results: Iterable[Recognition]) -> list[Stretch]:
    return [(one.start or 0.0, one.end or 0.0, one.emotion) for one in results if one.emotion is not None]


def _by_lane(turns: Sequence[Utterance], channels: Channels) -> Lanes:
    found: dict[str | None, list[Stretch]] = {}
    for turn in turns:
        lane = turn.speaker if channels == "speakers" else None
        found.setdefault(lane, []).append((turn.start or 0.0, turn.end or 0.0, str(turn.emotion)))
    return found


def _lane_errors(truth: Lanes, found: Lanes, duration: float, tolerance: float) -> TimelineErrors:
    """Errors of all channels together, by the length of the recording once."""
    lanes = dict.fromkeys([*truth, *found])
    parts = (timeline_errors(truth.get(lane, ()), found.get(lane, ()), 0.0, tolerance=tolerance) for lane in lanes)
    return sum(parts, TimelineErrors(duration=duration))


def _describe_joining(join: JoinConfig, channels: Channels) -> str:
    where = "each on a channel" if channels == "speakers" else "on one channel"
    return (
        f"The recordings are joined from clips: up to {join.speakers} speakers, {where}, pauses of "
        f"{join.shortest_pause:g} to {join.longest_pause:g} s, seed {join.seed}. The voice activity detector also "
        "placed the true turns."
    )


def _report(
    title: str,
    channels: Channels,
    joined: bool,
    turns: int,
    tolerance: float,
    errors: Mapping[str, TimelineErrors],
    notes: Sequence[str],
) -> TimelineReport:
    each = list(errors.values())
    total = sum(each, TimelineErrors())
    recalls = {name: total.right.get(name, 0.0) / spoken for name, spoken in sorted(total.spoken.items()) if spoken}
    few = [f"Only {len(each)} recordings: the intervals are too narrow."] if 1 < len(each) < _FEW else []
    alone = ["One recording: there is no interval."] if len(each) == 1 else []
    return TimelineReport(
        title=title,
        channels=channels,
        joined=joined,
        turns=turns,
        tolerance=tolerance,
        recordings=errors,
        total=total,
        eder=_rate(each, "wrong_emotion", "duration"),
        speech_error=_rate(each, "wrong", "speech"),
        change_precision=_rate(each, "hit_changes", "found_changes"),
        change_recall=_rate(each, "hit_changes", "true_changes"),
        uar=float(np.mean(list(recalls.values()))),
        recalls=recalls,
        notes=tuple(chain(notes, few, alone)),
    )


def _rate(errors: Sequence[TimelineErrors], part: str, whole: str) -> Estimate:
    found = ratio_interval(vectors(errors, part), vectors(errors, whole))
    value, low, high = (None if np.isnan(one) else one for one in (found.value, found.low, found.high))
    return Estimate(value=value, low=low, high=high)
