"""Build a backbone artifact: a pretrained encoder's layers as one packaged ONNX file, checked against torch.

Needs the extra `finetune` (torch, transformers, onnx). Weights are stored in 16 or 8 bits; those in 8 bits of a speech
encoder are multiplied as such, which takes half the time. All else is computed in float32.
"""

import contextlib
import io
import logging
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import save_file
from torch import Tensor, nn

from bimodal.errors import BackboneError
from bimodal.features.backbone import (
    DESCRIPTION,
    MODEL,
    MODEL_WEIGHTS,
    PARITY_BOUNDS,
    PROBE,
    TOKENIZER,
    Arithmetic,
    BackboneDescription,
    load_backbone,
    measure_parity,
)
from bimodal.features.logmel import log_mel
from bimodal.features.whisper import TunableWhisper, load_whisper_encoder
from bimodal.files import file_digest, temporary_folder, write_json

Weights = Literal["float16", "int8"]
_SMALLEST_COMPRESSED = 4096
_BLOCK = 32
_LARGE = 1 << 20  # bytes
_OPSET = 21


class WhisperLayers(nn.Module):
    """The lower layers of a Whisper encoder, with the inputs and the output of a speech artifact.

    Args:
        encoder: A `transformers` WhisperEncoder.
        layers: 1-based numbers of the blocks whose outputs are exposed; blocks above the last one are dropped.
    """

    def __init__(self, encoder: Any, layers: tuple[int, ...]) -> None:
        super().__init__()
        self.whole = TunableWhisper(encoder, layers, frozen=0)

    def forward(self, mel: Tensor, frames: Tensor) -> Tensor:
        """Hidden states (B, L, T // 2 rounded up, D) of mel (B, 80, T) with `frames` (B,) real frames each."""
        states: Tensor = self.whole(mel.transpose(1, 2), frames)[0]
        return states


