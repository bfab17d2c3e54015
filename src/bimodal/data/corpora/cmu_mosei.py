"""CMU-MOSEI: opinions of speakers on YouTube with the intensities of six emotions, and sentiment (Zadeh et al., 2018).

The raw corpus has `Transcript/Segmented/Combined/VIDEO.txt` (video, clip, start, end and words, with `___` between),
`Audio/Full/WAV_16000/VIDEO.wav`, and `Labels/*.csv` with the raters' intensities from 0 to 3 of each emotion and
sentiment from -3 to 3. The official parts are the lists of videos in `cmu_mosei_std_folds.py` of the CMU-MultimodalSDK;
put that file into the folder. Layout and columns: the reader in https://github.com/Strong-AI-Lab/emotion
(datasets/CMU-MOSEI). The labels `sentiment` are read from `label.csv` as for CMU-MOSI.
"""

import ast
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Final

from bimodal.data.corpora.cmu_mosi import read_clips
from bimodal.data.corpora.info import CorpusInfo
from bimodal.data.corpora.reading import decoded, lines_of, table_rows
from bimodal.data.labels import join_labels
from bimodal.errors import ManifestError
from bimodal.records import Utterance

log = logging.getLogger(__name__)

EMOTIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
RATED = ("sentiment", *EMOTIONS)
COLUMNS = ("Input.VIDEO_ID", "Input.CLIP", *(f"Answer.{name}" for name in RATED))
TEXTS, AUDIO = "Transcript/Segmented/Combined", "Audio/Full/WAV_16000"
FOLDS = "cmu_mosei_std_folds.py"
SPLITS = {"standard_train_fold": "train", "standard_valid_fold": "dev", "standard_test_fold": "test"}
MARK = "___"


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Clips with the emotions that the raters saw, as a soft target.

    A label stands once for each point of intensity that a rater gave, such as `happiness|happiness|anger`; clips in
    which nobody saw an emotion are `neutral`. Additional columns: `sentiment` (mean, -3 to 3) and the mean intensity of
    each emotion (0 to 3). Clips without ratings are left out, and counted in a warning of the log. A video is a
    dialogue, and its one speaker.

    Args:
        source: Folder with `Raw/` of the corpus anywhere below it, or `Raw` itself.

    Raises:
        ManifestError: A folder is missing, or a file has other lines or columns.
    """
    texts = next((folder for folder in sorted(source.rglob(TEXTS)) if folder.is_dir()), None)
    if texts is None:
        raise ManifestError(f"{source}: no {TEXTS} below; give the folder Raw of CMU-MOSEI")
    raw = texts.parents[2]
    ratings, splits = _ratings(raw / "Labels"), _splits(source)
    clips = [clip for file in sorted(texts.glob("*.txt")) for clip in _clips(file)]
    rated = [clip for clip in clips if f"{clip[0]}_{clip[1]}" in ratings]
    if not rated:
        raise ManifestError(f"{raw}: none of the {len(clips)} clips of {TEXTS} has ratings in Labels; copy them again")
    if len(rated) < len(clips):
        missing = len(clips) - len(rated)
        log.warning("CMU-MOSEI: %d of %d clips have no ratings and are left out", missing, len(clips))
    audio = (raw / AUDIO).relative_to(source).as_posix()
    return tuple(_utterance(clip, ratings[f"{clip[0]}_{clip[1]}"], audio, splits.get(clip[0])) for clip in rated)


def prepare_sentiment(source: Path) -> tuple[Utterance, ...]:
    """Clips with their sentiment, from `label.csv` and `Raw/VIDEO/CLIP.mp4`, as for CMU-MOSI.

    Raises:
        ManifestError: As for CMU-MOSI.
    """
    return read_clips(source, "CMU-MOSEI")


def _clips(file: Path) -> Iterator[tuple[str, str, float, float, str]]:
    """Video, number, start, end and words of each clip of a video."""
    for line, text in enumerate(lines_of(file), start=1):
        cells = text.split(MARK, maxsplit=4)
        try:
            video, clip, start, end, words = cells
            times = max(0.0, float(start)), float(end)  # some begin before the recording
        except ValueError as error:
            expected = f"video, clip, start, end and words, with {MARK} between"
            raise ManifestError(f"{file}:{line}: {len(cells)} cells ({error}), expected {expected}") from error
        if times[1] > times[0]:
            yield video, clip, *times, words.lstrip("_").strip()


def _ratings(folder: Path) -> Mapping[str, Sequence[Mapping[str, float]]]:
    """The ratings of each clip, one mapping a rater."""
    ratings: dict[str, list[Mapping[str, float]]] = defaultdict(list)
    for table in sorted(folder.glob("*.csv")):
        for line, row in table_rows(table, COLUMNS):
            clip = f"{row['Input.VIDEO_ID'].rpartition('/')[2]}_{row['Input.CLIP']}"
            try:
                ratings[clip].append({name: float(row[f"Answer.{name}"] or 0.0) for name in RATED})
            except ValueError as error:
                raise ManifestError(f"{table}:{line}: {error}, expected the ratings as numbers") from error
    return ratings


def _splits(source: Path) -> Mapping[str, str]:
    """The official part of each video; empty without the file of the lists, which is read and never run."""
    file = next(iter(sorted(source.rglob(FOLDS))), None)
    if file is None:
        return {}
    try:
        statements = ast.parse(decoded(file)).body
        lists = {
            target.id: ast.literal_eval(statement.value)
            for statement in statements
            if isinstance(statement, ast.Assign)
            for target in statement.targets
            if isinstance(target, ast.Name) and target.id in SPLITS
        }
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ManifestError(f"{file}: no lists of videos ({str(error)[:100]}); download it again") from error
    return {str(video): split for name, split in SPLITS.items() for video in lists.get(name, ())}


def _utterance(
    clip: tuple[str, str, float, float, str], ratings: Sequence[Mapping[str, float]], audio: str, split: str | None
) -> Utterance:
    video, number, start, end, words = clip
    points = [name for name in EMOTIONS for _ in range(round(sum(rating[name] for rating in ratings)))]
    return Utterance(
        id=f"{video}_{number}",
        path=f"{audio}/{video}.wav",
        start=start,
        end=end,
        transcript=words or None,
        emotion=join_labels(points) or "neutral",
        speaker=video,
        split=split,
        dialogue=video,
        lang="en",
        extra={"utterance": number, **{name: f"{fmean(one[name] for one in ratings):.4g}" for name in RATED}},
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="CMU-MOSEI: opinions of speakers on YouTube with intensities of six emotions, and sentiment",
    languages=("en",),
    licence="research only",
    citation="Zadeh et al. 2018, ACL",
    url="https://github.com/CMU-MultiComp-Lab/CMU-MultimodalSDK",
    files="the folder Raw (Transcript, Audio, Labels); for --labels sentiment, a folder with label.csv and Raw/",
    labels={"emotions": prepare, "sentiment": prepare_sentiment},
)
