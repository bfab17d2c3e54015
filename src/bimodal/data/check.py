"""The check of a manifest before anything is trained on it: what is in it, what would be dropped, what is wrong.

The headers of all recordings are read. Recordings of equal length are decoded, too, to find one that is listed twice.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import soundfile

from bimodal.data import labels
from bimodal.data.labels import EmotionMap, split_labels
from bimodal.data.leaks import (
    EMPTY_WORDS,
    Pair,
    crossing_pairs,
    describe_leak,
    repeated_rows,
    same_recordings,
    shared_recordings,
    similar_names,
)
from bimodal.data.manifest import FEATURES, ManifestReading, has_features, inspect_manifest
from bimodal.data.splits import Overlap, check_disjoint, count_text_overlap, one_speaker
from bimodal.errors import ManifestError, SplitError
from bimodal.records import Problem, Utterance, describe_problems

TOLERANCE = 0.01  # seconds by which `end` may pass the end of a recording, for rounding
NO_SPLIT = "-"
_SHOWN_LABELS = 10
SEVERAL = "several|labels"  # in place of a label: rows with several labels, none of them in the vocabulary


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropped:
    """Rows whose label is not in a vocabulary.

    Attributes:
        label: The corpus's own.
        reason: Why, as the second half of a sentence.
        rows: How many.
    """

    label: str
    reason: str
    rows: int

    def __str__(self) -> str:
        return f"{self.rows} rows drop, because {self.reason}"


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckReport:
    """What a manifest holds and what is wrong with it.

    Attributes:
        path: The manifest.
        vocabulary: Name of the vocabulary that emotions are counted in.
        rows: Number of utterances.
        emotions: Rows of each emotion of the vocabulary in each split (`-` where a row has none).
        splits: Rows of each split, unlabelled and dropped ones too.
        speakers: Rows of each speaker.
        modalities: Rows with `speech and text`, `speech`, `text`; features count as speech.
        hours: Length of all utterances whose length is known.
        unlabelled: Rows without an emotion.
        soft: Rows whose labels mean several emotions: soft targets in training, left out of evaluations; `emotions`
            does not count them.
        trimmed: Rows with several labels of which only some are in the vocabulary; the others are ignored.
        dropped: Labels that are not in the vocabulary, the most frequent first.
        overlaps: Speakers and texts that any two splits share.
        similar_speakers: Pairs of speakers whose names may mean the same person.
        problems: In the order they were found; a sound manifest has none.
    """

    path: Path
    vocabulary: str
    rows: int
    emotions: Mapping[str, Mapping[str, int]]
    splits: Mapping[str, int]
    speakers: Mapping[str, int]
    modalities: Mapping[str, int]
    hours: float
    unlabelled: int
    soft: int
    trimmed: int
    dropped: tuple[Dropped, ...]
    overlaps: tuple[Overlap, ...]
    similar_speakers: tuple[tuple[str, str], ...]
    problems: tuple[Problem, ...]


def check_manifest(
    source: Path | ManifestReading,
    *,
    emotion_map: EmotionMap | None = None,
    official_split: str | None = None,
    probe_audio: bool = True,
    features: Sequence[str] = FEATURES,
    progress: Callable[[Sequence[str]], Iterable[str]] = iter,
) -> CheckReport:
    """Check every row, recording and split of a manifest.

    Args:
        source: The manifest, or what `inspect_manifest` read of it.
        emotion_map: Maps the manifest's labels to emotions; by default the built-in map to `ekman7`.
        official_split: Name of a published split whose shared speakers are reported and accepted.
        probe_audio: Read the header of each recording.
        features: Glob patterns of numeric columns that can replace a recording.
        progress: Wraps the paths that are probed, such as `tqdm.tqdm`.

    Returns:
        The report; problems are in `problems`, and raise nothing.

    Raises:
        ManifestError: If the file is missing, or its name is not that of a manifest.
    """
    reading = source if isinstance(source, ManifestReading) else inspect_manifest(Path(source), features)
    utterances = reading.manifest.utterances
    mapping = emotion_map or labels.emotion_map()
    found = _map_labels(reading, mapping)
    overlaps, leaks = _compare_splits(reading, official_split)
    durations, broken = _probe(reading, progress) if probe_audio else ({}, [])
    shared, repeated = _judge_repeated(
        reading, mapping, official_split, _repeated_rows(reading, probe_audio=probe_audio)
    )
    speakers = Counter(row.speaker for row in utterances if row.speaker is not None)
    return CheckReport(
        path=reading.manifest.path,
        vocabulary=mapping.vocabulary.name,
        rows=len(utterances),
        emotions=found.emotions,
        splits=Counter(row.split or NO_SPLIT for row in utterances),
        speakers=speakers,
        modalities=Counter(_modality(row, features) for row in utterances),
        hours=sum(_length(row, durations) for row in utterances) / 3600,
        unlabelled=sum(row.emotion is None for row in utterances),
        soft=found.soft,
        trimmed=found.trimmed,
        dropped=_dropped(mapping, found),
        overlaps=(*overlaps, *shared),
        similar_speakers=tuple(similar_names(list(speakers))),
        problems=(
            *reading.problems,
            *_empty_words(reading),
            *_unplaced(reading, mapping, found),
            *broken,
            *leaks,
            *repeated,
        ),
    )


def _count(problems: int) -> str:
    return "1 problem" if problems == 1 else f"{problems} problems"


def _dropped(mapping: EmotionMap, found: "_Labels") -> tuple[Dropped, ...]:
    return tuple(
        Dropped(label=name, reason=mapping.drop_reason(name), rows=rows) for name, rows in found.dropped.most_common()
    )


def describe(report: CheckReport) -> str:
    """A report for people: counts, emotions by split, what drops, what splits share, the first 20 problems."""
    splits = [name for name in ("train", "dev", "test", NO_SPLIT) if name in report.splits]
    table = [[report.vocabulary, *splits, "all"]]
    for emotion, counts in report.emotions.items():
        table.append([emotion, *(str(counts.get(name, 0)) for name in splits), str(sum(counts.values()))])
    modalities = ", ".join(f"{count} {name}" for name, count in report.modalities.items())
    lines = [
        f"{report.path}: {report.rows} utterances, {len(report.speakers)} speakers, {report.hours:.2f} hours known",
        modalities,
        "",
        *_aligned(table),
        "",
        *_counted(report),
        *_alone(report.speakers),
        *(str(dropped) for dropped in report.dropped),
        *(str(overlap) for overlap in report.overlaps),
        *_similar(report.similar_speakers),
    ]
    verdict = (
        f"{_count(len(report.problems))}:\n{describe_problems(report.problems)}" if report.problems else "no problems"
    )
    return "\n".join([*lines, verdict])


def _counted(report: CheckReport) -> list[str]:
    """Sentences about rows that the table leaves out or changes."""
    counts = {
        "have no emotion": report.unlabelled,
        "have several emotions: soft targets in training, left out of evaluations": report.soft,
        f"have a label without a place in {report.vocabulary} beside others, which alone count": report.trimmed,
    }
    return [f"{count} rows {what}" for what, count in counts.items() if count]


def _similar(pairs: Sequence[tuple[str, str]]) -> list[str]:
    if not pairs:
        return []
    more = f" ({len(pairs) - 1} other pairs likewise)" if len(pairs) > 1 else ""
    return [f"speakers {pairs[0][0]!r} and {pairs[0][1]!r} may be one person{more}; if so, write the name in one way"]


def _alone(speakers: Mapping[str, int]) -> list[str]:
    return [f"{one_speaker(speakers)}, or train with --set split_by=utterance"] if len(speakers) == 1 else []


@dataclass(kw_only=True, slots=True)
class _Labels:
    """Counts by emotion and split, dropped labels, and the rows with an unknown label."""

    emotions: dict[str, Counter[str]]
    soft: int = 0
    trimmed: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    unknown: list[tuple[int, str]] = field(default_factory=list)


def _map_labels(reading: ManifestReading, mapping: EmotionMap) -> _Labels:
    found = _Labels(emotions={emotion: Counter() for emotion in mapping.vocabulary.emotions})
    for line, row in zip(reading.lines, reading.manifest.utterances, strict=True):
        try:
            _count_labels(row, mapping, found)
        except ManifestError:
            found.unknown.append((line, row.emotion or ""))
    return found


def _unplaced(reading: ManifestReading, mapping: EmotionMap, found: _Labels) -> list[Problem]:
    """One problem for all labels that the map does not know, or for labels none of which has a place."""
    labelled = sum(row.emotion is not None for row in reading.manifest.utterances)
    some = found.soft or any(map(Counter.total, found.emotions.values()))
    rest = f"; all {labelled:,} rows with an emotion drop, so nothing is left to train on" if not some else ""
    if found.unknown:
        where = f"{reading.manifest.path}:{found.unknown[0][0]}"
        return [Problem(where=where, message=_describe_unknown([label for _, label in found.unknown], mapping) + rest)]
    if labelled and rest:
        message = f"{rest.removeprefix('; ')}: choose another --vocabulary than {mapping.vocabulary.name}"
        return [Problem(where=str(reading.manifest.path), message=message)]
    return []


def _describe_unknown(labels: Sequence[str], mapping: EmotionMap) -> str:
    """A sentence on the labels of rows that the map does not know."""
    if len(labels) == 1:
        try:
            mapping.shares(labels[0])
        except ManifestError as error:
            return str(error)
    counts = Counter(labels)
    listed = ", ".join(f"{label!r} {count:,}" for label, count in counts.most_common(_SHOWN_LABELS))
    more = f" and {len(counts) - _SHOWN_LABELS} others" if len(counts) > _SHOWN_LABELS else ""
    return (
        f"{len(labels):,} rows have labels without a place in {mapping.vocabulary.name}: {listed}{more}; "
        f"expected {', '.join(mapping.vocabulary.emotions)}, a synonym of these, or an entry in a map of your own"
    )


def _empty_words(reading: ManifestReading) -> list[Problem]:
    """A problem for each column with cells that another program meant to be empty."""
    problems = []
    for name in ("transcript", "speaker", "emotion"):
        cells = [
            (line, getattr(row, name)) for line, row in zip(reading.lines, reading.manifest.utterances, strict=True)
        ]
        found = [(line, cell) for line, cell in cells if cell is not None and cell.strip() in EMPTY_WORDS]
        if found:
            words = ", ".join(repr(cell) for cell in dict.fromkeys(cell for _, cell in found))
            message = f"{name} is {words} in {len(found):,} rows, as programs write empty cells; leave such cells empty"
            problems.append(Problem(where=f"{reading.manifest.path}:{found[0][0]}", message=message))
    return problems


def _repeated_rows(reading: ManifestReading, *, probe_audio: bool) -> list[Pair]:
    """Pairs of rows with the same recording; without `probe_audio` by their paths alone."""
    rows, folder = reading.manifest.utterances, reading.manifest.folder
    wrong = {problem.where for problem in reading.problems if problem.message.startswith("path ")}
    places = [f"{reading.manifest.path}:{line}" for line in reading.lines]
    files = [
        folder / row.path if row.path and place not in wrong else None for row, place in zip(rows, places, strict=True)
    ]
    known = [file for file in files if file is not None]
    numbers = same_recordings(known) if probe_audio else {file: hash(file.resolve()) for file in known}
    return repeated_rows(rows, [None if file is None else numbers[file] for file in files])


def _judge_repeated(
    reading: ManifestReading, mapping: EmotionMap, official_split: str | None, pairs: Sequence[Pair]
) -> tuple[list[Overlap], list[Problem]]:
    """Recordings in two splits, under two speakers, under two emotions: a problem for each kind."""
    rows = reading.manifest.utterances
    splits = [row.split for row in rows]
    crossing = crossing_pairs(pairs, splits)
    overlaps = [
        shared_recordings(names, crossed, splits, official_split)
        for names, crossed in crossing.items()
        if official_split
    ]
    found = [
        (crossed, f"{describe_leak(*names, crossed, rows)}: a model would be tested on what it learnt from")
        for names, crossed in crossing.items()
        if not official_split
    ]
    for what, values in {
        "speakers": [row.speaker for row in rows],
        "emotions": [_main_emotion(row, mapping) for row in rows],
    }.items():
        differ = [(a, b) for a, b in pairs if None not in (values[a], values[b]) and values[a] != values[b]]
        if differ:
            found.append((differ, _describe_conflict(what, differ, rows, values)))
    return overlaps, [
        Problem(where=f"{reading.manifest.path}:{reading.lines[where[0][1]]}", message=message)
        for where, message in found
    ]


def _main_emotion(row: Utterance, mapping: EmotionMap) -> str | None:
    """What a row's labels mean, or the labels themselves if the map does not know them."""
    if row.emotion is None:
        return None
    try:
        return " ".join(sorted(mapping.shares(row.emotion))) or row.emotion
    except ManifestError:
        return row.emotion


