"""Frozen feature extractors as packaged artifacts: the same ONNX file in training and in recognition.

An artifact is a folder with `backbone.json` (what it is, where from, licence, digests), `model.onnx`, for words
`tokenizer.json`, and `probe.safetensors`: inputs with the outputs that torch gave for them when it was built. The
distribution `bimodal-backbones` carries two; a folder path names any other.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file

from bimodal.arrays import Floats
from bimodal.audio.decode import SAMPLING_RATE, Signal
from bimodal.audio.level import normalise_level
from bimodal.errors import BackboneError
from bimodal.features.logmel import log_mel
from bimodal.features.pooling import SpeechFrames, frame_levels, join_frames
from bimodal.files import JSON_ERRORS, file_digest
from bimodal.records import printable
from bimodal.runtime import Device, make_session

DESCRIPTION: Final = "backbone.json"
MODEL: Final = "model.onnx"
MODEL_WEIGHTS: Final = "model.weights"
"""Large weights of the network, beside it."""

TOKENIZER: Final = "tokenizer.json"
PROBE: Final = "probe.safetensors"
PARITY_BOUNDS: Final = {"float32": 0.998, "int8": 0.98}
"""Least parity with torch's outputs, see `measure_parity`, by what is computed in."""

SCHEMA: Final = 1
FOREIGN_SHARE: Final = 0.33
"""Share of broken tokens above which words look foreign: 1 of 100 English sentences of GoEmotions and EmoryNLP, 9 of
10 German ones of EmoDB, all Korean ones of emotiontts_ko."""

DEFAULT_SPEECH: Final = "whisper-base-4"
DEFAULT_TEXT: Final = "minilm-l6"

_LEAST_MEL: Final = 3
_LARGEST_DESCRIPTION: Final = 1 << 20
_LARGEST_NUMBER: Final = 1 << 20
_LONGEST: Final = 3600.0

FRAME_WINDOW: Final = 400
"""Samples of 16 kHz that a frame of an encoder over bare samples is made of."""

FRAME_STEP: Final = 320
"""Samples from one of its frames to the next: 20 ms."""

Arithmetic = Literal["float32", "int8"]
Weights = Literal["float32", "float16", "int8"]


@dataclass(frozen=True, kw_only=True)
class BackboneDescription:
    """What a backbone artifact is.

    Attributes:
        name: Short name.
        kind: `speech` or `text`.
        source: Hub id of the pretrained model.
        licence: SPDX identifier of its weights.
        layers: 1-based numbers of the exposed layers.
        width: Width D of a layer.
        weights: How weights are stored.
        preprocessing: What is done in front of the network; part of every cache key.
        max_seconds: Longest speech that is encoded at once; longer segments are cut into equal parts.
        max_tokens: Longest text, in tokens; longer texts are truncated.
        digests: SHA-256 of each file.
        languages: ISO 639-1 codes of the languages whose words it reads; empty for any. No part of the digest.
        parity_cosine: Lowest parity with torch's outputs, measured when the artifact was built.
        tuned_on: Data that the weights were tuned on after pretraining; empty for weights as published.
        arithmetic: Number format of the matrix products.
        family: Key of `BACKBONES`; empty in artifacts of versions that had one family of each kind.
        schema: Version of this layout.
    """

    name: str
    kind: Literal["speech", "text"]
    source: str
    licence: str
    layers: tuple[int, ...]
    width: int
    weights: Weights
    preprocessing: str
    max_seconds: float = 30.0
    max_tokens: int = 256
    digests: Mapping[str, str] = field(default_factory=dict)
    languages: tuple[str, ...] = ()
    parity_cosine: float = 0.0
    tuned_on: str = ""
    arithmetic: Arithmetic = "float32"
    family: str = ""
    schema: int = SCHEMA

    @property
    def digest(self) -> str:
        """One digest over all that decides the outputs: what a cache key or a model folder names."""
        parts = [f"{name}={value}" for name, value in sorted(self.digests.items()) if name != PROBE]
        parts += [self.preprocessing, str(self.layers), str(self.max_seconds)]
        return hashlib.sha256("\n".join([*parts, str(self.max_tokens)]).encode()).hexdigest()

    def foreign(self, language: str) -> bool:
        """Whether a language (ISO 639-1) is not among those that it reads; an empty one, unknown, is not foreign."""
        return bool(language and self.languages) and language not in self.languages


