"""CMU-MOSI: 2,199 opinions of speakers on YouTube, from negative to positive (Zadeh et al., 2016).

`label.csv` has a row for each clip `Raw/VIDEO/CLIP.mp4`: words, sentiment from -3 to 3, its sign as `annotation`, and
the official part as `mode`. Layout and columns: the reader in https://github.com/thuiar/MMSA-FET (dataset.py).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bimodal.data.corpora.counts import Published
from bimodal.data.corpora.info import CorpusInfo
from bimodal.data.corpora.reading import table_rows
from bimodal.errors import ManifestError
from bimodal.records import Utterance

TABLE = "label.csv"
COLUMNS = ("video_id", "clip_id", "text", "label", "annotation", "mode")
SENTIMENTS = ("negative", "neutral", "positive")
SPLITS = {"train": "train", "valid": "dev", "test": "test"}
SUFFIXES = (".wav", ".flac", ".mp4")  # the first one that is there is taken


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Clips with their sentiment: `negative`, `neutral` or `positive`; the vocabulary is `sentiment3`.

    Additional columns: `sentiment` (-3 to 3). A video is a dialogue, and its one speaker.

    Args:
        source: Folder with `label.csv` and `Raw/`.

    Raises:
        ManifestError: The table or a column of it is missing, or a row has a wrong label or part.
    """
    return read_clips(source, "CMU-MOSI")


def read_clips(source: Path, corpus: str) -> tuple[Utterance, ...]:
    """As `prepare`, of any corpus that has this layout."""
    table = next(iter(sorted(source.rglob(TABLE))), None)
    if table is None:
        raise ManifestError(f"{source}: no {TABLE} of {corpus} below; give the folder with {TABLE} and Raw/")
    return tuple(_utterance(row, table, line, source) for line, row in table_rows(table, COLUMNS))


def _utterance(row: Mapping[str, str], table: Path, line: int, source: Path) -> Utterance:
    video, clip, emotion = row["video_id"].strip(), row["clip_id"].strip(), row["annotation"].strip().lower()
    split = SPLITS.get(row["mode"].strip().lower())
    try:
        sentiment = float(row["label"])
    except (TypeError, ValueError):
        sentiment = 9.0
    if emotion not in SENTIMENTS or split is None or not -3.0 <= sentiment <= 3.0:
        found = f"annotation {row['annotation']!r}, mode {row['mode']!r}, label {row['label']!r}"
        expected = f"one of {SENTIMENTS}, one of {tuple(SPLITS)} and a number from -3 to 3"
        raise ManifestError(f"{table}:{line}: {found}; expected {expected}")
    places = [table.parent / "Raw" / video / f"{clip}{suffix}" for suffix in SUFFIXES]
    place = next((place for place in places if place.is_file()), places[-1])
    return Utterance(
        id=f"{video}_{clip}",
        path=place.relative_to(source).as_posix(),
        transcript=row["text"].strip() or None,
        emotion=emotion,
        speaker=video,
        split=split,
        dialogue=video,
        lang="en",
        extra={"sentiment": f"{sentiment:g}", "utterance": clip},
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="CMU-MOSI: opinions of speakers on YouTube, from negative to positive",
    languages=("en",),
    licence="research only",
    citation="Zadeh et al. 2016, IEEE Intelligent Systems 31(6)",
    url="https://github.com/CMU-MultiComp-Lab/CMU-MultimodalSDK",
    files="a folder with label.csv and Raw/ (Raw/03bSnISJMiM/1.mp4, ...)",
    published=Published(utterances=2_199, splits={"train": 1_284, "dev": 229, "test": 686}),
)
