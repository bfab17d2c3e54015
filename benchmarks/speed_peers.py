"""What the benchmark of speed runs beside ours: public tools, the machine's matrix product, fresh processes."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

RATE = 16_000
_PRODUCTS = (
    *("MatMul", "FusedMatMul", "Gemm", "Conv", "FusedConv"),
    *("MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"),
)

PIPELINE = """
import sys, soundfile
from transformers import pipeline
signal, rate = soundfile.read(sys.argv[2], dtype="float32")
print(pipeline("audio-classification", model=sys.argv[1], device="cpu")({"raw": signal, "sampling_rate": rate}))
"""
"""A cold audio-classification pipeline of transformers, as its documentation shows it."""


def interleaved(tasks: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of each task; they take turns, so that whatever else the machine does falls on all alike."""
    for task in tasks.values():
        task()
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            begun = time.perf_counter()
            task()
            seconds[name].append(time.perf_counter() - begun)
    return {name: median(values) for name, values in seconds.items()}


def process(command: Sequence[str], threads: int) -> tuple[float, str]:
    """Wall seconds of a fresh process, and what it wrote.

    Raises:
        RuntimeError: It failed; holds what it said.
    """
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    seconds = time.perf_counter() - begun
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr[-2000:]}")
    return seconds, done.stdout


def random_wav2vec2(folder: Path) -> Path:
    """wav2vec2-base with random weights, saved as transformers saves it: as fast as with any."""
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification

    torch.manual_seed(0)
    Wav2Vec2ForSequenceClassification(Wav2Vec2Config(num_labels=7)).save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


def wav2vec2_task(folder: Path, signal: Any) -> tuple[Callable[[], Any], float]:
    """Classifies a signal by wav2vec2-base; with its multiply-adds, as torch counts them."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import Wav2Vec2ForSequenceClassification

    model = Wav2Vec2ForSequenceClassification.from_pretrained(folder, attn_implementation="sdpa").eval()
    inputs = torch.from_numpy(signal)[None]

    def classify() -> Any:
        with torch.inference_mode():
            return model(inputs).logits.softmax(-1)

    with FlopCounterMode(display=False) as counter:
        Wav2Vec2ForSequenceClassification.from_pretrained(folder, attn_implementation="eager").eval()(inputs)
    return classify, counter.get_total_flops() / 2


def smile_task(signal: Any) -> Callable[[], Any] | None:
    """The eGeMAPS functionals by openSMILE; None where it is not installed (its licence is its own)."""
    try:
        import opensmile
    except ModuleNotFoundError:
        return None
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals, num_workers=1)
    return lambda: smile.process_signal(signal, RATE)


def whisper_task(model: str, path: Path, threads: int) -> Callable[[], str]:
    """The words of a recording by faster-whisper alone, with the settings that ours asks of it and its own VAD."""
    from faster_whisper import WhisperModel

    whisper = WhisperModel(model, device="cpu", compute_type="int8", cpu_threads=threads)

    def task() -> str:
        segments, _ = whisper.transcribe(
            str(path),
            beam_size=5,
            temperature=0.0,
            word_timestamps=True,
            vad_filter=True,
            condition_on_previous_text=False,
        )
        return " ".join(segment.text for segment in segments)

    return task


def word_errors(truth: str, heard: str) -> float:
    """Word error rate of a transcript, 0 to 1, whatever the case and punctuation."""
    import jiwer

    plain = jiwer.Compose([jiwer.ToLowerCase(), jiwer.RemovePunctuation(), jiwer.RemoveMultipleSpaces(), jiwer.Strip()])
    return float(jiwer.wer(plain(truth), plain(heard)))


def product_task(threads: int, size: int = 1024) -> tuple[Callable[[], Any], float]:
    """A float32 matrix product as fast as torch does it, and its multiply-adds."""
    import torch

    torch.set_num_threads(threads)
    a, b = torch.randn(size, size), torch.randn(size, size)
    return lambda: a @ b, float(size**3)


def count_multiply_adds(model: Path, inputs: Mapping[str, Any]) -> float:
    """Multiply-adds of the matrix products and convolutions of an ONNX model, from the shapes that it really runs."""
    import onnxruntime as ort

    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        options.log_severity_level = 3
        options.add_session_config_entry("session.disable_prepacking", "1")  # or the weights' shapes are not told
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        session.run(None, dict(inputs))
        events = json.loads(Path(session.end_profiling()).read_text())
    nodes = [event["args"] for event in events if event.get("cat") == "Node" and event["name"].endswith("kernel_time")]
    return float(sum(_products(node) for node in nodes if node["op_name"] in _PRODUCTS))


def _products(node: Mapping[str, Any]) -> int:
    (output,) = node["output_type_shape"][0].values()
    first, second = (next(iter(shape.values())) for shape in node["input_type_shape"][:2])
    inner = np.prod(second[1:]) if "Conv" in node["op_name"] else first[-1]
    return int(np.prod(output) * inner)


def installed_megabytes(root: Path) -> float:
    """Size of a fresh virtual environment with the base install, backbones and default model."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [f"{folder}/bin/python", "-m", "pip", "install", "-q", "-c", str(root / "constraints.txt")]
        subprocess.run([*pip, *(str(root / name) for name in ("backbones", "models")), str(root)], check=True)
        found = subprocess.run([f"{folder}/bin/python", "-c", "import torch"], capture_output=True, check=False)
        if found.returncode == 0:
            raise RuntimeError("the base install brings torch")
        return sum(file.lstat().st_size for file in Path(folder).rglob("*") if file.is_file()) / 1e6
