"""Labels to and from other programs: as manifests, through the formats of `bimodal convert`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bimodal.data.exchange import EXCHANGE, convert, find_format
from bimodal.data.exchange.info import ReadOptions
from bimodal.data.labels import custom, emotion_map, join_labels, split_labels
from bimodal.data.manifest import write_manifest
from bimodal.errors import LabellingError, ManifestError
from bimodal.files import temporary_folder
from bimodal.labelling.records import NO_EMOTION, Label, LabelClip
from bimodal.labelling.store import Store
from bimodal.records import Manifest, Utterance

SUFFIXES: Final = (".csv", ".jsonl")
_CLOSE: Final = 0.5
"""Two stretches of a recording are the same clip if they share this much of both together."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written.

    Attributes:
        utterances: Clips with a label.
        lost: One sentence for each thing that was left out.
    """

    utterances: int
    lost: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What was read.

    Attributes:
        labels: Labels that were stored.
        raters: Their raters.
        unmatched: Rows without a clip in the folder.
    """

    labels: int
    raters: tuple[str, ...]
    unmatched: int


def labelled_rows(store: Store) -> tuple[Utterance, ...]:
    """A row for each clip with a vote for an emotion: all votes in `emotion`, with `|` between.

    Further columns: `raters`, `intensity` (mean), `notes`; `split` is `test` for clips that were drawn beforehand.
    """
    labels = store.labels()
    given = {
        clip.id: [(rater, own[clip.id]) for rater, own in labels.items() if clip.id in own] for clip in store.clips
    }
    return tuple(
        _row(clip, votes, store.words(clip))
        for clip in store.clips
        if (votes := [(rater, label) for rater, label in given[clip.id] if label.answer not in NO_EMOTION])
    )


def _row(clip: LabelClip, votes: Sequence[tuple[str, Label]], words: str) -> Utterance:
    intensities = [label.intensity for _, label in votes if label.intensity is not None]
    mean = f"{sum(intensities) / len(intensities):.3g}" if intensities else ""
    notes = "; ".join(re.sub(r"\s+", " ", label.note).strip() for _, label in votes if label.note.strip())
    extra = {"raters": join_labels(rater for rater, _ in votes), "intensity": mean, "notes": notes}
    return Utterance(
        id=clip.id,
        path=clip.path,
        start=clip.start,
        end=clip.end,
        transcript=words.strip() or None,
        emotion=join_labels(label.answer for _, label in votes),
        speaker=clip.speaker or None,
        split=clip.part,
        extra=extra,
    )


def export_labels(recordings: Path, store: Store, out: Path, to: str = "manifest") -> Exported:
    """Write the labels for another program, or for `bimodal train`.

    Args:
        recordings: Folder that the paths of clips are relative to.
        store: The labels.
        out: New folder of the format; or a file that ends in `.csv` or `.jsonl`, in the folder of the recordings or
            above it, for the manifest alone.
        to: A key of `EXCHANGE`; ignored for a file.

    Raises:
        LabellingError: There are no labels, or the file lies elsewhere.
        ManifestError: It cannot be written, or the format is unknown.
    """
    rows = labelled_rows(store)
    if not rows:
        raise LabellingError(f"{store.folder}: no clip has an emotion yet; label some, then export")
    without = len({name for own in store.labels().values() for name in own} - {row.id for row in rows})
    lost = [f"{without} clips have no emotion ({' or '.join(NO_EMOTION)}); they are left out"] if without else []
    gone = [row for row in rows if not (recordings / str(row.path)).is_file()]
    if gone:
        lost.append(f"{len(gone)} labelled clips have lost their recording, such as {gone[0].path}; they are left out")
        rows = tuple(row for row in rows if row not in gone)
    if out.suffix.lower() in SUFFIXES:
        write_manifest(out, _relative_rows(rows, recordings, out))
        return Exported(utterances=len(rows), lost=tuple(lost))
    with temporary_folder(store.folder) as scratch:
        source = scratch / "labels.jsonl"
        write_manifest(source, rows)
        done = convert(source, out, to, read_as="manifest", root=recordings)
    return Exported(utterances=len(rows), lost=(*lost, *done.lost))


def _relative_rows(rows: Sequence[Utterance], recordings: Path, out: Path) -> tuple[Utterance, ...]:
    place = out.resolve().parent
    if not recordings.resolve().is_relative_to(place):
        raise LabellingError(
            f"{out}: a manifest's recordings lie below its folder; write it to {recordings / out.name}, or name a new "
            "folder, which gets the recordings, too"
        )
    prefix = recordings.resolve().relative_to(place)
    return tuple(replace(row, path=(prefix / str(row.path)).as_posix()) for row in rows)


