"""What the modules of corpora share whose file names say all: finding the recordings."""

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from bimodal.errors import ManifestError

log = logging.getLogger(__name__)

AUDIO = (".wav", ".flac")
"""Formats of the published recordings, and of copies that save space."""


def find_named(
    source: Path,
    pattern: re.Pattern[str],
    *,
    corpus: str,
    example: str,
    complete: int = 0,
    suffixes: Sequence[str] = AUDIO,
) -> list[tuple[re.Match[str], str]]:
    """Recordings below a folder whose path ends as a corpus names its files, sorted by their names.

    A second copy of a name is left out. A warning of the log counts copies, and what is missing of the whole corpus.

    Args:
        source: Folder that the archive was unpacked in.
        pattern: Searched in the path below `source`, without extension, with `/` between folders. Let it end with `$`.
        corpus: Its name, for messages.
        example: Path of a file, for messages.
        complete: Number of recordings that were published; 0 if that is not known, or `CorpusInfo.published` says it.
        suffixes: Endings of the recordings.

    Returns:
        The match and the path relative to `source` of each recording.

    Raises:
        ManifestError: No file fits.
    """
    found: dict[str, tuple[re.Match[str], str]] = {}
    copies = 0
    for file in sorted(source.rglob("*")):
        if file.suffix.lower() not in suffixes or file.name.startswith("."):
            continue
        path = file.relative_to(source)
        if match := pattern.search(path.with_suffix("").as_posix()):
            copies += match[0] in found
            found.setdefault(match[0], (match, path.as_posix()))
    if not found:
        raise ManifestError(f"{source}: no recordings of {corpus} below; expected files such as {example}")
    if copies or (complete and len(found) != complete):
        whole = f" of {complete:,}" if complete else ""
        log.warning("%s: %d%s recordings found; %d second copies skipped", corpus, len(found), whole, copies)
    return [found[name] for name in sorted(found)]
