"""MELD: dialogues of the series Friends in seven emotions, with an official split (Poria et al., 2019).

Its official split shares speakers: 96 % of the test rows are by speakers of the training part. `MELD.Raw` has the clips
as videos, `train_splits/dia0_utt0.mp4`, `dev_splits_complete/...` and `output_repeated_splits_test/...`; their sound is
read. The clip dia125_utt3 of the training part is broken, and dia110_utt7 of the dev part is missing (the reader in
https://github.com/Strong-AI-Lab/emotion, datasets/MELD).
"""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bimodal.data.corpora.counts import Published
from bimodal.data.corpora.info import CorpusInfo
from bimodal.data.corpora.reading import made_manifest, table_rows
from bimodal.errors import ManifestError
from bimodal.records import Utterance

log = logging.getLogger(__name__)

FILES = {"train": "train_sent_emo.csv", "dev": "dev_sent_emo.csv", "test": "test_sent_emo.csv"}
EXTRA = {"Sentiment": "sentiment", "Season": "season", "Episode": "episode", "Utterance_ID": "utterance"}
EXTRA |= {"StartTime": "episode_start", "EndTime": "episode_end"}
NEEDED = {"Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID"}
AUDIO = (".mp4", ".flac", ".wav")  # the last one that is there is taken
CLIP = re.compile(r"dia(\d+)_utt(\d+)", re.ASCII)


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances of the official split, from the official CSV files or from a `manifest.csv` made of them.

    The clips `dia{d}_utt{u}` (`.wav`, `.flac` or `.mp4`) are taken from the folders below `source` whose name contains
    the split; utterances without a clip are text only. Dialogue ids are made unique over the splits (`train_0`).

    Args:
        source: Folder with the three CSV files anywhere below it, or with `manifest.csv`; paths are relative to it.

    Raises:
        ManifestError: If neither is there, or a file has other columns or breaks off.
    """
    tables = {split: sorted(source.rglob(name)) for split, name in FILES.items()}
    if all(tables.values()):
        clips = _clips(source)
        rows = [row for split, files in tables.items() for row in _utterances(files[0], split, clips)]
        without = sum(row.path is None for row in rows)
        if clips and without:
            log.warning("MELD: %d of %d utterances have no clip and stay text only", without, len(rows))
        return tuple(rows)
    if manifest := made_manifest(source, ("sentiment", "dialogue", "split")):
        return manifest.utterances
    missing = [name for split, name in FILES.items() if not tables[split]]
    raise ManifestError(
        f"{source}: no complete MELD in this folder, {', '.join(missing)} missing; give these files, or a "
        "manifest.csv made from MELD"
    )


def _clips(source: Path) -> Mapping[tuple[str, int, int], str]:
    """Path of each clip, by split, dialogue and utterance."""
    files = [file for suffix in AUDIO for file in sorted(source.rglob(f"dia*_utt*{suffix}"))]
    clips = {}
    for file in files:
        path = file.relative_to(source)
        match = CLIP.fullmatch(file.stem)
        split = next((name for name in FILES for folder in path.parts[:-1] if name in folder.lower()), None)
        if match and split:
            clips[split, int(match[1]), int(match[2])] = path.as_posix()
    return clips


def _utterances(file: Path, split: str, clips: Mapping[tuple[str, int, int], str]) -> list[Utterance]:
    utterances = []
    for line, row in table_rows(file, NEEDED):
        try:
            utterances.append(_utterance(row, split, clips))
        except (TypeError, ValueError, AttributeError) as error:
            raise ManifestError(f"{file}:{line}: not a row of MELD ({error})") from error
    return utterances


def _utterance(row: Mapping[str, str], split: str, clips: Mapping[tuple[str, int, int], str]) -> Utterance:
    dialogue, number = int(row["Dialogue_ID"]), int(row["Utterance_ID"])
    return Utterance(
        id=f"{split}_dia{dialogue}_utt{number}",
        path=clips.get((split, dialogue, number)),
        transcript=_mended(row["Utterance"]),
        emotion=row["Emotion"].strip(),
        speaker=_mended(row["Speaker"]).strip(),
        split=split,
        lang="en",
        dialogue=f"{split}_{dialogue}",
        extra={ours: row[theirs].strip() for theirs, ours in EXTRA.items() if row.get(theirs) is not None},
    )


def _mended(text: str) -> str:
    """Control characters 80 to 9F are typographic quotes of cp1252 that were read as Latin-1."""
    return re.sub("[\x80-\x9f]", lambda match: match[0].encode("latin-1").decode("cp1252", errors="ignore"), text)


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="MELD: dialogues of Friends in seven emotions, with an official split",
    languages=("en",),
    licence="GPL-3.0",
    citation="Poria et al. 2019, ACL",
    url="https://github.com/declare-lab/MELD",
    files="MELD.Raw, unpacked (train_sent_emo.csv, ..., and the clips)",
    published=Published(
        utterances=13_708,
        splits={"train": 9_989, "dev": 1_109, "test": 2_610},
    ),
)
