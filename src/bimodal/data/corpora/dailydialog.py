"""DailyDialog: dialogues of learners of English, with an emotion for each turn (Li et al., 2017, CC BY-NC-SA 4.0).

A line of `dialogues_text.txt` is a dialogue, its turns end with `__eou__`; the same line of `dialogues_emotion.txt` has
a number for each turn. Text only.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bimodal.data.corpora.info import CorpusInfo
from bimodal.data.corpora.reading import lines_of
from bimodal.errors import ManifestError
from bimodal.records import Utterance

EMOTIONS = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")  # 0 is "no emotion"
SPLITS = {"train": "train", "validation": "dev", "test": "test"}
END = "__eou__"


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Turns of all dialogues: of the official parts where these are unpacked, else without a split.

    Args:
        source: The unpacked archive (`train/dialogues_train.txt`, ...), or a folder with `dialogues_text.txt`.

    Raises:
        ManifestError: A file is missing, or texts and emotions do not fit each other.
    """
    parts = [
        (split, file) for name, split in SPLITS.items() for file in sorted(source.rglob(f"dialogues_{name}.txt"))[:1]
    ]
    whole = [("", file) for file in sorted(source.rglob("dialogues_text.txt"))[:1]]
    rows = [row for split, file in parts or whole for row in _part(file, split)]
    if not rows:
        raise ManifestError(
            f"{source}: no DailyDialog below; expected files such as train/dialogues_train.txt, unpacked, or "
            "dialogues_text.txt"
        )
    return tuple(rows)


def _part(file: Path, split: str) -> Iterator[Utterance]:
    labels = file.with_name(file.name.replace("dialogues_text", "dialogues").replace("dialogues", "dialogues_emotion"))
    texts, emotions = lines_of(file), lines_of(labels)
    if len(texts) != len(emotions):
        raise ManifestError(f"{labels}: {len(emotions)} dialogues, {file.name} has {len(texts)}; copy the corpus again")
    for number, (text, told) in enumerate(zip(texts, emotions, strict=True), start=1):
        turns, codes = text.split(END)[:-1], told.split()
        wrong = [code for code in codes if not (code.isdigit() and int(code) < len(EMOTIONS))]
        if len(turns) != len(codes) or wrong:
            found = f"{len(codes)} emotions for {len(turns)} turns" if not wrong else f"emotion {wrong[0]!r}"
            raise ManifestError(f"{labels}:{number}: {found}, expected a number from 0 to 6 for each turn")
        for turn, (words, code) in enumerate(zip(turns, codes, strict=True)):
            dialogue = f"{split}_{number}".lstrip("_")
            yield Utterance(
                id=f"{dialogue}_{turn}",
                transcript=words.strip() or None,
                emotion=EMOTIONS[int(code)],
                speaker=f"{dialogue}_{'ab'[turn % 2]}",
                dialogue=dialogue,
                split=split or None,
                lang="en",
                extra={"turn": str(turn)},
            )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="DailyDialog: dialogues of learners of English in six emotions and neutral, text only",
    languages=("en",),
    licence="CC BY-NC-SA 4.0",
    citation="Li et al. 2017, IJCNLP",
    url="http://yanran.li/dailydialog",
    files="the unpacked archive, its parts unpacked too (train/dialogues_train.txt, ...)",
)
