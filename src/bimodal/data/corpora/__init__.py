"""One module per corpus: `prepare(source)` reads the original files and gives utterances.

`prepare_corpus` writes them as a folder of one shape: `manifest.csv`, and the recordings below `audio/`.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from bimodal.data.corpora import emodb, emorynlp, emotiontts, goemotions, manifest, meld, ravdess, tweeteval
from bimodal.data.manifest import write_manifest
from bimodal.errors import ManifestError
from bimodal.files import atomic_write
from bimodal.records import Manifest, Problem, Utterance, describe_problems

PREPARE: Mapping[str, Callable[[Path], tuple[Utterance, ...]]] = {
    "emodb": emodb.prepare,
    "emorynlp": emorynlp.prepare,
    "emotiontts": emotiontts.prepare,
    "goemotions": goemotions.prepare,
    "manifest": manifest.prepare,
    "meld": meld.prepare,
    "ravdess": ravdess.prepare,
    "tweeteval": tweeteval.prepare,
}


def prepare_corpus(name: str, source: Path, out: Path) -> Manifest:
    """Writes a corpus as `out/manifest.csv` with its recordings below `out/audio/`.

    Recordings are hard-linked where the file system allows it (no space is used, and a link cannot lead out of the
    folder), and copied elsewhere. What is already there is kept, so an interrupted call is taken up by calling again;
    the manifest is written last.

    Args:
        name: A key of `PREPARE`; `manifest` is one's own.
        source: Where the original files are.
        out: Made if missing; may not lie within `source`.

    Raises:
        ManifestError: If the name or the source is wrong, recordings are missing, or a file cannot be written.
    """
    if name not in PREPARE:
        raise ManifestError(f"unknown corpus {name!r}, expected one of {sorted(PREPARE)}")
    source, out = Path(source), Path(out)
    if not source.exists():
        raise ManifestError(f"{source}: no such file or folder; give the place of the original {name} files")
    base = source if source.is_dir() else source.parent
    if out.resolve().is_relative_to(base.resolve()):
        raise ManifestError(f"{out}: lies within the source {base}; choose a folder outside it")
    utterances = PREPARE[name](source)
    paths = _link_recordings(sorted({row.path for row in utterances if row.path is not None}), base, out)
    rows = [row if row.path is None else replace(row, path=paths[row.path]) for row in utterances]
    out.mkdir(parents=True, exist_ok=True)
    return write_manifest(out / "manifest.csv", rows)


def _link_recordings(paths: list[str], base: Path, out: Path) -> dict[str, str]:
    """Puts every recording below `out/audio`; the new path of each, relative to `out`."""
    prefix = "" if all(path.startswith("audio/") for path in paths) else "audio/"
    problems = [
        Problem(where=str(base / path), message="no such recording") for path in paths if not (base / path).is_file()
    ]
    if problems:
        raise ManifestError(describe_problems(problems))
    for path in paths:
        try:
            _link((base / path).resolve(), out / (prefix + path))
        except OSError as error:
            raise ManifestError(f"{out / (prefix + path)}: cannot be written ({error.strerror})") from error
    return {path: prefix + path for path in paths}


def _link(original: Path, target: Path) -> None:
    """A hard link or a copy; complete or not there at all."""
    if target.exists():
        there, here = target.stat(), original.stat()
        if (there.st_size, there.st_mtime) == (here.st_size, here.st_mtime):  # as links and copies both have them
            return
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(target) as temporary:
        try:
            os.link(original, temporary)
        except OSError:  # another file system, or one without hard links
            shutil.copy2(original, temporary)