def import_labels(recordings: Path, store: Store, source: Path, rater: str, read_as: str = "") -> Imported:
    """Read labels of another program into the files of raters; all or none.

    Several labels of a row become those of raters `NAME`, `NAME 2` and so on. A row belongs to the clip of the same
    recording and about the same stretch.

    Args:
        recordings: Folder that the paths of clips are relative to.
        store: Where they go.
        source: A file or folder of a format of `EXCHANGE`.
        rater: Name for those who gave the labels.
        read_as: A key of `EXCHANGE`; empty to find it.

    Raises:
        LabellingError: A label is outside the vocabulary, or no row has a clip.
        ManifestError: It cannot be read.
    """
    if not source.exists():
        raise LabellingError(f"{source}: no such file or folder; name the labels to import")
    name = read_as or find_format(source)
    if name not in EXCHANGE:
        raise ManifestError(f"unknown format {name!r}, expected one of {', '.join(sorted(EXCHANGE))}")
    with temporary_folder(store.folder) as scratch:
        manifest = EXCHANGE[name].read(source, ReadOptions(scratch=scratch, root=recordings))
        meanings = _meanings(manifest, store.emotions, source)
        by_path = _clips_by_file(recordings, store.clips)
        found: list[tuple[str, Label]] = []
        unmatched = 0
        for row in manifest.utterances:
            clip = _clip_of(row, manifest, recordings, by_path)
            if row.emotion is None:
                continue
            if clip is None:
                unmatched += 1
                continue
            for number, word in enumerate(split_labels(row.emotion), start=1):
                who = rater if number == 1 else f"{rater} {number}"
                found.append((who, Label(clip=clip.id, answer=meanings[word])))
    if not found:
        raise LabellingError(f"{source}: no row has a label for a clip of {recordings}; are these the same recordings?")
    for who, label in found:
        store.add(who, label)
    return Imported(labels=len(found), raters=tuple(dict.fromkeys(who for who, _ in found)), unmatched=unmatched)


def _meanings(manifest: Manifest, emotions: tuple[str, ...], source: Path) -> dict[str, str]:
    """What each label means in the vocabulary.

    Raises:
        LabellingError: Some are outside it.
    """
    known, outside = emotion_map(custom(emotions)), []
    found: dict[str, str] = {}
    for word in dict.fromkeys(one for row in manifest.utterances if row.emotion for one in split_labels(row.emotion)):
        if word.strip().casefold() in NO_EMOTION:
            found[word] = word.strip().casefold()
            continue
        try:
            meaning = known.apply(word)
        except ManifestError:
            meaning = None
        if meaning is None:
            outside.append(word)
        else:
            found[word] = meaning
    if outside:
        told = "label is" if len(outside) == 1 else "labels are"
        raise LabellingError(
            f"{source}: {len(outside)} {told} outside the vocabulary ({', '.join(outside[:5])[:120]}); expected "
            f"{', '.join(emotions)}; nothing was imported: change the labels, or begin with other --emotions"
        )
    return found


def _clips_by_file(recordings: Path, clips: Sequence[LabelClip]) -> Mapping[str, list[LabelClip]]:
    found: dict[str, list[LabelClip]] = {}
    for clip in clips:
        found.setdefault(clip.path, []).append(clip)
        found.setdefault(Path(clip.path).name, []).append(clip)
    return found


def _clip_of(
    row: Utterance, manifest: Manifest, recordings: Path, clips: Mapping[str, list[LabelClip]]
) -> LabelClip | None:
    """The clip of a row: by its file, else by the name of the file where one recording alone has it."""
    if row.path is None:
        return None
    file = (manifest.folder / row.path).resolve()
    base = recordings.resolve()
    near = clips.get(file.relative_to(base).as_posix()) if file.is_relative_to(base) else None
    near = near or clips.get(row.path) or clips.get(Path(row.path).name, [])
    if len({clip.path for clip in near}) != 1:
        return None
    whole = row.start is None and row.end is None
    return next((clip for clip in near if _same(clip, row, whole)), None)


def _same(clip: LabelClip, row: Utterance, whole: bool) -> bool:
    if whole or (clip.start is None and clip.end is None):
        return whole and clip.start is None and clip.end is None
    far = 1e9
    begins, ends = (clip.start or 0.0, row.start or 0.0), (clip.end or far, row.end or far)
    shared, both = min(ends) - max(begins), max(ends) - min(begins)
    return shared > _CLOSE * both