Inputs = dict[str, npt.NDArray[Any]]
"""Inputs of a network by name."""


class SpeechBackbone:
    """A frozen speech encoder, run by onnxruntime; safe to call from several threads.

    Args:
        folder: The artifact.
        description: Its description.
        threads: Threads of one operator; 0 for one per core.
        device: `cpu` or `cuda`.
        prepare: Network inputs of a signal (T,) at 16 kHz, and how many frames the network gives for it.
    """

    def __init__(
        self,
        folder: Path,
        description: BackboneDescription,
        threads: int,
        device: Device,
        prepare: Callable[[Signal], tuple[Inputs, int]],
    ) -> None:
        self.description, self._prepare = description, prepare
        self._session = make_session(folder / MODEL, threads=threads, device=device)

    def run_probe(self, inputs: Mapping[str, npt.NDArray[Any]]) -> Floats:
        """The network's bare outputs."""
        return run_bare(self._session, inputs)

    def run(self, signal: Signal) -> Floats:
        """Hidden states (L, T, D) of a signal at the level that it has."""
        return self._run(*self._prepare(signal))

    def _run(self, inputs: Inputs, frames: int) -> Floats:
        states = run_bare(self._session, inputs)
        layers, width = len(self.description.layers), self.description.width
        if states.ndim != 4 or states.shape[:2] != (1, layers) or states.shape[3] != width:
            raise self._misshapen(states)
        return np.asarray(states[0, :, :frames])

    def _misshapen(self, states: Floats) -> BackboneError:
        layers, width = len(self.description.layers), self.description.width
        return BackboneError(
            f"backbone '{self.description.name}': gives the shape {states.shape}, expected (1, {layers}, frames, "
            f"{width}); install it again"
        )

    def extract(self, signal: Signal) -> SpeechFrames:
        """Frames of one segment of 16 kHz speech; its level does not matter."""
        parts = cut_evenly(normalise_level(signal), int(self.description.max_seconds * SAMPLING_RATE))
        return join_frames([self._extract(part) for part in parts])

    def _extract(self, part: Signal) -> SpeechFrames:
        inputs, frames = self._prepare(part)
        states = self._run(inputs, frames).swapaxes(0, 1)
        mel = inputs["mel"][0] if "mel" in inputs else None
        return SpeechFrames(states=states, level=frame_levels(part, len(states)), mel=mel)


def prepare_whisper(signal: Signal) -> tuple[Inputs, int]:
    """Log-mel spectrogram of a signal, not padded to 30 s; two of its frames give one of the encoder.

    Example:
        >>> inputs, frames = prepare_whisper(np.zeros(16_000, np.float32))
        >>> inputs["mel"].shape, inputs["frames"].tolist(), frames
        ((1, 80, 100), [100], 50)
    """
    mel = log_mel(signal)
    count = mel.shape[1]
    filled = mel if count >= _LEAST_MEL else np.pad(mel, ((0, 0), (0, _LEAST_MEL - count)))
    return {"mel": filled[None], "frames": np.array([count], np.int64)}, (count + 1) // 2


def prepare_waveform(signal: Signal) -> tuple[Inputs, int]:
    """Bare samples of a signal; one that is shorter than a frame's window is filled up with zeros.

    The network takes two windows at least, of which the second may not count.

    Example:
        >>> inputs, frames = prepare_waveform(np.zeros(16_000, np.float32))
        >>> inputs["signal"].shape, inputs["samples"].tolist(), frames
        ((1, 16000), [16000], 49)
    """
    count = max(len(signal), FRAME_WINDOW)
    filled = np.pad(signal, (0, max(0, FRAME_WINDOW + FRAME_STEP - len(signal))))
    inputs: Inputs = {"signal": filled.astype(np.float32)[None], "samples": np.array([count], np.int64)}
    return inputs, (count - FRAME_WINDOW) // FRAME_STEP + 1


