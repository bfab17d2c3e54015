"""GoEmotions: 54,263 comments of Reddit in 27 emotions and neutral, often several (Demszky et al., 2020, Apache-2.0).

The rows keep the corpus's own labels, joined by `|` where there are several; the map `goemotions-ekman7` maps them to
the authors' grouping. Texts are as published: names masked as `[NAME]`, quotation marks doubled where they were.
"""

from pathlib import Path
from typing import Final

from bimodal.data.corpora.info import CorpusInfo
from bimodal.data.corpora.reading import lines_of, made_manifest, split_files
from bimodal.data.labels import join_labels
from bimodal.errors import ManifestError
from bimodal.records import Utterance

FILES = {"train": "train.tsv", "dev": "dev.tsv", "test": "test.tsv"}
_NAMES = (
    "admiration amusement anger annoyance approval caring confusion curiosity desire disappointment disapproval",
    "disgust embarrassment excitement fear gratitude grief joy love nervousness optimism pride realization relief",
    "remorse sadness surprise neutral",
)
LABELS = tuple(name for line in _NAMES for name in line.split())  # in the order of their emotions.txt


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Comments of the official split, from the authors' TSV files or from a `manifest.csv` made of them.

    Args:
        source: Folder with `train.tsv`, `dev.tsv` and `test.tsv` (text, label numbers, id) anywhere below it, of the
            28 labels, not of a grouping; or with `manifest.csv`.

    Raises:
        ManifestError: If neither is there, or a row is not one of GoEmotions.
    """
    if files := split_files(source, FILES):
        return tuple(row for split, file in files.items() for row in _utterances(file, split))
    if manifest := made_manifest(source, ("labels28", "transcript", "split")):
        return tuple(_from_manifest(row) for row in manifest.utterances)
    raise ManifestError(
        f"{source}: no GoEmotions in this folder; expected {', '.join(FILES.values())} in one folder, or a "
        "manifest.csv made from them (with a column labels28)"
    )


def _utterances(file: Path, split: str) -> list[Utterance]:
    rows = []
    for line, text in enumerate(lines_of(file), start=1):
        try:
            comment, numbers, name = text.rsplit("\t", 2)
            labels = [LABELS[int(number)] for number in numbers.split(",") if int(number) >= 0 or _refuse(number)]
        except (ValueError, IndexError) as error:
            found = f"not a row of GoEmotions ({error}); expected text, label numbers 0 to 27, id"
            raise ManifestError(f"{file}:{line}: {found}, with tabs between") from error
        rows.append(_utterance(name.strip(), comment, labels, split))
    return rows


def _refuse(number: str) -> bool:
    raise ValueError(f"label number {number}")


def _utterance(name: str, comment: str, labels: list[str], split: str | None) -> Utterance:
    return Utterance(id=name, transcript=comment, emotion=join_labels(labels), split=split, lang="en")


def _from_manifest(row: Utterance) -> Utterance:
    labels = row.extra["labels28"].split("|")
    if unknown := sorted(set(labels) - set(LABELS)):
        raise ManifestError(f"utterance {row.id!r}: labels28 holds {unknown}, expected labels of GoEmotions")
    return _utterance(row.id, row.transcript or "", labels, row.split)


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="GoEmotions: comments of Reddit in 27 emotions and neutral, text only",
    languages=("en",),
    licence="Apache-2.0",
    citation="Demszky et al. 2020, ACL",
    url="https://github.com/google-research/google-research/tree/master/goemotions",
    files="the folder data (train.tsv, dev.tsv, test.tsv)",
)