def _describe_conflict(
    what: str, pairs: Sequence[Pair], rows: Sequence[Utterance], values: Sequence[str | None]
) -> str:
    one, other = pairs[0]
    count = len({b for _, b in pairs})
    same = "" if rows[one].path == rows[other].path else f" and {rows[other].path!r}, the same recording,"
    subject = "1 recording has" if count == 1 else f"{count:,} recordings have"
    return f"{subject} two {what}, such as {rows[one].path!r}{same} with {values[one]!r} and {values[other]!r}"


def _count_labels(row: Utterance, mapping: EmotionMap, found: _Labels) -> None:
    if row.emotion is None:
        return
    shares = mapping.shares(row.emotion)
    found.trimmed += bool(shares) and any(mapping.apply(label) is None for label in split_labels(row.emotion))
    if not shares:
        several = len(split_labels(row.emotion)) > 1
        found.dropped[SEVERAL if several else row.emotion] += 1
    elif len(shares) > 1:
        found.soft += 1
    else:
        found.emotions[next(iter(shares))][row.split or NO_SPLIT] += 1


def _compare_splits(reading: ManifestReading, official_split: str | None) -> tuple[tuple[Overlap, ...], list[Problem]]:
    """Speakers and texts that two splits share; shared speakers are a problem unless the split is an official one."""
    rows = reading.manifest.utterances
    parts = {name: [row for row in rows if row.split == name] for name in ("train", "dev", "test")}
    overlaps, problems = [], []
    for first, second in combinations([name for name, part in parts.items() if part], 2):
        speakers = [row.speaker for row in parts[first]], [row.speaker for row in parts[second]]
        try:
            overlaps.append(check_disjoint(*speakers, f"speakers in {first} and {second}", official_split))
        except SplitError as error:
            problems.append(Problem(where=str(reading.manifest.path), message=str(error)))
        texts = [row.transcript for row in parts[first]], [row.transcript for row in parts[second]]
        if any(texts[0]) and any(texts[1]):
            overlaps.append(count_text_overlap(*texts, f"texts in {first} and {second}"))
    return tuple(overlaps), problems