class TextBackbone:
    """A frozen language model with its tokeniser, run by onnxruntime; safe to call from several threads."""

    def __init__(self, folder: Path, description: BackboneDescription, threads: int, device: Device) -> None:
        self.description = description
        self._session = make_session(folder / MODEL, threads=threads, device=device)
        self._tokenizer = _load_tokenizer(folder / TOKENIZER)
        self._tokenizer.enable_truncation(description.max_tokens)
        padding = self._tokenizer.padding or {}
        self._tokenizer.enable_padding(pad_id=padding.get("pad_id", 0), pad_token=padding.get("pad_token", "[PAD]"))

    def run_probe(self, inputs: Mapping[str, npt.NDArray[Any]]) -> Floats:
        """The network's bare outputs."""
        return run_bare(self._session, inputs)

    def looks_foreign(self, transcript: str) -> bool:
        """Guess whether words are in a language that it does not read: its tokeniser splits most of them.

        For transcripts of unknown language; never True for a backbone that reads any language.
        """
        encoded = self._tokenizer.encode(transcript, add_special_tokens=False)
        unknown = self._tokenizer.token_to_id("[UNK]")
        whole = len({word for word in encoded.word_ids if word is not None})
        broken = len(encoded.ids) - whole + encoded.ids.count(unknown)
        return bool(self.description.languages) and broken > FOREIGN_SHARE * len(encoded.ids)

    def extract(self, transcripts: Sequence[str], batch_size: int = 32) -> Floats:
        """Pooled layers (B, L, D) of several texts; sorted by length inside, returned in the order given."""
        order = sorted(range(len(transcripts)), key=lambda index: len(transcripts[index]))
        description = self.description
        pooled = np.empty((len(transcripts), len(description.layers), description.width), np.float32)
        for first in range(0, len(order), batch_size):
            chosen = order[first : first + batch_size]
            encoded = self._tokenizer.encode_batch([transcripts[index] for index in chosen])
            tokens = np.array([encoding.ids for encoding in encoded], np.int64)
            mask = np.array([encoding.attention_mask for encoding in encoded], np.int64)
            found = run_bare(self._session, {"tokens": tokens, "mask": mask})
            if found.shape != (len(chosen), *pooled.shape[1:]):
                raise BackboneError(
                    f"backbone '{description.name}': gives the shape {found.shape}, expected "
                    f"{(len(chosen), *pooled.shape[1:])}; install it again"
                )
            pooled[chosen] = found
        return pooled


@dataclass(frozen=True, kw_only=True, slots=True)
class BackboneInfo:
    """A family of backbones: artifacts of one architecture, with the same network inputs.

    Attributes:
        kind: Modality that it encodes.
        title: What it is.
        load: Loads an artifact: folder, description, threads, device.
    """

    kind: Literal["speech", "text"]
    title: str
    load: Callable[[Path, BackboneDescription, int, Device], SpeechBackbone | TextBackbone]


PREPARATIONS: Final[dict[str, Callable[[Signal], tuple[Inputs, int]]]] = {
    "whisper": prepare_whisper,
    "wav2vec2": prepare_waveform,
    "hubert": prepare_waveform,
    "wavlm": prepare_waveform,
    "data2vec-audio": prepare_waveform,
}
"""Network inputs of each family of speech backbones: a log-mel spectrogram, or bare samples."""

_TITLES: Final = {
    "whisper": "encoder of a Whisper model, over log-mel spectrograms",
    "wav2vec2": "wav2vec 2.0 encoder, over bare samples",
    "hubert": "HuBERT encoder, over bare samples",
    "wavlm": "WavLM encoder, over bare samples",
    "data2vec-audio": "data2vec encoder for speech, over bare samples",
}

