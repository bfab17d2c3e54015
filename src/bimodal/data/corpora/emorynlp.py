"""EmoryNLP: dialogues of the series Friends in seven emotions of its own (Zahiri and Choi, 2018, Apache-2.0).

It is the series of MELD, and it contains a fifth of MELD's longer test utterances verbatim: never report MELD for a
model trained on EmoryNLP. The map `emorynlp-ekman7` maps its labels to Ekman's; `peaceful` and `powerful` are dropped.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from bimodal.data.corpora.info import CorpusInfo
from bimodal.data.corpora.reading import decoded, made_manifest, split_files, table_rows
from bimodal.errors import ManifestError
from bimodal.records import Utterance

JSON = {
    "train": "emotion-detection-trn.json",
    "dev": "emotion-detection-dev.json",
    "test": "emotion-detection-tst.json",
}
TABLES = {split: f"emorynlp_{split}_final.csv" for split in ("train", "dev", "test")}
NEEDED = ("Utterance", "Speaker", "Emotion", "Scene_ID", "Utterance_ID", "Season", "Episode")
NAME = re.compile(r"(s\d+_e\d+_c\d+)_u(\d+)", re.ASCII)
SCENE = re.compile(r"(\d+)_(\d+)_(\d+)", re.ASCII)


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances of the official split, from the authors' JSON, declare-lab's CSV, or a `manifest.csv` made of them.

    The CSV files hold 9,489 of the 12,606 utterances of the JSON files, those with times. Ids and dialogues are those
    of the JSON files (`s01_e02_c01_u002`, `s01_e02_c01`) whatever was read; the names of several who speak at once are
    joined by `, `.

    Args:
        source: Folder with the three files anywhere below it, or with `manifest.csv`.

    Raises:
        ManifestError: If none is there, or a file breaks off or has other fields.
    """
    if files := split_files(source, JSON):
        return tuple(row for split, file in files.items() for row in _from_json(file, split))
    if files := split_files(source, TABLES):
        return tuple(row for split, file in files.items() for row in _from_table(file, split))
    manifest = made_manifest(source, ("dialogue", "utterance", "speaker", "emotion", "split"))
    if manifest and all(SCENE.fullmatch(row.dialogue or "") for row in manifest.utterances):
        return tuple(_from_manifest(row) for row in manifest.utterances)
    expected = f"{', '.join(JSON.values())} or {', '.join(TABLES.values())}"
    raise ManifestError(f"{source}: no EmoryNLP in this folder; expected {expected}, or a manifest.csv made from them")


def _from_json(file: Path, split: str) -> list[Utterance]:
    try:
        return [_utterance(split=split, **cells) for cells in _spoken(json.loads(decoded(file)))]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ManifestError(f"{file}: not a file of EmoryNLP ({error!r}); download it again") from error


def _spoken(content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Arguments of `_utterance` for every utterance of a file; those without an emotion are not part of the corpus."""
    for episode in content["episodes"]:
        for scene in episode["scenes"]:
            for spoken in scene["utterances"]:
                match = NAME.fullmatch(spoken["utterance_id"])
                if match is None:
                    raise ValueError(f"utterance_id {spoken['utterance_id']!r}")
                if spoken.get("emotion"):
                    yield {
                        "dialogue": match[1],
                        "number": match[2],
                        "words": spoken["transcript"],
                        "speakers": spoken["speakers"],
                        "emotion": spoken["emotion"],
                    }


def _from_table(file: Path, split: str) -> list[Utterance]:
    rows = []
    for line, row in table_rows(file, NEEDED):
        try:
            rows.append(
                _utterance(
                    dialogue=_dialogue(row["Season"], row["Episode"], row["Scene_ID"]),
                    number=row["Utterance_ID"],
                    words=row["Utterance"],
                    speakers=ast.literal_eval(row["Speaker"]),
                    emotion=row["Emotion"],
                    split=split,
                )
            )
        except (ValueError, TypeError, SyntaxError, AttributeError) as error:
            raise ManifestError(f"{file}:{line}: not a row of EmoryNLP ({error})") from error
    return rows


def _from_manifest(row: Utterance) -> Utterance:
    """A row of a manifest, where several speakers may still have the quotation marks of a Python list between them."""
    return _utterance(
        dialogue=_dialogue(*(row.dialogue or "").split("_")),
        number=row.extra["utterance"],
        words=row.transcript or "",
        speakers=(row.speaker or "").split("', '"),
        emotion=row.emotion or "",
        split=row.split,
    )


def _dialogue(season: str, episode: str, scene: str) -> str:
    return f"s{int(season):02}_e{int(episode):02}_c{int(scene):02}"


def _utterance(
    *, dialogue: str, number: str, words: str, speakers: list[str], emotion: str, split: str | None
) -> Utterance:
    return Utterance(
        id=f"{dialogue}_u{int(number):03}",
        transcript=words.strip(),
        emotion=emotion.strip().lower(),
        speaker=", ".join(speakers),
        split=split,
        lang="en",
        dialogue=dialogue,
        extra={"utterance": str(int(number))},
    )


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="EmoryNLP: dialogues of Friends in seven emotions, text only",
    languages=("en",),
    licence="Apache-2.0",
    citation="Zahiri and Choi 2018, AAAI workshops",
    url="https://github.com/emorynlp/emotion-detection",
    files="the repository (json/emotion-detection-trn.json, ...)",
)
