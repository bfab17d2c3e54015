"""Several corpora as one: their label map, and what any two of them share."""

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bimodal.config import TrainConfig
from bimodal.data.leaks import repeated_rows, same_recordings
from bimodal.data.manifest import read_manifest
from bimodal.data.splits import count_text_overlap
from bimodal.errors import BimodalError, SplitError
from bimodal.evaluation.predict import really_paired
from bimodal.records import Manifest, Utterance
from bimodal.training.rows import LabelledRows, label_rows

_NUMBERED: Final = re.compile(r"(s|spk|speaker|actor|subject|id|p|m|f|male|female)?[ _-]?0*\d+|[a-z]", re.IGNORECASE)
"""Names that corpora give to different persons, such as `03` or `speaker_7`."""

_MOST_NAMED: Final = 4


@dataclass(frozen=True, kw_only=True)
class LabelMap:
    """Which emotions each corpus has, and what is left of it.

    Attributes:
        emotions: Those that all corpora have, in the order of the vocabulary.
        counts: Rows of each emotion, by corpus.
        dropped: Rows that are left out, by corpus and reason.
        kept: Rows that are used, by corpus.
    """

    emotions: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]
    dropped: Mapping[str, Mapping[str, int]]
    kept: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Corpora:
    """Several corpora as one list of rows.

    Attributes:
        names: Of the corpora, in the order given.
        rows: Of all; ids and speakers begin with the name of the corpus.
        places: Row numbers of each corpus.
        folder: Folder that paths are relative to.
        labels: What became of their labels.
        notes: Sentences on what the corpora share.
        caveat: The same, for what a name had to allow; empty for nothing.
    """

    names: tuple[str, ...]
    rows: LabelledRows
    places: Mapping[str, tuple[int, ...]]
    folder: Path
    labels: LabelMap
    notes: tuple[str, ...]
    caveat: str = ""


def read_corpora(paths: Sequence[Path], config: TrainConfig, allow_overlap: str = "") -> Corpora:
    """Read manifests as one, with the emotions that all of them have.

    Args:
        paths: Two or more manifests. A corpus is called like its manifest's folder, or like the manifest.
        config: Names the vocabulary.
        allow_overlap: Name under which speakers and recordings may be in two corpora; empty refuses them.

    Raises:
        BimodalError: A problem with a manifest, fewer than two common emotions, or an overlap that no name allows.
    """
    if len(paths) < 2:
        raise BimodalError(f"{len(paths)} manifest given, expected two or more: one to train on, another to test on")
    read = dict(zip(corpus_names(paths), (read_manifest(path) for path in paths), strict=True))
    labelled = {name: _labelled(name, manifest, config) for name, manifest in read.items()}
    labels = map_labels(labelled)
    if len(labels.emotions) < 2:
        raise BimodalError(
            f"the corpora have {_few(labels)}, at least 2 are needed; --set vocabulary=NAME may join more"
        )
    folder = Path(os.path.commonpath([manifest.folder.resolve() for manifest in read.values()]))
    utterances = [
        _renamed(name, read[name], folder, utterance)
        for name, rows in labelled.items()
        for utterance in _common(rows, labels.emotions)
    ]
    rows = label_rows(utterances, config.vocabulary, labels.emotions, config.multiple_labels)
    corpus = [utterance.extra["corpus"] for utterance in rows.utterances]
    places = {name: tuple(row for row, one in enumerate(corpus) if one == name) for name in read}
    notes, caveat = _shared(rows.utterances, folder, tuple(read), allow_overlap or config.official_split)
    return Corpora(
        names=tuple(read), rows=rows, places=places, folder=folder, labels=labels, notes=notes, caveat=caveat
    )


def corpus_names(paths: Sequence[Path]) -> list[str]:
    """A name for each manifest: its folder's, or its own where folders have the same name.

    Example:
        >>> corpus_names([Path("ravdess/manifest.csv"), Path("emodb/manifest.csv")])
        ['ravdess', 'emodb']
        >>> corpus_names([Path("data/a.csv"), Path("data/b.csv")])
        ['a', 'b']
    """
    folders, stems = [path.absolute().parent.name for path in paths], [path.stem for path in paths]
    for names in (folders, stems, [f"{folder}-{stem}" for folder, stem in zip(folders, stems, strict=True)]):
        if len(set(names)) == len(names) and all(names):
            return names
    return [f"{name}-{number}" for number, name in enumerate(folders, start=1)]


def _labelled(name: str, manifest: Manifest, config: TrainConfig) -> LabelledRows:
    try:
        utterances = really_paired(manifest.utterances, [])
        return label_rows(utterances, config.vocabulary, multiple_labels=config.multiple_labels)
    except BimodalError as error:
        raise BimodalError(f"{manifest.path} ({name}): {error}") from error


def map_labels(labelled: Mapping[str, LabelledRows]) -> LabelMap:
    """What the corpora have in common.

    Args:
        labelled: Rows by corpus.
    """
    counts = {name: Counter(rows.names(range(len(rows.utterances)))) for name, rows in labelled.items()}
    order = list(dict.fromkeys(emotion for rows in labelled.values() for emotion in rows.emotions))
    common = tuple(emotion for emotion in order if all(found[emotion] for found in counts.values()))
    dropped = {
        name: {
            **rows.dropped,
            **{f"{one} is not in all corpora": counts[name][one] for one in rows.emotions if one not in common},
        }
        for name, rows in labelled.items()
    }
    kept = {name: sum(found[emotion] for emotion in common) for name, found in counts.items()}
    return LabelMap(emotions=common, counts=counts, dropped=dropped, kept=kept)


