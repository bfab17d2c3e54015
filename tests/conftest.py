"""Fixtures that any test may use."""

import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile


@pytest.fixture(scope="session")
def corpus_data() -> Path:
    """Folder of the real corpora (BIMODAL_DATA, or `data` in the folder `shared` beside the repository).

    Skips where it is absent, except in CI: there a missing folder is a failure, so that nothing is skipped unseen.
    """
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("BIMODAL_DATA", beside))
    if not folder.is_dir():
        complaint = (
            f"no corpora in {folder}; set BIMODAL_DATA to the folder that holds ravdess, emodb, meld_text_prosody"
        )
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(complaint)
        pytest.skip(complaint)
    return folder


@pytest.fixture(scope="session")
def asr_model() -> Path:
    """Folder of a real, multilingual speech recogniser (BIMODAL_ASR_MODEL, or made by the tool beside the corpora).

    It is put below the system's folder for temporary files, so that sessions share it. Skips where there is neither;
    in CI that is a failure.
    """
    tool = Path(__file__).parents[2] / "shared" / "tools" / "asr_model.py"
    if "BIMODAL_ASR_MODEL" in os.environ:
        return Path(os.environ["BIMODAL_ASR_MODEL"])
    folder, complaint = Path(tempfile.gettempdir()) / "bimodal-whisper-base", f"no speech recogniser: no {tool}"
    if tool.is_file():
        done = subprocess.run([sys.executable, tool, folder], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return folder
        complaint = f"{tool} failed: {done.stderr.strip().splitlines()[-1:]}"
    complaint += "; set BIMODAL_ASR_MODEL to the folder of a multilingual Whisper model in CTranslate2 format"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(complaint)
    pytest.skip(complaint)


@pytest.fixture(scope="session")
def segmentation_model() -> Path:
    """File of the segmentation network (BIMODAL_SEGMENTATION, or among the models beside the repository).

    Skips where it is absent; in CI that is a failure.
    """
    beside = Path(__file__).parents[2] / "shared" / "models" / "speaker-segmentation" / "segmentation-3.0.int8.onnx"
    file = Path(os.environ.get("BIMODAL_SEGMENTATION", beside))
    if not file.is_file():
        complaint = f"no segmentation network {file}; set BIMODAL_SEGMENTATION to pyannote segmentation-3.0 as ONNX"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(complaint)
        pytest.skip(complaint)
    return file


@pytest.fixture(scope="session")
def dialogue(corpus_data: Path) -> tuple[np.ndarray, list[tuple[float, float, str]]]:
    """Calm clips of two EmoDB speakers, a woman and a man, joined to 25 s at 16 kHz; and who speaks when."""
    chance, pieces, turns, end = np.random.default_rng(0), [], [], 0.5
    for name in ("03a01Nc", "08a01Na", "08a02Na", "03a02Nc", "08a04Nc", "03a04Nc", "03a05Nd", "08a05Nb", "03a07Nc"):
        signal, _ = soundfile.read(corpus_data / "emodb" / "audio" / f"{name}.flac", dtype="float32")
        turns.append((end, end + len(signal) / 16_000, name[:2]))
        pieces.append(signal)
        end += len(signal) / 16_000 + 0.6
    whole = chance.normal(0, 1e-4, round(end * 16_000) + 8000).astype(np.float32)
    for (start, _, _), signal in zip(turns, pieces, strict=True):
        first = round(start * 16_000)
        whole[first : first + len(signal)] += signal
    return whole, turns


WORDS = {
    "anger": ["Stop that at once!", "I have had enough of you.", "Get out of my house!"],
    "happiness": ["What a lovely day!", "I am so glad you came.", "We won, we really won!"],
    "sadness": ["I miss him every day.", "Nothing will bring her back.", "I feel so alone."],
}
"""Words of the tiny corpus."""


def write_tiny_corpus(folder: Path, *, speakers: int = 6, per_emotion: int = 3) -> Path:
    """A few tones of half a second whose pitch and vibrato depend on the emotion, with words; gives the manifest."""
    rng = np.random.default_rng(0)
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    rows = []
    for speaker in range(speakers):
        for number, (emotion, sentences) in enumerate(WORDS.items()):
            for take in range(per_emotion):
                time = np.arange(8000) / 16_000
                pitch = (110 + 15 * speaker) * (1 + 0.4 * number)
                tone = np.sin(2 * np.pi * pitch * time + (1 + 3 * number) * np.sin(2 * np.pi * (3 + 2 * number) * time))
                signal = 0.2 * tone + 0.02 * rng.normal(size=len(time))
                name = f"audio/s{speaker}-{emotion}-{take}.wav"
                soundfile.write(folder / name, signal.astype(np.float32), 16_000, subtype="FLOAT")
                rows.append([name, sentences[take % 3], emotion, f"s{speaker}", "test" if speaker == 0 else "train"])
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["path", "transcript", "emotion", "speaker", "split"], *rows])
    return folder / "manifest.csv"


@pytest.fixture(scope="session")
def tiny_manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of the tiny corpus; read only."""
    return write_tiny_corpus(tmp_path_factory.mktemp("tiny"))


FAST = (
    "speech.epochs=2",
    "speech.min_steps=40",
    "speech.pca_components=0",
    "speech.ensemble_size=2",
    "text.epochs=2",
    "text.min_steps=40",
    "fusion.epochs=2",
    "fusion.min_steps=20",
)
"""Settings under which the tiny corpus trains in seconds."""


@pytest.fixture(scope="session")
def fast_settings() -> list[str]:
    """The same as arguments of the command line."""
    return [part for value in (*FAST, "fusion.n_folds=2") for part in ("--set", value)]


@pytest.fixture(scope="session")
def tiny_model(tiny_manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model folder trained on the tiny corpus; read only, copy it to damage it."""
    from bimodal.config import TrainConfig, read_config
    from bimodal.training.train import train

    run = tmp_path_factory.mktemp("run")
    config = read_config(TrainConfig(), settings=[*FAST, "fusion.n_folds=2", "threads=1", "name=tiny"])
    return train(tiny_manifest, run, config, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def tiny_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Whisper encoder of no published size, saved as transformers saves it."""
    return save_tiny_whisper(tmp_path_factory.mktemp("whisper"))


def save_tiny_whisper(folder: Path) -> Path:
    """Save that encoder; gives the folder."""
    import torch
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=64, encoder_layers=3, encoder_attention_heads=2, encoder_ffn_dim=96, num_mel_bins=80, init_std=0.15
    )
    WhisperEncoder(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT that reads letters, saved with its tokeniser as transformers saves it."""
    return save_tiny_bert(tmp_path_factory.mktemp("bert"))


def save_tiny_bert(folder: Path) -> Path:
    """Save that BERT; gives the folder."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    letters = [chr(code) for code in range(33, 127)]
    vocabulary = {piece: i for i, piece in enumerate([*special, *letters, *(f"##{letter}" for letter in letters)])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=96,
        initializer_range=0.3,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder
