"""WebDataset archives: tar files whose members with one name but the extension are one sample."""

import json
import tarfile
from collections.abc import Iterator, Mapping
from typing import Any, Final

from bimodal.audio.recordings import EXTENSIONS
from bimodal.data.columns import find_sources
from bimodal.data.manifest import read_utterance
from bimodal.errors import BimodalError
from bimodal.records import shortened
from bimodal.scale.records import Item, utterance_fields
from bimodal.scale.stores import opened

_TEXTS: Final = (".txt", ".json")
_LARGEST_TEXT: Final = 1 << 20  # bytes


def archive_items(name: str, url: str, size: int) -> Iterator[Item]:
    """The recordings of an archive in its order. Where it is cut or damaged, the last item says so.

    Args:
        name: Of the archive, for the tables.
        url: Where it lies.
        size: In bytes.

    Yields:
        An item for each member with the extension of a recording. `KEY.txt` holds its words; `KEY.json` may hold
        `transcript`, `speaker`, `start`, `end`, `id` and the other fields of a manifest.

    Raises:
        BimodalError: The archive cannot be opened.
    """
    recordings, texts, key, last = list[tarfile.TarInfo](), dict[str, bytes](), "", "its beginning"
    with opened(url) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r:") as archive:
                for member in archive:
                    archive.members = []  # type: ignore[attr-defined]  # otherwise the list of members grows with the archive
                    if not member.isfile() or member.name.rpartition("/")[2].startswith("."):
                        continue
                    stem, suffix = split_name(member.name)
                    if stem != key:
                        yield from _sample(name, url, size, recordings, texts)
                        recordings, texts, key = [], {}, stem
                    if suffix in _TEXTS and member.size <= _LARGEST_TEXT:
                        texts[suffix] = archive.extractfile(member).read()  # type: ignore[union-attr]
                    elif "." + suffix.rpartition(".")[2] in EXTENSIONS:
                        recordings.append(member)
                    last = member.name
            yield from _sample(name, url, size, recordings, texts)
        except (tarfile.TarError, EOFError, ValueError) as error:
            yield from _sample(name, url, size, recordings, texts)
            told = f"the archive is cut or damaged after {shortened(last)} ({error}); copy it again"
            yield Item(name=name, url=url, held_in=size, problem=f"{name}: {told}")


def split_name(member: str) -> tuple[str, str]:
    """The key of a sample and the extension of a member, which begins at the first dot of its last name.

    Example:
        >>> split_name("train/0001.left.WAV")
        ('train/0001', '.left.wav')
    """
    folder, slash, last = member.rpartition("/")
    stem, dot, suffix = last.partition(".")
    return f"{folder}{slash}{stem}", (dot + suffix).lower()


def _sample(
    name: str, url: str, size: int, recordings: list[tarfile.TarInfo], texts: Mapping[str, bytes]
) -> Iterator[Item]:
    """The recordings of one sample with what its texts say of them."""
    said, problem = _said(texts)
    for member in recordings:
        place = f"{name}/{member.name}".encode("utf-8", "backslashreplace").decode()
        yield Item(
            name=place,
            url=url,
            offset=member.offset_data,
            size=member.size,
            held_in=size,
            problem=problem and f"{place}: {problem}",
            **said,
        )


def _said(texts: Mapping[str, bytes]) -> tuple[dict[str, Any], str]:
    """The fields of an item that the texts of a sample give, and what is wrong with them."""
    cells: dict[str, str] = {}
    try:
        if ".json" in texts:
            cells = _cells(json.loads(texts[".json"]))
        if ".txt" in texts:
            words = texts[".txt"].decode("utf-8-sig").strip()
            cells = {name: cell for name, cell in cells.items() if "transcript" not in find_sources([name])}
            cells["transcript"] = words
        if not cells:
            return {}, ""
        sources = find_sources(list(cells))
        utterance, complaints = read_utterance(cells, sources, 1)
        known = cells.get(sources.get("id", ""), "").strip() or None
        return {**utterance_fields(utterance), "id": known}, "; ".join(complaints)
    except (ValueError, RecursionError, BimodalError) as error:
        return {}, f"its .txt or .json cannot be used ({shortened(str(error))})"


def _cells(content: Any) -> dict[str, str]:
    if not isinstance(content, dict):
        raise ValueError(f"found a {type(content).__name__}, expected an object")
    plain = {str(name): value for name, value in content.items() if not isinstance(value, dict | list)}
    return {name: "" if value is None else str(value) for name, value in plain.items()}
