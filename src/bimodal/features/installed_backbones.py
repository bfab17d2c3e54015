"""Backbones on this machine: those that are installed, and those in folders."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bimodal.errors import BackboneError
from bimodal.features.backbone import DESCRIPTION, BackboneDescription, find_family_name, read_description


@dataclass(frozen=True, kw_only=True)
class FoundBackbone:
    """A backbone on this machine.

    Attributes:
        name: What `speech_backbone` or `text_backbone` takes: the name of an installed one, or its folder.
        folder: Where it is.
        family: Its family.
        size: Bytes of its files.
        description: What it is.
    """

    name: str
    folder: Path
    family: str
    size: int
    description: BackboneDescription


def installed_folders() -> dict[str, Path]:
    """Folders of the installed backbones by name."""
    try:
        from bimodal_backbones import FOLDERS
    except ImportError:
        return {}
    return {name: Path(folder) for name, folder in FOLDERS.items()}


def list_backbones(places: Sequence[Path] = ()) -> list[FoundBackbone]:
    """The installed backbones, then those in some folders.

    Args:
        places: Folders of backbones, or folders with such folders in them.

    Raises:
        BackboneError: A place holds none, a description is damaged, or a file that it names is missing.
    """
    named = installed_folders() | {str(folder): folder for place in places for folder in _within(place)}
    return [_describe(name, folder) for name, folder in named.items()]


def _within(place: Path) -> Iterator[Path]:
    if (place / DESCRIPTION).is_file():
        yield place
        return
    found = sorted(file.parent for file in place.glob(f"*/{DESCRIPTION}"))
    if not found:
        what = "holds no backbone" if place.is_dir() else "no such folder"
        raise BackboneError(f"{place}: {what}; expected a folder that 'bimodal backbone build' wrote")
    yield from found


def _describe(name: str, folder: Path) -> FoundBackbone:
    description = read_description(folder)
    files = [folder / DESCRIPTION, *(folder / file for file in description.digests)]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise BackboneError(f"{missing[0]}: no such file; copy the whole backbone, or build it again")
    size = sum(file.stat().st_size for file in files)
    return FoundBackbone(
        name=name, folder=folder, family=find_family_name(description), size=size, description=description
    )
