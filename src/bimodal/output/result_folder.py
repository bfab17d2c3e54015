"""Results in a folder, one file per recording. A second run continues an interrupted one.

During recognition, results are appended to a journal. When the recording is complete, its file is written from the
journal in one step.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from bimodal.audio.recordings import Recording
from bimodal.errors import BimodalError
from bimodal.files import atomic_write, write_json
from bimodal.output.formats import find_format, write_recordings
from bimodal.records import Recognition

SETTINGS: Final = "settings.json"


class ResultFolder:
    """A folder of results.

    Args:
        folder: Path; created if missing.
        kind: Format of the files.
        settings: All settings that affect the results. A folder with other settings is refused.

    Raises:
        BimodalError: The folder holds results with other settings.
    """

    def __init__(self, folder: Path, kind: str, settings: Mapping[str, str]) -> None:
        self.folder, self._kind = folder, kind
        folder.mkdir(parents=True, exist_ok=True)
        _check_settings(folder / SETTINGS, {**settings, "format": kind})

    def file(self, recording: Recording) -> Path:
        """Path of a recording's results."""
        return self.folder / recording.place.with_name(recording.place.name + find_format(self._kind).suffix)

    def check_places(self, recordings: Sequence[Recording]) -> None:
        """Refuse recordings whose results would have the same path.

        Raises:
            BimodalError: Two recordings have the same result path.
        """
        places: dict[Path, Recording] = {}
        for recording in recordings:
            other = places.setdefault(recording.place, recording)
            if other is not recording:
                raise BimodalError(
                    f"{other.name} and {recording.name} would both be written to {self.file(recording)}; give a common "
                    "parent folder, or run the command twice"
                )

    def is_done(self, recording: Recording) -> bool:
        """Whether its results exist and are newer than the recording."""
        return _younger(self.file(recording), recording.path)

    def ends(self, recording: Recording) -> dict[str | None, float]:
        """End of each speaker's results from an interrupted run; empty if the recording has changed since."""
        journal = self._journal(recording)
        if not _younger(journal, recording.path):
            journal.unlink(missing_ok=True)
            return {}
        _cut_rest(journal)
        found: dict[str | None, float] = {}
        for result in _read(journal):
            found[result.speaker] = max(found.get(result.speaker, 0.0), result.end or 0.0)
        return found

    def forget(self, recording: Recording) -> None:
        """Delete the results of an interrupted run."""
        self._journal(recording).unlink(missing_ok=True)

    def add(self, recording: Recording, result: Recognition) -> None:
        """Append a result to the recording's journal."""
        journal = self._journal(recording)
        journal.parent.mkdir(parents=True, exist_ok=True)
        with journal.open("ab") as stream:
            stream.write(msgspec.json.encode(result) + b"\n")

    def finish(self, recording: Recording) -> None:
        """Write the recording's file from its complete journal."""
        journal, file = self._journal(recording), self.file(recording)
        with atomic_write(file) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as text:
            write_recordings(((recording.name, result) for result in _read(journal)), text, self._kind)
        journal.unlink()

    def _journal(self, recording: Recording) -> Path:
        file = self.file(recording)
        return file.with_name(f".{file.name}.journal")


def _check_settings(file: Path, settings: Mapping[str, str]) -> None:
    if file.exists():
        try:
            before = msgspec.json.decode(file.read_bytes(), type=dict[str, str])
        except msgspec.MsgspecError as error:
            raise BimodalError(f"{file}: damaged ({error}); choose a new folder") from error
        other = [
            f"{name} {before.get(name, 'none')!r} instead of {settings.get(name, 'none')!r}"
            for name in dict.fromkeys([*settings, *before])
            if before.get(name) != settings.get(name)
        ]
        if other:
            raise BimodalError(
                f"{file.parent}: contains results with other settings ({', '.join(other)}); choose a new folder"
            )
    else:
        write_json(file, settings)


def _younger(file: Path, recording: Path) -> bool:
    return file.exists() and recording.exists() and file.stat().st_mtime >= recording.stat().st_mtime


def _cut_rest(journal: Path) -> None:
    """Delete an incomplete last line, left by a killed process."""
    content = journal.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(journal, whole)


def _read(journal: Path) -> Iterator[Recognition]:
    with journal.open("rb") as stream:
        for line in stream:
            yield msgspec.json.decode(line, type=Recognition)
