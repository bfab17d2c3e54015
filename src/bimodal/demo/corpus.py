"""A small synthetic corpus of speech and text. Both modalities carry information; together they carry more.

It shows the whole process from recordings to a model without a download. Its results say nothing about human emotion.
The voice of each utterance has an emotion, which is the label, and so have its words: in seven ninths they agree, in a
ninth the words are neutral, in one ninth they contradict the voice. No speaker and no sentence is in two splits.
"""

import hashlib
import importlib.metadata
import importlib.util
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile

from bimodal.audio.decode import SAMPLING_RATE, resample
from bimodal.data.manifest import write_manifest
from bimodal.demo.voices import RULES, VOICES, SpeakingStyle, Voice, draw_style
from bimodal.errors import AudioError, BimodalError
from bimodal.files import atomic_write, temporary_folder
from bimodal.records import Utterance

NOTICE = (
    "The demo corpus is spoken by eSpeak NG (GPL-3.0, https://github.com/espeak-ng/espeak-ng), in a separate process."
)
COLUMNS = (
    "id", "path", "transcript", "emotion", "speaker", "split", "lang",
    "conflict", "voice_emotion", "word_emotion", "sentence",
)  # fmt: skip
EMOTIONS = tuple(RULES)
_SPLITS = ("train", "test", "dev")
_SPLIT_ORDER = ("train", "test", "train", "dev", "train", "test", "train", "train", "dev", "train", "test", "train")
_WORDINGS = ("agree", "conflict", "agree", "agree", "agree", "neutral", "agree", "agree", "agree")
_LONGEST_DATA_PATH = 100  # eSpeak NG joins paths in buffers of about 200 bytes
_TIMEOUT = 60.0
_SPEAKING = Path(__file__).with_name("speak.py")


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of the script: speaker, words and emotion.

    Attributes:
        id: Unique within the corpus.
        voice: The speaker.
        voice_emotion: The emotion of the voice; this is the label.
        word_emotion: The emotion of the words.
        sentence: Name of the sentence.
        text: The words.
        style: How they are spoken.
    """

    id: str
    voice: Voice
    voice_emotion: str
    word_emotion: str
    sentence: str
    text: str
    style: SpeakingStyle

    @property
    def conflict(self) -> bool:
        """Whether the words express another emotion than the voice. Neutral words contradict nothing."""
        return self.word_emotion not in (self.voice_emotion, "neutral")

    @property
    def path(self) -> str:
        """Path of the recording. Its name has a digest of all inputs, so a file with this name is complete."""
        made_of = [self.text, asdict(self.style), importlib.metadata.version("espeakng-loader"), SAMPLING_RATE]
        digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
        return f"audio/{self.id}-{digest[:8]}.wav"

    def utterance(self) -> Utterance:
        """This line as a row of the manifest."""
        return Utterance(
            id=self.id,
            path=self.path,
            transcript=self.text,
            emotion=self.voice_emotion,
            speaker=self.voice.name,
            split=self.voice.split,
            lang="en",
            extra={
                "conflict": "yes" if self.conflict else "no",
                "voice_emotion": self.voice_emotion,
                "word_emotion": self.word_emotion,
                "sentence": self.sentence,
            },
        )


def prepare(
    out: Path,
    *,
    size: int = 720,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
    workers: int = 2,
) -> tuple[Utterance, ...]:
    """Make the corpus: `out/audio/*.wav` (16 kHz, mono, PCM16) and `out/manifest.csv`.

    The same size and seed give the same bytes. A smaller corpus is the beginning of a larger one. Finished recordings
    are kept, so a second call continues an interrupted one. The caller prints `NOTICE`.

    Args:
        out: Folder to write to.
        size: Number of utterances, at least one.
        seed: Random seed of sentences, conflicts and voices.
        on_progress: Called with the number of finished utterances and `size`, on this thread.
        workers: Utterances spoken at the same time.

    Returns:
        The utterances in the order of the manifest.

    Raises:
        BimodalError: `espeakng-loader` is not installed, or an argument is out of range.
        AudioError: The synthesiser failed; the message names the sentence.
    """
    if size < 1 or workers < 1:
        raise BimodalError(f"size {size}, workers {workers}: expected at least 1 each")
    _check_installed()
    script = write_script(size, seed)
    (out / "audio").mkdir(parents=True, exist_ok=True)
    missing = [line for line in script if not (out / line.path).exists()]
    with _espeak_data() as data, ThreadPoolExecutor(workers) as pool:
        tasks = [pool.submit(_speak, line, out / line.path, data) for line in missing]
        try:
            for done, task in enumerate(as_completed(tasks), start=size - len(missing) + 1):
                task.result()
                if on_progress is not None:
                    on_progress(done, size)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    utterances = tuple(line.utterance() for line in script)
    write_manifest(out / "manifest.csv", utterances, COLUMNS)
    return utterances


def write_script(size: int, seed: int = 0) -> tuple[Line, ...]:
    """The lines of a corpus, without sound.

    In every split, speakers, emotions and wordings are combined in turn, so that all combinations are equally frequent.

    Example:
        >>> [line.id for line in write_script(3)]
        ['train-000', 'test-000', 'train-001']
    """
    decks = _shuffled_sentences(seed)
    places: Counter[str] = Counter()
    lines = []
    for split in itertools.islice(itertools.cycle(_SPLIT_ORDER), size):
        lines.append(_line(split, places[split], decks, seed))
        places[split] += 1
    return tuple(lines)


def _line(split: str, place: int, decks: dict[tuple[str, str], Iterator[tuple[str, str]]], seed: int) -> Line:
    """The line at a place (0, 1, ...) of a split; draws its sentence from the decks."""
    rng = np.random.default_rng([seed, _SPLITS.index(split), place])
    voices = [voice for voice in VOICES if voice.split == split]
    cycle = len(EMOTIONS) * len(_WORDINGS)
    # 5 emotions and 9 wordings meet in all combinations within 45 places; the shift lets every speaker have them all.
    voice = voices[(place + place // cycle) % len(voices)]
    emotion = EMOTIONS[place % len(EMOTIONS)]
    wording = _WORDINGS[place % len(_WORDINGS)]
    others = [other for other in EMOTIONS if other not in (emotion, "neutral")]
    words = {"agree": emotion, "neutral": "neutral", "conflict": others[rng.integers(len(others))]}[wording]
    sentence, text = next(decks[split, words])
    return Line(
        id=f"{split}-{place:03d}",
        voice=voice,
        voice_emotion=emotion,
        word_emotion=words,
        sentence=sentence,
        text=text,
        style=draw_style(voice, emotion, rng),
    )


def _shuffled_sentences(seed: int) -> dict[tuple[str, str], Iterator[tuple[str, str]]]:
    """For every split and emotion of the words, an endless deck of (name, sentence)."""
    written = tomllib.loads(Path(__file__).with_name("sentences.toml").read_text(encoding="utf-8"))
    decks: dict[tuple[str, str], Iterator[tuple[str, str]]] = {}
    for (place, emotion), split in itertools.product(enumerate(EMOTIONS), _SPLITS):
        named = [(f"{emotion}-{split}-{n:02d}", text) for n, text in enumerate(written[emotion][split])]
        order = np.random.default_rng([seed, _SPLITS.index(split), place, 1]).permutation(len(named))
        decks[split, emotion] = itertools.cycle([named[n] for n in order])
    return decks


def _check_installed() -> None:
    if importlib.util.find_spec("espeakng_loader") is None:
        raise BimodalError(
            "the demo corpus needs the speech synthesiser eSpeak NG (GPL-3.0): pip install 'bimodal-emotion[demo]'"
        )


@contextmanager
def _espeak_data() -> Iterator[Path]:
    """A temporary copy of eSpeak NG's English data under a short path, with a folder for our voices."""
    import espeakng_loader  # optional dependency, checked before

    installed = Path(espeakng_loader.get_data_path())
    with temporary_folder(_short_folder()) as folder:
        data = folder / "espeak-ng-data"
        (data / "voices" / "!v").mkdir(parents=True)
        for name in ("phontab", "phonindex", "phondata", "intonations", "en_dict"):
            shutil.copyfile(installed / name, data / name)
        shutil.copytree(installed / "lang" / "gmw", data / "lang" / "gmw")
        yield data


