"""TweetEval's emotion task: 5,052 tweets in four emotions, SemEval-2018 task 1 (Barbieri et al., 2020).

`optimism` is not in `ekman7`: there, those rows are dropped and counted.
"""

from pathlib import Path
from typing import Final

from bimodal.data.corpora.info import CorpusInfo
from bimodal.data.corpora.reading import lines_of, made_manifest
from bimodal.errors import ManifestError
from bimodal.records import Utterance

SPLITS = {"train": "train", "dev": "val", "test": "test"}
EMOTIONS = ("anger", "joy", "optimism", "sadness")
OTHER_WORDS = {"happiness": "joy"}  # as manifests made of the corpus may say
MAPPING = "mapping.txt"


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Tweets of the official split, from the published text files or from a `manifest.csv` made of them.

    Args:
        source: Folder of `datasets/emotion` or of the whole of TweetEval (recognised by its `mapping.txt`); or
            with `manifest.csv`.

    Raises:
        ManifestError: If neither is there, or texts and labels do not fit together.
    """
    for mapping in sorted(source.rglob(MAPPING)):
        if _labels(mapping) == EMOTIONS:
            return tuple(row for split in SPLITS for row in _utterances(mapping.parent, split))
    if (manifest := made_manifest(source, ("transcript", "emotion", "split"))) and _is_ours(manifest.utterances):
        return tuple(_numbered(manifest.utterances))
    raise ManifestError(
        f"{source}: no emotion task of TweetEval in this folder; expected {MAPPING}, train_text.txt, "
        "train_labels.txt and so on, or a manifest.csv made from them"
    )


def _labels(mapping: Path) -> tuple[str, ...]:
    """Labels of a task in the order of their numbers."""
    return tuple(line.partition("\t")[2].strip() for line in lines_of(mapping) if line.strip())


def _utterances(folder: Path, split: str) -> list[Utterance]:
    texts, labels = folder / f"{SPLITS[split]}_text.txt", folder / f"{SPLITS[split]}_labels.txt"
    tweets, numbers = lines_of(texts), [line.strip() for line in lines_of(labels)]
    if len(tweets) != len(numbers):
        raise ManifestError(f"{texts}: {len(tweets)} tweets but {len(numbers)} labels in {labels.name}; download both")
    known = {str(number): emotion for number, emotion in enumerate(EMOTIONS)}
    for line, number in enumerate(numbers, start=1):
        if number not in known:
            raise ManifestError(f"{labels}:{line}: label {number!r}, expected one of {sorted(known)}")
    pairs = enumerate(zip(tweets, numbers, strict=True), start=1)
    return [_utterance(split, row, tweet.strip(), known[number]) for row, (tweet, number) in pairs]


def _utterance(split: str | None, row: int, tweet: str, emotion: str | None) -> Utterance:
    return Utterance(id=f"{split}_{row}", transcript=tweet, emotion=emotion, split=split, lang="en")


def _is_ours(rows: tuple[Utterance, ...]) -> bool:
    """A manifest of tweets has the four emotions, and neither speakers nor recordings."""
    words = {OTHER_WORDS.get(row.emotion or "", row.emotion) for row in rows}
    return words == set(EMOTIONS) and not any(row.speaker or row.path for row in rows)


def _numbered(rows: tuple[Utterance, ...]) -> list[Utterance]:
    """The same ids as from the original files: the number of the row within its split."""
    seen: dict[str | None, int] = {}
    found = []
    for row in rows:
        seen[row.split] = seen.get(row.split, 0) + 1
        emotion = OTHER_WORDS.get(row.emotion or "", row.emotion)
        found.append(_utterance(row.split, seen[row.split], row.transcript or "", emotion))
    return found


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="TweetEval, task emotion: tweets in four emotions, text only",
    languages=("en",),
    licence="terms of Twitter and of SemEval-2018",
    citation="Barbieri et al. 2020, Findings of EMNLP; Mohammad et al. 2018, SemEval",
    url="https://github.com/cardiffnlp/tweeteval",
    files="the folder datasets/emotion",
)