def _probe(
    reading: ManifestReading, progress: Callable[[Sequence[str]], Iterable[str]]
) -> tuple[Mapping[str, float], list[Problem]]:
    """Seconds of each readable recording, and a problem for each row whose recording cannot serve it."""
    rows = list(zip(reading.lines, reading.manifest.utterances, strict=True))
    wrong = {problem.where for problem in reading.problems}  # their paths may lead anywhere, and are not followed
    where = {line: f"{reading.manifest.path}:{line}" for line, _ in rows}
    rows = [(line, row) for line, row in rows if row.path is not None and where[line] not in wrong]
    durations, complaints = dict[str, float](), dict[str, str]()
    for path in progress(list(dict.fromkeys(row.path for _, row in rows if row.path is not None))):
        try:
            durations[path] = _duration(reading.manifest.folder / path)
        except ManifestError as error:
            complaints[path] = str(error)
    problems = []
    for line, row in rows:
        complaint = complaints.get(row.path or "") or _beyond(row, durations)
        if complaint:
            problems.append(Problem(where=where[line], message=complaint))
    return durations, problems


def _duration(file: Path) -> float:
    """Seconds of a recording by its header; raises ManifestError if there is none."""
    if not file.is_file():
        raise ManifestError(f"no recording {str(file)!r}")
    if not file.stat().st_size:
        raise ManifestError(f"recording {str(file)!r} is empty (0 bytes)")
    try:
        header = soundfile.info(str(file))
    except (soundfile.SoundFileError, OSError, RuntimeError) as error:
        raise ManifestError(f"{str(file)!r} is no recording that can be read ({error})") from error
    if header.frames <= 0 or header.samplerate <= 0:
        raise ManifestError(f"recording {str(file)!r} holds no samples")
    return float(header.frames / header.samplerate)


def _beyond(row: Utterance, durations: Mapping[str, float]) -> str | None:
    """A complaint if the utterance begins or ends after its recording does."""
    seconds = durations[row.path or ""]
    if row.start is not None and row.start >= seconds:
        return f"start {row.start} is not before the end of {row.path!r}, which has {seconds:.3f} seconds"
    if row.end is not None and row.end > seconds + TOLERANCE:
        return f"end {row.end} is after the end of {row.path!r}, which has {seconds:.3f} seconds"
    return None


def _length(row: Utterance, durations: Mapping[str, float]) -> float:
    end = row.end if row.end is not None else durations.get(row.path or "", 0.0)
    return max(0.0, end - (row.start or 0.0))


def _modality(row: Utterance, features: Sequence[str]) -> str:
    speech = row.path is not None or has_features(row, features)
    both = "speech and text" if speech and row.transcript else "speech" if speech else "text"
    return both if speech or row.transcript else "nothing"


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Rows with the first column to the left and numbers to the right."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in table
    ]
