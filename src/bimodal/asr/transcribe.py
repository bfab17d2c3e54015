"""Transcripts of a manifest's recordings by speech recognition: resumable; a bad recording does not stop the others.

Transcriptions are stored in a notebook, a file with one JSON line per utterance, keyed by content: the same
recording is transcribed once with a model and a task, whatever manifest names it.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from bimodal.asr.whisper import Task, Transcriber, Transcription
from bimodal.audio.decode import load_signal
from bimodal.data.manifest import ManifestSource, column_names, open_manifest, write_manifest
from bimodal.errors import AudioError, BimodalError, CacheError, ManifestError
from bimodal.features.cache import cache_key
from bimodal.features.extraction import recording, recording_digest
from bimodal.files import JSON_ERRORS, append_line, file_digest, write_bytes
from bimodal.records import Manifest, Problem, Utterance

SOURCE: Final = "transcript_source"
CONFIDENCE: Final = "asr_confidence"
LANGUAGE: Final = "asr_language"
ORIGINAL: Final = "transcript_original"
_SUFFIX: Final = ".jsonl"
_WORDS: Final[dict[Task, str]] = {"transcribe": "asr", "translate": "asr-translation"}

Progress = Callable[[Iterable[Any]], Iterable[Any]]


@dataclass(frozen=True, kw_only=True)
class TranscribeOptions:
    """What to transcribe, and how.

    Attributes:
        task: `transcribe`, or `translate` into English.
        language: ISO 639-1 code of the spoken language; None takes the row's `lang`, or detects it if that is empty.
        vad: Skip parts without speech.
        replace: Also transcribe rows that have a transcript; the old one goes to the column `transcript_original`.
    """

    task: Task = "transcribe"
    language: str | None = None
    vad: bool = False
    replace: bool = False


def transcribe_manifest(
    manifest: ManifestSource,
    out: str | Path,
    transcriber: Transcriber,
    options: TranscribeOptions,
    notebooks: str | Path | None,
    progress: Progress = lambda items: items,
) -> tuple[Manifest, tuple[Problem, ...]]:
    """Write a copy of a manifest with transcripts by speech recognition.

    Rows with a transcript, and those without a recording, stay as they are. New columns: `transcript_source` (`asr` or
    `asr-translation`), `asr_confidence` (0 to 1), `asr_language`; all empty in rows that were not
    transcribed.

    Args:
        manifest: CSV or JSON Lines.
        out: Manifest to write, `.csv` or `.jsonl`, in the same folder or one above, so that paths stay relative.
        transcriber: The Whisper model.
        options: What to transcribe.
        notebooks: Folder of earlier transcriptions; an interrupted call continues from them. None reads and stores
            nothing.
        progress: Wraps the rows to transcribe with a bar.

    Returns:
        The new manifest, and the recordings that failed; their rows have no new transcript.

    Raises:
        BimodalError: What is wrong with the manifest, the model, or `out`.
    """
    read, out = open_manifest(manifest), Path(out)
    prefix = path_prefix(read.folder, out)
    rows = [row for row in read.utterances if row.path and (options.replace or row.transcript is None)]
    if not rows:
        raise ManifestError(
            f"{read.path}: no row has a recording without a transcript; use --replace to transcribe those with one, too"
        )
    found, problems = transcribe_utterances(rows, read.folder, transcriber, options, notebooks, progress)
    written = [_moved(with_words(row, found.get(row.id), options.task), prefix) for row in read.utterances]
    names = [name for name in column_names(written) if any(_cell(row, name) for row in written)]
    written = [
        replace(row, extra={name: row.extra.get(name, "") for name in row.extra if name in names}) for row in written
    ]
    return write_manifest(out, written, names), problems


def transcribe_utterances(
    utterances: Sequence[Utterance],
    folder: Path,
    transcriber: Transcriber,
    options: TranscribeOptions,
    notebooks: str | Path | None,
    progress: Progress = lambda items: items,
) -> tuple[dict[str, Transcription], tuple[Problem, ...]]:
    """The words of several utterances' recordings.

    Args:
        utterances: Each with a path.
        folder: Folder that the paths are relative to.
        transcriber: Transcribes what the notebook does not hold.
        options: Task, language, voice activity detection.
        notebooks: Folder of earlier transcriptions; None reads and stores nothing.
        progress: Wraps the utterances with a bar.

    Returns:
        Transcriptions by the utterance's id; the recordings that cannot be used.

    Raises:
        TranscriptionError: The model does not know the language, or cannot translate.
        CacheError: The notebook cannot be written.
    """
    book = Notebook(None if notebooks is None else Path(notebooks) / f"{_book_name(transcriber, options)}{_SUFFIX}")
    found, problems = {}, []
    for utterance in progress(utterances):
        try:
            found[utterance.id] = _transcribe(utterance, folder, transcriber, options, book)
        except AudioError as error:
            problems.append(Problem(where=utterance.id, message=str(error)))
    return found, tuple(problems)


def _transcribe(
    utterance: Utterance, folder: Path, transcriber: Transcriber, options: TranscribeOptions, book: "Notebook"
) -> Transcription:
    file, language = recording(utterance, folder), options.language or utterance.lang
    digest = recording_digest(file)
    key = cache_key(digest, utterance.start, utterance.end, language)
    if key not in book.known:
        signal = load_signal(file, start=utterance.start, end=utterance.end)
        book.add(key, transcriber.transcribe(signal, task=options.task, language=language, vad=options.vad), digest)
    return book.known[key]


def _book_name(transcriber: Transcriber, options: TranscribeOptions) -> str:
    """A name for all that decides a transcription, except the recording and its language."""
    parts = [file_digest(transcriber.folder / name) for name in ("model.bin", "tokenizer.json")]
    return cache_key(*parts, transcriber.compute_type, options.task, options.vad)


class Notebook:
    """Transcriptions by key, in a file that grows by one line each; a killed process loses the line it was writing.

    Args:
        file: Made with its folder if missing; damaged lines are skipped. None keeps all in memory.
    """

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.known: dict[str, Transcription] = {line.key: line.found for line in (read_notebook(file) if file else [])}

    def add(self, key: str, found: Transcription, source: str = "") -> None:
        """Store a transcription.

        Args:
            key: Of recording, stretch and language.
            found: The transcription.
            source: Digest of the recording, by which `forget_transcripts` finds it.

        Raises:
            CacheError: The file cannot be written.
        """
        self.known[key] = found
        if self.file is None:
            return
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            append_line(self.file, msgspec.json.encode(NotebookLine(key=key, found=found, source=source)))
        except OSError as error:
            raise CacheError(f"{self.file}: cannot be written ({error.strerror}); free some space") from error


class NotebookLine(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """One line of a notebook.

    Attributes:
        key: Of recording, stretch and language.
        found: The transcription.
        source: Digest of the recording; empty in a line of an earlier version.
    """

    key: str
    found: Transcription
    source: str = ""


def read_notebook(file: Path) -> Iterator[NotebookLine]:
    """The lines of a notebook, without those that a killed process left unfinished; nothing if there is no file."""
    if not file.exists():
        return
    for line in file.read_bytes().splitlines():
        try:
            yield msgspec.json.decode(line, type=NotebookLine)
        except JSON_ERRORS:
            continue


def notebook_files(notebooks: Path) -> list[Path]:
    """The notebooks of a folder."""
    return sorted(notebooks.glob(f"*{_SUFFIX}"))


def forget_transcripts(notebooks: Path, sources: Collection[str]) -> list[Transcription]:
    """Delete the transcriptions of recordings.

    Args:
        notebooks: Folder of earlier transcriptions.
        sources: Digests of the recordings.

    Returns:
        What was deleted.

    Raises:
        CacheError: A notebook cannot be written; it stays as it was.
    """
    deleted = []
    for file in notebook_files(notebooks):
        lines = list(read_notebook(file))
        kept = [line for line in lines if line.source not in sources]
        if len(kept) < len(file.read_bytes().splitlines()):  # an unfinished line may hold words, too
            try:
                write_bytes(file, b"".join(msgspec.json.encode(line) + b"\n" for line in kept))
            except OSError as error:
                raise CacheError(f"{file}: cannot be written ({error.strerror}); free some space") from error
        deleted += [line.found for line in lines if line.source in sources]
    return deleted


def with_words(utterance: Utterance, found: Transcription | None, task: Task) -> Utterance:
    """The row with its transcription; unchanged if there is none."""
    if found is None:
        return utterance
    extra = {SOURCE: _WORDS[task], CONFIDENCE: f"{found.confidence:.4f}", LANGUAGE: found.language}
    if utterance.transcript is not None:
        extra[ORIGINAL] = utterance.extra.get(ORIGINAL) or utterance.transcript
    lang = "en" if task == "translate" else found.language
    return replace(utterance, transcript=found.text or None, lang=lang or None, extra={**utterance.extra, **extra})


def _moved(utterance: Utterance, prefix: str) -> Utterance:
    return replace(utterance, path=prefix + utterance.path) if utterance.path else utterance


def _cell(utterance: Utterance, name: str) -> Any:
    return utterance.extra.get(name) if name in utterance.extra else getattr(utterance, name, None)


def path_prefix(folder: Path, out: Path) -> str:
    """What stands in front of paths relative to `folder` in a manifest `out`; empty if it lies beside them.

    Raises:
        ManifestError: From there the recordings cannot be named by relative paths downwards.

    Example:
        >>> path_prefix(Path("corpora/mine"), Path("corpora/all.csv"))
        'mine/'
    """
    here, there = folder.resolve(), out.parent.resolve()
    if not here.is_relative_to(there):
        raise ManifestError(
            f"{out}: a manifest's paths go down from its own folder; write it to {folder} or a folder above"
        )
    below = here.relative_to(there).as_posix()
    return "" if below == "." else f"{below}/"


def transcript_confidence(utterance: Utterance) -> float | None:
    """Confidence of the speech recogniser in a row's transcript, 0 to 1; None for a transcript that was given.

    Raises:
        BimodalError: The column `asr_confidence` holds something else.

    Example:
        >>> transcript_confidence(Utterance(id="a", transcript="Hello.", extra={"asr_confidence": "0.75"}))
        0.75
    """
    cell = utterance.extra.get(CONFIDENCE, "").strip()
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise BimodalError(f"utterance '{utterance.id}': {CONFIDENCE} is {cell!r}, expected a number from 0 to 1")
    return value