def describe_labels(labels: LabelMap) -> list[str]:
    r"""The label map in words: what is common, and for each corpus what it has and what is left out.

    Example:
        >>> labels = LabelMap(emotions=("joy", "fear"), counts={"a": {"joy": 2, "fear": 1, "calm": 3}},
        ...                   dropped={"a": {"calm is not in all corpora": 3}}, kept={"a": 3})
        >>> print(*describe_labels(labels), sep="\n")
        emotions in common: joy, fear
        a: 3 rows are used (joy 2, fear 1); left out: 3 rows (calm is not in all corpora)
    """
    lines = [f"emotions in common: {', '.join(labels.emotions)}"]
    for name, counts in labels.counts.items():
        used = ", ".join(f"{emotion} {counts[emotion]}" for emotion in labels.emotions)
        out = ", ".join(f"{count} rows ({reason})" for reason, count in labels.dropped[name].items())
        lines.append(f"{name}: {labels.kept[name]:,} rows are used ({used})" + (f"; left out: {out}" if out else ""))
    return lines


def _few(labels: LabelMap) -> str:
    """The sentence for corpora that have too little in common."""
    each = "; ".join(f"{name} has {', '.join(sorted(found))}" for name, found in labels.counts.items())
    return f"{len(labels.emotions)} emotions in common ({each})"


def _common(rows: LabelledRows, emotions: Sequence[str]) -> list[Utterance]:
    """The utterances that name an emotion which all corpora have."""
    wanted = [rows.emotions.index(emotion) for emotion in emotions]
    if rows.targets.ndim == 1:
        return [one for one, target in zip(rows.utterances, rows.targets, strict=True) if target in wanted]
    return [one for one, target in zip(rows.utterances, rows.targets, strict=True) if target[wanted].sum() > 0]


def _renamed(name: str, manifest: Manifest, folder: Path, utterance: Utterance) -> Utterance:
    """The utterance under names that no other corpus uses."""
    path = utterance.path and os.path.relpath(os.path.abspath(manifest.folder / utterance.path), folder)  # noqa: PTH100
    return replace(
        utterance,
        id=f"{name}/{utterance.id}",
        path=path,
        speaker=utterance.speaker and f"{name}/{utterance.speaker}",
        dialogue=utterance.dialogue and f"{name}/{utterance.dialogue}",
        split=None,
        extra={**utterance.extra, "corpus": name},
    )


def _shared(
    utterances: Sequence[Utterance], folder: Path, names: Sequence[str], allowed: str
) -> tuple[tuple[str, ...], str]:
    """Sentences on what corpora share: harmless, and allowed by a name.

    Raises:
        SplitError: They share recordings or speakers, and no name allows it.
    """
    faults, notes = _shared_recordings(utterances, folder), list[str]()
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            wrong, told = _shared_speakers(utterances, one, other)
            faults += wrong
            notes += [*told, *_shared_texts(utterances, one, other)]
    if faults and not allowed:
        raise SplitError(
            f"{'; '.join(faults)}: a test on another corpus needs other recordings and speakers; leave them out of one "
            "manifest, or accept it under a name that the report repeats: --allow-overlap NAME"
        )
    accepted = f"accepted as {allowed!r}"
    return tuple(notes), f"WARNING: {'; '.join(faults)}; {accepted}." if faults else ""


def _shared_recordings(utterances: Sequence[Utterance], folder: Path) -> list[str]:
    files = [folder / row.path if row.path else None for row in utterances]
    numbers = same_recordings([file for file in files if file is not None])
    pairs = repeated_rows(utterances, [None if file is None else numbers[file] for file in files])
    crossing: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for first, second in pairs:
        one, other = (utterances[row].extra["corpus"] for row in (first, second))
        if one != other:
            crossing.setdefault((one, other), []).append((first, second))
    return [
        f"{one} and {other} share {len(found)} recordings, such as {utterances[found[0][0]].path!r} and "
        f"{utterances[found[0][1]].path!r}"
        for (one, other), found in crossing.items()
    ]


def _shared_speakers(utterances: Sequence[Utterance], one: str, other: str) -> tuple[list[str], list[str]]:
    """Sentences on speakers of the same name: persons by their names, and mere numbers."""
    known = [
        {row.speaker.removeprefix(f"{name}/") for row in utterances if row.extra["corpus"] == name and row.speaker}
        for name in (one, other)
    ]
    common = sorted(known[0] & known[1])
    persons = [name for name in common if not _NUMBERED.fullmatch(name)]
    numbers = [name for name in common if _NUMBERED.fullmatch(name)]
    wrong = [f"{one} and {other} both have the speakers {_some(persons)}"] if persons else []
    told = [f"{one} and {other} both have speakers called {_some(numbers)}; they count as different persons"]
    return wrong, told if numbers else []


def _shared_texts(utterances: Sequence[Utterance], one: str, other: str) -> list[str]:
    """A sentence on texts that stand in both."""
    first, second = ([row.transcript for row in utterances if row.extra["corpus"] == name] for name in (one, other))
    found = count_text_overlap(first, second, f"texts in {one} and {other}")
    return [str(found)] if found.shared else []


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:_MOST_NAMED])) + (
        f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    )