class PooledTextLayers(nn.Module):
    """Mean over the real tokens of several layers of an encoder-type language model.

    Args:
        encoder: A `transformers` BERT-like model.
        layers: 1-based numbers of the blocks whose outputs are pooled.
    """

    def __init__(self, encoder: Any, layers: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder = encoder
        self.layers = layers

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Pooled layers (B, L, D) of token ids (B, T) with a mask (B, T), 1 = real."""
        states = self.encoder(input_ids=tokens, attention_mask=mask, output_hidden_states=True).hidden_states
        weight = (mask.to(states[0].dtype) / mask.sum(1, keepdim=True).to(states[0].dtype))[:, None]
        return torch.stack([(weight @ states[number])[:, 0] for number in self.layers], dim=1)


def build_speech_backbone(source: str, out: Path, description: BackboneDescription, weights: Weights) -> None:
    """Write the artifact of a Whisper encoder's lower layers to the folder `out`, and check it.

    Args:
        source: Hub id or local folder of a Whisper model or of its encoder alone.
        out: Folder to write; an existing artifact there is replaced.
        description: What the artifact is; its digest and parity are filled in here.
        weights: How weights are stored; int8 ones are multiplied in 8 bits, too.

    Raises:
        BackboneError: The description does not fit the encoder, or the artifact's outputs differ from torch's by more
            than that explains.
    """
    encoder = load_whisper_encoder(source)
    _check_fits(source, description, encoder.config.encoder_layers, encoder.config.d_model)
    network = WhisperLayers(encoder, description.layers).eval()
    rng = np.random.default_rng(0)
    mel = torch.from_numpy(np.stack([log_mel(rng.normal(0, 0.1, 24_000).astype(np.float32)) for _ in range(2)]))
    time = torch.export.Dim("time", min=3, max=3000)
    batch = torch.export.Dim("batch", min=1, max=4096)
    shapes = ({0: batch, 2: time}, {0: batch})
    arguments = (mel, torch.tensor([150, 120]))
    model = _export(network, arguments, shapes, ("mel", "frames"), "layers")
    _save(compress_weights(multiply_in_bytes(model) if weights == "int8" else model, "float16"), out)

    def run_torch(signal: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        spectrogram = torch.from_numpy(log_mel(signal))[None]
        with torch.inference_mode():
            result: npt.NDArray[np.float32] = network(spectrogram, torch.tensor([spectrogram.shape[2]]))[0].numpy()
        return result

    probes = [_probe_signal(rng, seconds) for seconds in (0.5, 3.0, 8.0)]
    short = log_mel(probes[0])[None]
    _write_probe(out, run_torch(probes[0])[None], mel=short, frames=np.array([short.shape[2]]))
    arithmetic: Arithmetic = "int8" if weights == "int8" else "float32"
    described = replace(description, weights=weights, arithmetic=arithmetic, family="whisper")
    _finish(out, described, lambda backbone: [(run_torch(p), backbone.run(p)) for p in probes])


def build_text_backbone(source: str, out: Path, description: BackboneDescription, weights: Weights) -> None:
    """Write the artifact of an encoder-type language model to the folder `out`, and check it.

    Args:
        source: Hub id or local folder with a `tokenizer.json`.
        out: Folder to write; an existing artifact there is replaced.
        description: What the artifact is; its digest and parity are filled in here.
        weights: How weights are stored.

    Raises:
        BackboneError: As in `build_speech_backbone`.
    """
    from transformers import AutoModel, AutoTokenizer

    encoder = AutoModel.from_pretrained(
        source, dtype=torch.float32, attn_implementation="eager", add_pooling_layer=False
    )
    _check_fits(source, description, encoder.config.num_hidden_layers, encoder.config.hidden_size)
    network = PooledTextLayers(encoder, description.layers).eval()
    tokenizer = AutoTokenizer.from_pretrained(source)
    sentences = ["A plain line.", "I can't believe you did that, it is wonderful!", "Nein. Das ist mir egal, wirklich."]
    encoded = tokenizer(
        sentences, padding=True, truncation=True, max_length=description.max_tokens, return_tensors="pt"
    )
    batch, time = torch.export.Dim("batch", min=1, max=4096), torch.export.Dim("time", min=2, max=512)
    shapes = ({0: batch, 1: time}, {0: batch, 1: time})
    arguments = (encoded["input_ids"], encoded["attention_mask"])
    _save(compress_weights(_export(network, arguments, shapes, ("tokens", "mask"), "layers"), weights), out)
    tokenizer.backend_tokenizer.save(str(out / TOKENIZER))
    with torch.inference_mode():
        expected = network(*arguments).numpy()
    _write_probe(out, expected, tokens=encoded["input_ids"].numpy(), mask=encoded["attention_mask"].numpy())
    described = replace(description, family="bert")
    _finish(out, described, lambda backbone: list(zip(expected, backbone.extract(sentences), strict=True)))


BUILDERS: Final[dict[str, Callable[[str, Path, BackboneDescription, Weights], None]]] = {
    "whisper": build_speech_backbone,
    "bert": build_text_backbone,
}
"""Builder of each family of `bimodal.features.backbone.BACKBONES`; it is here since building needs torch."""


def _check_fits(source: str, description: BackboneDescription, layers: int, width: int) -> None:
    """Refuse a description of layers that the encoder does not have."""
    if not 1 <= min(description.layers) <= max(description.layers) <= layers:
        raise BackboneError(f"{source}: has {layers} layers, expected {description.layers} to be among them")
    if description.width != width:
        raise BackboneError(f"{source}: is {width} wide, expected {description.width} as described")


def _probe_signal(rng: np.random.Generator, seconds: float) -> npt.NDArray[np.float32]:
    """A gliding tone with noise: something with the structure of a voice, made in code."""
    time = np.arange(int(seconds * 16_000)) / 16_000
    tone = sum(np.sin(2 * np.pi * k * (120 * time + 15 * np.sin(3 * time))) / k for k in range(1, 12))
    noisy = 0.05 * tone * (1 + np.sin(9 * time)) + rng.normal(0, 0.003, len(time))
    return np.asarray(noisy, np.float32)


def _export(
    network: nn.Module,
    arguments: tuple[Tensor, ...],
    shapes: tuple[dict[int, Any], ...],
    inputs: tuple[str, ...],
    output: str,
) -> onnx.ModelProto:
    with quiet_export():
        program = torch.onnx.export(
            network,
            arguments,
            dynamo=True,
            opset_version=_OPSET,
            dynamic_shapes=shapes,
            input_names=list(inputs),
            output_names=[output],
            verbose=False,
        )
    model: onnx.ModelProto = program.model_proto  # type: ignore[union-attr]
    return model


def _save(model: onnx.ModelProto, out: Path) -> None:
    """Write `out/model.onnx`; an artifact that is there is replaced."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    save_graph(model, out / MODEL)


@contextlib.contextmanager
def quiet_export() -> Iterator[None]:
    """Keep torch's exporter, which talks on stdout, stderr and through warnings, to itself."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def save_graph(model: onnx.ModelProto, file: Path) -> None:
    """Write a graph, and its large weights beside it: there they are mapped, not copied, and load in half the time."""
    weights = file.with_suffix(".weights")
    weights.unlink(missing_ok=True)  # onnx would append to it
    onnx.save(model, file, save_as_external_data=True, location=weights.name, size_threshold=_LARGE)
    if weights.is_file():
        weights.chmod(file.stat().st_mode)  # onnx lets its owner alone read it


def multiply_in_bytes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Multiply by weights in 8 bits: theirs fixed, one scale a column; their inputs' taken from each call.

    Weights keep to 7 bits, since processors without VNNI add up pairs of products in 16. The last product stays as it
    is: a few of its inputs are fifty times the others ("massive activations", Sun et al. 2024, arXiv 2402.17762), which
    would leave these no bits.
    """
    with temporary_folder() as folder:
        plain, quantised = folder / "plain.onnx", folder / "quantised.onnx"
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(plain)  # constants folded, so that weights are seen to be constant
        ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        simple = onnx.load(plain)
        constant = {initialiser.name for initialiser in simple.graph.initializer}
        products = [node.name for node in simple.graph.node if node.op_type == "MatMul" and node.input[1] in constant]
        with quiet_export():
            quantize_dynamic(
                simple,
                quantised,
                op_types_to_quantize=["MatMul"],
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
                nodes_to_exclude=products[-1:],
            )
        return onnx.load(quantised)


def compress_weights(model: onnx.ModelProto, weights: Weights) -> onnx.ModelProto:
    """Store large float32 initialisers in 16 or 8 bits, each expanded to float32 by a node in front of its use.

    8 bits are for matrices, in blocks along the axis that is summed over (the last one of a table that is looked up);
    measured on 200 sentences, whole rows or columns lose eight times more than blocks of 32.
    """
    looked_up = {node.input[0] for node in model.graph.node if node.op_type == "Gather"}
    kept, nodes = [], []
    for initialiser in model.graph.initializer:
        array = numpy_helper.to_array(initialiser)
        if initialiser.data_type != TensorProto.FLOAT or array.size < _SMALLEST_COMPRESSED:
            kept.append(initialiser)
            continue
        stored, node = (_to_half if weights == "float16" or array.ndim != 2 else _to_bytes)(
            initialiser.name, array, 1 if initialiser.name in looked_up else 0
        )
        kept += stored
        nodes.append(node)
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])
    strip_notes(model)
    onnx.checker.check_model(model)
    return model


def strip_notes(model: onnx.ModelProto) -> None:
    """Remove what the exporter notes of the machine it ran on: stack traces with paths, in every node."""
    graphs = [model.graph, *model.functions]
    for holder in [model, *graphs, *(node for graph in graphs for node in graph.node)]:
        del holder.metadata_props[:]
        holder.doc_string = ""
    for graph in graphs:
        for value in [*getattr(graph, "input", []), *getattr(graph, "output", []), *graph.value_info]:
            if isinstance(value, onnx.ValueInfoProto):
                del value.metadata_props[:]
    for tensor in model.graph.initializer:
        del tensor.metadata_props[:]


def _to_half(name: str, array: npt.NDArray[Any], axis: int) -> tuple[list[onnx.TensorProto], onnx.NodeProto]:
    stored = numpy_helper.from_array(array.astype(np.float16), f"{name}_f16")
    return [stored], helper.make_node("Cast", [stored.name], [name], to=TensorProto.FLOAT)


def _to_bytes(name: str, array: npt.NDArray[Any], axis: int) -> tuple[list[onnx.TensorProto], onnx.NodeProto]:
    """Symmetric 8 bits with one scale per `_BLOCK` neighbours along an axis."""
    split = np.moveaxis(array, axis, -1).reshape(array.shape[1 - axis], -1, _BLOCK)
    scale = np.maximum(np.abs(split).max(axis=-1), 1e-12).astype(np.float32) / 127
    levels = np.round(split / scale[..., None]).astype(np.int8).reshape(array.shape[1 - axis], -1)
    arrays = {f"{name}_i8": np.moveaxis(levels, -1, axis), f"{name}_scale": np.moveaxis(scale, -1, axis)}
    parts = [numpy_helper.from_array(np.ascontiguousarray(value), key) for key, value in arrays.items()]
    names = [part.name for part in parts]
    return parts, helper.make_node("DequantizeLinear", names, [name], axis=axis, block_size=_BLOCK)


def _write_probe(out: Path, expected: npt.NDArray[Any], **inputs: npt.NDArray[Any]) -> None:
    """Store inputs and the outputs of torch, which `load_backbone(verify=True)` compares."""
    arrays = inputs | {"expected": expected}
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, out / PROBE)


def _finish(
    out: Path,
    description: BackboneDescription,
    compare: Callable[[Any], list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]],
) -> None:
    """Write the description with digests, load the artifact back, and compare it with torch."""
    digests = {
        name: file_digest(out / name) for name in (MODEL, MODEL_WEIGHTS, TOKENIZER, PROBE) if (out / name).exists()
    }
    _write(out, replace(description, digests=digests))
    kind = description.arithmetic
    parity = min(measure_parity(expected, found, kind) for expected, found in compare(load_backbone(out)))
    if parity < PARITY_BOUNDS[kind]:
        shutil.rmtree(out)
        raise BackboneError(
            f"{out}: the packaged backbone does not match torch (cosine {parity:.5f}, expected at least "
            f"{PARITY_BOUNDS[kind]}); build it with float16 weights"
        )
    _write(out, replace(description, digests=digests, parity_cosine=round(parity, 6)))


def _write(out: Path, description: BackboneDescription) -> None:
    write_json(out / DESCRIPTION, description)