BACKBONES: Final[dict[str, BackboneInfo]] = {
    **{
        name: BackboneInfo(kind="speech", title=_TITLES[name], load=partial(SpeechBackbone, prepare=prepare))
        for name, prepare in PREPARATIONS.items()
    },
    "bert": BackboneInfo(kind="text", title="encoder-type language model with its tokeniser", load=TextBackbone),
    "sentence-transformers": BackboneInfo(
        kind="text", title="language model as sentence-transformers saves it", load=TextBackbone
    ),
}
"""The families of backbones by name. `bimodal.features.build_backbone.ENCODERS` reads what each is built from."""


def find_family_name(description: BackboneDescription) -> str:
    """The family that a description names; artifacts of older versions name none, only their kind."""
    return description.family or {"speech": "whisper", "text": "bert"}[description.kind]


def find_family(description: BackboneDescription) -> BackboneInfo:
    """The entry of `BACKBONES` that a description names.

    Raises:
        BackboneError: An unknown family.
    """
    family = find_family_name(description)
    if family not in BACKBONES:
        raise BackboneError(
            f"backbone '{description.name}': family '{family}', expected one of {', '.join(BACKBONES)}; update bimodal"
        )
    return BACKBONES[family]


def run_bare(session: Any, inputs: Mapping[str, npt.NDArray[Any]]) -> Floats:
    """First output of a session.

    Raises:
        BackboneError: The network has other inputs.
    """
    try:
        outputs: Floats = session.run(None, dict(inputs))[0]
    except Exception as error:  # onnxruntime raises a dozen unrelated classes here
        raise BackboneError(printable(str(error).splitlines()[0])[:300]) from error
    return outputs


def _load_tokenizer(file: Path) -> Any:
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises bare Exception
        raise BackboneError(f"{file}: missing or damaged ({error}); install the backbone again") from error