def _short_folder() -> Path:
    """A temporary folder with a path that is short enough for eSpeak NG."""
    for folder in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108  made unique by temporary_folder
        if folder.is_dir() and len(os.fsencode(folder)) <= _LONGEST_DATA_PATH:
            return folder
    raise BimodalError(
        f"the path of the temporary folder {tempfile.gettempdir()} is too long for eSpeak NG; "
        f"set TMPDIR to a path of at most {_LONGEST_DATA_PATH} characters"
    )


def _speak(line: Line, path: Path, data: Path) -> None:
    """Speak a line in a separate process and write the finished recording."""
    import espeakng_loader

    variant = data / "voices" / "!v" / line.id
    variant.write_text(line.style.variant, encoding="utf-8")
    request = {
        "library": espeakng_loader.get_library_path(),
        "data": str(data),
        "voice": f"gmw/{line.style.accent}+{line.id}",
        "text": line.text,
        "parameters": {"rate": line.style.rate, "word_gap": line.style.word_gap},
    }
    try:
        signal, rate = soundfile.read(io.BytesIO(_run(line, request)), dtype="float32")
    finally:
        variant.unlink()  # eSpeak NG lists all voices in a table of 350
    if len(signal) == 0:
        raise AudioError(f"{line.id}: eSpeak NG gave no sound for {line.text!r}")
    with atomic_write(path) as unfinished:
        soundfile.write(unfinished, resample(signal, rate), SAMPLING_RATE, subtype="PCM_16", format="WAV")


def _run(line: Line, request: dict[str, object]) -> bytes:
    """The WAV data that the speaking process returns."""
    # -I -S: nothing but the standard library, which also starts fastest
    command = [sys.executable, "-I", "-S", str(_SPEAKING)]
    try:
        process = subprocess.run(  # noqa: S603
            command, input=json.dumps(request).encode(), capture_output=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise AudioError(f"{line.id}: eSpeak NG took longer than {_TIMEOUT:g} s to speak {line.text!r}") from error
    if process.returncode != 0:
        told = process.stderr.decode(errors="replace").strip().splitlines()
        raise AudioError(
            f"{line.id}: eSpeak NG could not speak {line.text!r} (exit code {process.returncode}): "
            f"{told[-1] if told else 'it crashed without a message'}"
        )
    return process.stdout
