"""The clips of a folder: short recordings whole, long ones cut at their pauses; a share is drawn for testing."""

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from bimodal.audio.recordings import find_recordings, header_seconds, shown_path
from bimodal.audio.segmentation import segment_audio
from bimodal.data.manifest import read_manifest
from bimodal.errors import AudioError, LabellingError
from bimodal.labelling.curve import FEWEST_TESTS
from bimodal.labelling.records import LabelClip
from bimodal.records import Utterance

LONGEST_CLIP: Final = 15.0
"""Longer recordings are cut at their pauses, in seconds."""

TEST_SHARE: Final = 0.1
"""Share of the clips that are drawn for testing."""

SMALL_SHARE: Final = 0.25
"""The largest share, in small folders: up to `FEWEST_TESTS` clips."""

MANIFESTS: Final = ("manifest.csv", "manifest.jsonl")
"""Manifests of a folder whose words, speakers and stretches are used."""

Progress = Callable[[Iterable[Any], str], Iterable[Any]]


@dataclass(frozen=True, kw_only=True)
class FoundClips:
    """The clips of a folder.

    Attributes:
        clips: All of them, sorted by path and start.
        problems: One sentence for each recording that cannot be used.
    """

    clips: tuple[LabelClip, ...]
    problems: tuple[str, ...]


def find_clips(
    folder: Path,
    known: Sequence[LabelClip] = (),
    *,
    seed: int = 0,
    progress: Progress = lambda items, label: items,
) -> FoundClips:
    """The clips of all recordings below a folder. Clips that are known keep their part and their borders.

    Where the folder has a manifest, its rows are clips, with their words and speakers. Other recordings longer than
    `LONGEST_CLIP` are cut at their pauses.

    Args:
        folder: With recordings.
        known: Clips of an earlier call; they stay, also if the recording has gone.
        seed: Of the draw of the test clips.
        progress: Wraps iterables with a bar.

    Raises:
        AudioError: There are no recordings.
        LabellingError: No folder, or no recording can be used.
        ManifestError: The folder's manifest is damaged.
    """
    if not folder.is_dir():
        raise LabellingError(f"{folder}: no such folder; give the folder of your recordings")
    found = {clip.id: clip for clip in known}
    held = {clip.path for clip in known}
    problems: list[str] = []
    rows = [row for row in _rows(folder) if row.path is not None]
    fresh = {clip.id: clip for clip in map(_of_row, rows) if clip.id not in found}
    listed = held | {str(row.path) for row in rows}
    recordings = [one for one in find_recordings([folder]) if one.place.as_posix() not in listed]
    for recording in progress(recordings, "finding clips"):
        path = recording.place.as_posix()
        try:
            shown_path(Path(path)).encode("utf-8")
            seconds = header_seconds(recording)
            long = seconds > LONGEST_CLIP or (not seconds and _is_long(recording.path))
            pieces = _cut(folder / path, path) if long else (LabelClip(id=path, path=path),)
        except (AudioError, UnicodeEncodeError) as error:
            problems.append(str(error))
            continue
        if not pieces:
            problems.append(f"{recording.name}: no speech was found")
        fresh |= {clip.id: clip for clip in pieces}
    if not found and not fresh:
        raise LabellingError(
            f"{folder}: no recording can be labelled; the first: {(problems or ['none was found'])[0]}"
        )
    earlier = sum(clip.part == "test" for clip in known)
    count = min(count_tests(len(found) + len(fresh)) - earlier, math.ceil(SMALL_SHARE * len(fresh)))
    drawn = draw_test(tuple(fresh), max(count, 0), seed)
    found |= {name: replace(clip, part="test" if name in drawn else "train") for name, clip in fresh.items()}
    clips = sorted(found.values(), key=lambda clip: (clip.path, clip.start or 0.0))
    return FoundClips(clips=tuple(clips), problems=tuple(problems))


def count_tests(clips: int) -> int:
    """How many of some clips are for testing: a tenth, or as many as a figure needs, but at most a quarter.

    Example:
        >>> [count_tests(clips) for clips in (10, 40, 80, 200, 1000)]
        [2, 10, 20, 20, 100]
    """
    return max(round(TEST_SHARE * clips), min(FEWEST_TESTS, int(SMALL_SHARE * clips)))


def draw_test(names: Sequence[str], count: int, seed: int = 0) -> frozenset[str]:
    """A random choice of some clips, the same for the same seed, whatever their order.

    Example:
        >>> names = [f"{number}.wav" for number in range(30)]
        >>> drawn = draw_test(names, 3)
        >>> len(drawn), drawn == draw_test(names[::-1], 3)
        (3, True)
    """
    ranked = sorted(names, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    return frozenset(ranked[:count])


def clip_id(path: str, start: float | None, end: float | None) -> str:
    """Id of a stretch of a recording.

    Example:
        >>> clip_id("a.wav", None, None), clip_id("a.wav", 1.5, 4.25)
        ('a.wav', 'a.wav#1.50-4.25')
    """
    if start is None and end is None:
        return path
    return f"{path}#{start or 0.0:.2f}-{'' if end is None else f'{end:.2f}'}"


def _cut(file: Path, path: str) -> tuple[LabelClip, ...]:
    pieces = ((round(one.start, 2), round(one.end, 2)) for one in segment_audio(file))
    return tuple(LabelClip(id=clip_id(path, *one), path=path, start=one[0], end=one[1]) for one in pieces)


def _is_long(file: Path) -> bool:
    """Whether a recording without a length in its header is long.

    Raises:
        AudioError: It cannot be decoded.
    """
    from bimodal.audio.decode import iterate_audio

    seconds = 0.0
    for block, rate in iterate_audio(file):
        seconds += len(block) / rate
        if seconds > LONGEST_CLIP:
            return True
    return False


def _rows(folder: Path) -> Sequence[Utterance]:
    file = next((folder / name for name in MANIFESTS if (folder / name).is_file()), None)
    return () if file is None else read_manifest(file).utterances


def _of_row(row: Utterance) -> LabelClip:
    path = str(row.path)
    return LabelClip(
        id=clip_id(path, row.start, row.end),
        path=path,
        start=row.start,
        end=row.end,
        transcript=row.transcript or "",
        speaker=row.speaker or "",
    )