def cut_evenly(signal: Signal, longest: int) -> list[Signal]:
    """The signal in as few parts of equal length as keep each within `longest` samples.

    Example:
        >>> [len(part) for part in cut_evenly(np.zeros(70, np.float32), 30)]
        [24, 23, 23]
    """
    parts = max(1, -(-len(signal) // longest))
    return [signal] if parts == 1 else list(np.array_split(signal, parts))


def find_backbone(name: str) -> Path:
    """Folder of a backbone: of a packaged one by its name, or the folder itself.

    Raises:
        BackboneError: Neither a packaged name nor a folder with `backbone.json`.
    """
    if (Path(name) / DESCRIPTION).is_file():
        return Path(name)
    try:
        from bimodal_backbones import FOLDERS
    except ImportError as error:
        raise BackboneError(
            "the distribution 'bimodal-backbones' is not installed; install it with 'pip install bimodal-backbones', "
            "or from a checkout with 'pip install ./backbones'"
        ) from error
    if name not in FOLDERS:
        raise BackboneError(f"no backbone '{name}': expected one of {sorted(FOLDERS)} or a folder with {DESCRIPTION}")
    return Path(FOLDERS[name])


def read_description(folder: Path) -> BackboneDescription:
    """What the artifact in a folder is.

    Raises:
        BackboneError: Missing or damaged `backbone.json`, or of a newer schema.
    """
    try:
        if (size := (folder / DESCRIPTION).stat().st_size) > _LARGEST_DESCRIPTION:
            raise BackboneError(f"{folder / DESCRIPTION}: {size} bytes, expected at most {_LARGEST_DESCRIPTION}")
        description = msgspec.json.decode((folder / DESCRIPTION).read_bytes(), type=BackboneDescription)
    except (OSError, *JSON_ERRORS) as error:
        told = printable(str(error))
        raise BackboneError(f"{folder / DESCRIPTION}: not a backbone description ({told})") from error
    _check_description(description, folder / DESCRIPTION)
    if description.schema != SCHEMA:
        raise BackboneError(f"{folder}: schema {description.schema}, expected {SCHEMA}; update bimodal")
    return description


def _check_description(description: BackboneDescription, file: Path) -> None:
    texts = (description.name, description.source, description.licence, description.tuned_on, description.family)
    if any(printable(text) != text for text in texts):
        raise BackboneError(f"{file}: a name holds control characters; do not use this backbone")
    if any(Path(name).name != name for name in description.digests):
        raise BackboneError(f"{file}: names a file outside its folder; do not use this backbone")
    numbers = (len(description.layers), description.width, description.max_tokens)
    if not all(1 <= number <= _LARGEST_NUMBER for number in numbers) or not 0 < description.max_seconds <= _LONGEST:
        raise BackboneError(f"{file}: layers, width, max_tokens or max_seconds out of range; do not use this backbone")


def load_backbone(
    name: str | Path, *, threads: int = 0, device: Device = "cpu", verify: bool = False
) -> SpeechBackbone | TextBackbone:
    """Load a backbone by its packaged name or its folder.

    Args:
        name: Name of a packaged backbone, such as `whisper-base-4`, or a folder.
        threads: Threads of one operator; 0 for one per core.
        device: `cpu` or `cuda`.
        verify: Compare the files with their digests, and the outputs with torch's on the probe, first (training does;
            it costs a few tens of milliseconds).

    Raises:
        BackboneError: Files are missing, damaged or altered, or outputs that differ from those when it was built.
    """
    folder = find_backbone(str(name))
    description = read_description(folder)
    if verify:
        verify_digests(folder, description.digests)
    backbone = find_family(description).load(folder, description, threads, device)
    if verify and (PROBE in description.digests or description.tuned_on):
        verify_probe(folder, backbone)
    return backbone


def verify_probe(folder: Path, backbone: SpeechBackbone | TextBackbone) -> None:
    """Compare a backbone's outputs on its stored probe with those of torch.

    Raises:
        BackboneError: They differ, or there is no probe.
    """
    try:
        inputs = load_file(folder / PROBE)
        expected = inputs.pop("expected")
        found = backbone.run_probe(inputs)
    except (OSError, SafetensorError, KeyError, BackboneError) as error:
        complaint = f"{folder / PROBE}: missing, or no probe of this backbone ({error}); build it again"
        raise BackboneError(complaint) from error
    arithmetic = backbone.description.arithmetic
    parity = measure_parity(expected, found, arithmetic) if found.shape == expected.shape else -1.0
    if not parity >= PARITY_BOUNDS[arithmetic]:
        raise BackboneError(
            f"{folder / MODEL}: its outputs differ from those of torch when it was built (cosine {parity:.4f} on the "
            f"probe, expected at least {PARITY_BOUNDS[arithmetic]}); build it again"
        )


def measure_parity(expected: Floats, found: Floats, arithmetic: Arithmetic = "float32") -> float:
    """Cosine between two sets of vectors over their last axis, around the mean vectors of the first.

    The mean is over the axis before the last: frames, or layers of a text; over texts, if they have one layer. The
    lowest cosine; with 8-bit arithmetic, where single vectors deviate, the mean.

    Example:
        >>> round(measure_parity(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32)), 4)
        1.0
    """
    mean = expected.mean(axis=-2 if expected.shape[-2] > 1 else 0, keepdims=True)
    ours, theirs = ((one - mean).reshape(-1, one.shape[-1]) for one in (found, expected))
    lengths = np.linalg.norm(ours, axis=-1) * np.linalg.norm(theirs, axis=-1)
    cosines = (ours * theirs).sum(-1) / lengths
    return float(cosines.min() if arithmetic == "float32" else cosines.mean())


def verify_digests(folder: Path, digests: Mapping[str, str]) -> None:
    """Compare files with their SHA-256.

    Raises:
        BackboneError: A file is missing or altered.
    """
    if MODEL not in digests:
        raise BackboneError(f"{folder / DESCRIPTION}: no digest of {MODEL}; install or build the backbone again")
    for name, expected in digests.items():
        file = folder / name
        if not file.is_file():
            raise BackboneError(f"{file}: missing; install or build the backbone again")
        if (found := file_digest(file)) != expected:
            raise BackboneError(
                f"{file}: altered (SHA-256 {found[:12]}..., expected {expected[:12]}...); install the backbone again"
            )
