"""EmoContext: three turns of a chat, and the emotion of the last (Chatterjee et al., 2019, SemEval). Text only."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bimodal.data.corpora.info import CorpusInfo
from bimodal.data.corpora.reading import lines_of
from bimodal.errors import ManifestError
from bimodal.records import Utterance

EMOTIONS = {"angry": "anger", "happy": "happiness", "others": "other", "sad": "sadness"}
FILES = {"train": "train.txt", "dev": "dev.txt", "test": "test.txt"}
HEADER = ["id", "turn1", "turn2", "turn3", "label"]


def prepare(source: Path) -> tuple[Utterance, ...]:
    """The turns of all chats. The first two of each have no emotion and serve as context.

    Args:
        source: Folder with `train.txt`, and `dev.txt` and `test.txt` if they have labels, anywhere below.

    Raises:
        ManifestError: No file, another header, or a label that the task does not have.
    """
    rows: list[Utterance] = []
    for split, name in FILES.items():
        for file in sorted(source.rglob(name))[:1]:
            rows += _chats(file, split)
    if not rows:
        raise ManifestError(f"{source}: no EmoContext below; expected train.txt with the columns {HEADER}")
    return tuple(rows)


def _chats(file: Path, split: str) -> Iterator[Utterance]:
    header, *lines = [line.rstrip("\r").split("\t") for line in lines_of(file)]
    if [cell.strip().lower() for cell in header] != HEADER:
        raise ManifestError(f"{file}:1: columns {header}, expected {HEADER}, separated by tabs")
    for number, cells in enumerate(lines, start=2):
        if len(cells) != len(HEADER) or cells[4] not in EMOTIONS:
            raise ManifestError(
                f"{file}:{number}: {len(cells)} cells ending in {cells[-1][:20]!r}, expected {len(HEADER)} with one of "
                f"{sorted(EMOTIONS)} at the end"
            )
        dialogue = f"{split}_{cells[0]}"
        for turn in range(3):
            yield Utterance(
                id=f"{dialogue}_{turn + 1}",
                transcript=cells[1 + turn].strip() or None,
                emotion=EMOTIONS[cells[4]] if turn == 2 else None,
                speaker=f"{dialogue}_{'aba'[turn]}",
                dialogue=dialogue,
                split=split,
                lang="en",
                extra={"turn": str(turn)},
            )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="EmoContext: chats of three turns, the last in three emotions or others, text only",
    languages=("en",),
    licence="terms of SemEval-2019",
    citation="Chatterjee et al. 2019, SemEval",
    url="https://www.humanizing-ai.com/emocontext.html",
    files="train.txt, and dev.txt and test.txt with labels",
)
