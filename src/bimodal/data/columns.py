"""Names of a manifest's columns: our own, those of other programs, and what is done with columns without a name."""

from collections.abc import Mapping, Sequence
from typing import Final

FIELDS: Final = ("id", "path", "start", "end", "transcript", "emotion", "speaker", "split", "lang", "dialogue")
ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("utt_id",),
    "path": ("file_name", "file", "audio", "audio_filepath", "filename", "filepath"),
    "transcript": ("text", "transcription"),
    "emotion": ("label",),
    "speaker": ("speaker_id", "spk_id"),
}
"""Names in Hugging Face's audiofolder (`file_name`), audformat (`file`), NeMo (`audio_filepath`) and others."""

EMOBOX: Final[Mapping[str, str]] = {"id": "key", "path": "wav", "emotion": "emo"}
PANDAS_INDEX: Final = "Unnamed: 0"
"""Name that pandas gives to the index of a table that it wrote and read again."""


def find_sources(columns: Sequence[str]) -> dict[str, str]:
    """The column that each field is read from: our own name, else an alias, both in any case.

    Example:
        >>> find_sources(["Path", "text", "label", "gender"])
        {'path': 'Path', 'transcript': 'text', 'emotion': 'label'}
    """
    folded = {name.casefold(): name for name in reversed(columns)}
    known = {**folded, **{name: name for name in columns}}
    emobox = EMOBOX if {"key", "wav"} <= set(columns) else {}
    sources: dict[str, str] = {}
    for name in FIELDS:
        names = (name, *ALIASES.get(name, ()), *filter(None, [emobox.get(name)]))
        found = next((known[one] for one in names if one in known), None)
        if found is not None and found not in sources.values():
            sources[name] = found
    return sources


def index_columns(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> set[int]:
    """Numbers of the columns that hold nothing: a table's index in front, and empty columns after a last delimiter.

    Args:
        columns: Names, empty for none.
        rows: Cells of each row, as many as columns.

    Example:
        >>> sorted(index_columns(["", "path", ""], [["0", "a.wav", ""], ["1", "b.wav", ""]]))
        [0, 2]
    """
    found = (
        {0}
        if columns and columns[0] in ("", PANDAS_INDEX) and all(row[0].strip().isdecimal() for row in rows)
        else set()
    )
    return found | {
        place for place, name in enumerate(columns) if not name and all(not row[place].strip() for row in rows)
    }
