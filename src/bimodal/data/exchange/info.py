"""What an exchange format is, for its module and for the table `EXCHANGE`."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bimodal.records import Manifest, Utterance


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadOptions:
    """How a format is read.

    Attributes:
        scratch: Empty folder for recordings that lie inside a file of the format.
        root: As in `read_manifest`.
        table: The table or part to read, of a format with several; empty for all.
    """

    scratch: Path
    root: Path | None = None
    table: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outgoing:
    """What a writer gets.

    Attributes:
        utterances: In order.
        files: The recording of each path of the utterances.
        name: Of the corpus; letters, digits, `-` and `_`.
        folder: To write into; empty.
    """

    utterances: tuple[Utterance, ...]
    files: Mapping[str, Path]
    name: str
    folder: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class ExchangeInfo:
    """A format that `bimodal convert` reads and writes.

    Attributes:
        read: Reads a folder or file; paths of the utterances are relative to the folder of `Manifest.path`. Raises
            `ManifestError`.
        write: Writes into an empty folder; yields one sentence for each thing that the format cannot hold.
        recognise: Whether a folder or file has this format, by its names.
        title: Name, and who reads it.
        files: What a folder of it holds.
    """

    read: Callable[[Path, ReadOptions], Manifest]
    write: Callable[[Outgoing], Iterator[str]]
    recognise: Callable[[Path], bool]
    title: str
    files: str
