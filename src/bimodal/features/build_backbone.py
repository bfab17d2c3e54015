"""Build a backbone artifact: a pretrained encoder's layers as one packaged ONNX file, checked against torch.

Needs the extra `finetune` (torch, transformers, onnx). Weights are stored in 32, 16 or 8 bits; those in 8 bits of a
speech encoder are multiplied as such, which takes half the time. All else is computed in float32.
"""

import contextlib
import io
import logging
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import save_file
from torch import nn

from bimodal.errors import BackboneError
from bimodal.features.backbone import (
    DESCRIPTION,
    MODEL,
    MODEL_WEIGHTS,
    PARITY_BOUNDS,
    PREPARATIONS,
    PROBE,
    TOKENIZER,
    Arithmetic,
    BackboneDescription,
    Weights,
    load_backbone,
    measure_parity,
)
from bimodal.features.backbones.contract import Encoder, first_line
from bimodal.features.backbones.data2vec_audio import read_data2vec_audio
from bimodal.features.backbones.hubert import read_hubert
from bimodal.features.backbones.language_model import read_language_model
from bimodal.features.backbones.sentence_transformers import read_sentence_transformer
from bimodal.features.backbones.source import find_pretrained
from bimodal.features.backbones.wav2vec2 import read_wav2vec2
from bimodal.features.backbones.wavlm import read_wavlm
from bimodal.features.backbones.whisper import read_whisper, whisper_encoder
from bimodal.files import file_digest, temporary_folder, write_json

Compare = Callable[[Any], list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]]
_SMALLEST_COMPRESSED = 4096
_BLOCK = 32
_LARGE = 1 << 20  # bytes
_OPSET = 21
_TEXTS: Final = ["A plain line.", "I can't believe you did that, it is wonderful!", "Nein. Das ist mir egal, wirklich."]
_NEXT: Final = {
    "int8": "float16 weights",
    "float16": "float32 weights",
    "float32": "another version of torch, or report it: this architecture differs from what is known of its family",
}


def build_backbone(encoder: Encoder, out: Path, description: BackboneDescription) -> BackboneDescription:
    """Write the artifact of an encoder's layers to the folder `out`, and check it against `transformers`.

    Args:
        encoder: What a family read (`ENCODERS`).
        out: Folder to write; an existing artifact there is replaced.
        description: What the artifact is; its digests, parity and number format are filled in here. `int8` weights of
            a speech encoder are multiplied in 8 bits, too.

    Returns:
        The description as it was written.

    Raises:
        BackboneError: The description does not fit the encoder, it cannot be exported, or the artifact's outputs differ
            from those of `transformers` by more than the number format explains.
    """
    _check_fits(description, encoder)
    network, weights = encoder.network(description.layers), description.weights
    speech = description.kind == "speech"
    in_bytes = speech and weights == "int8"
    model = _export(network, encoder, "layers")
    stored: Weights = "float16" if in_bytes else weights
    _save(compress_weights(multiply_in_bytes(model) if in_bytes else model, stored), out)
    if encoder.tokenizer is not None:
        encoder.tokenizer.enable_truncation(description.max_tokens)
        encoder.tokenizer.save(str(out / TOKENIZER))
    arithmetic: Arithmetic = "int8" if in_bytes else "float32"
    described = replace(description, arithmetic=arithmetic, digests={})
    compare = _compare_speech if speech else _compare_texts
    return _finish(out, described, compare(out, described, encoder))


def build_speech_backbone(source: str, out: Path, description: BackboneDescription, weights: Weights) -> None:
    """`build_backbone` of a Whisper encoder's lower layers.

    Args:
        source: Hub id or local folder of a Whisper model or of its encoder alone.
        out: As in `build_backbone`.
        description: As in `build_backbone`.
        weights: How weights are stored; int8 ones are multiplied in 8 bits, too.

    Raises:
        BackboneError: As in `build_backbone`, or there is no such encoder.
    """
    build_backbone(whisper_encoder(source), out, replace(description, weights=weights, family="whisper"))


def build_text_backbone(source: str, out: Path, description: BackboneDescription, weights: Weights) -> None:
    """`build_backbone` of an encoder-type language model, pooled by the mean over tokens.

    Args:
        source: Hub id or local folder with a `tokenizer.json`.
        out: As in `build_backbone`.
        description: As in `build_backbone`.
        weights: How weights are stored.

    Raises:
        BackboneError: As in `build_backbone`, or there is no such model.
    """
    encoder = read_language_model(find_pretrained(source).folder)
    build_backbone(encoder, out, replace(description, weights=weights, family="bert"))


ENCODERS: Final[dict[str, Callable[[Path], Encoder]]] = {
    "whisper": read_whisper,
    "wav2vec2": read_wav2vec2,
    "hubert": read_hubert,
    "wavlm": read_wavlm,
    "data2vec-audio": read_data2vec_audio,
    "bert": read_language_model,
    "sentence-transformers": read_sentence_transformer,
}
"""Reads an encoder of each family of `bimodal.features.backbone.BACKBONES`; it is here since building needs torch."""


def _check_fits(description: BackboneDescription, encoder: Encoder) -> None:
    """Refuse a description of layers that the encoder does not have."""
    source, layers = description.source, description.layers
    if not 1 <= min(layers) <= max(layers) <= encoder.count:
        raise BackboneError(f"{source}: has {encoder.count} layers, expected {layers} to be among them")
    if description.width != encoder.width:
        raise BackboneError(f"{source}: is {encoder.width} wide, expected {description.width} as described")


def _probe_signal(rng: np.random.Generator, seconds: float) -> npt.NDArray[np.float32]:
    """A gliding tone with noise: something with the structure of a voice, made in code."""
    time = np.arange(int(seconds * 16_000)) / 16_000
    tone = sum(np.sin(2 * np.pi * k * (120 * time + 15 * np.sin(3 * time))) / k for k in range(1, 12))
    noisy = 0.05 * tone * (1 + np.sin(9 * time)) + rng.normal(0, 0.003, len(time))
    return np.asarray(noisy, np.float32)


def _export(network: nn.Module, encoder: Encoder, output: str) -> onnx.ModelProto:
    try:
        with quiet_export():
            program = torch.onnx.export(
                network,
                encoder.example,
                dynamo=True,
                opset_version=_OPSET,
                dynamic_shapes=encoder.shapes,
                input_names=list(encoder.inputs),
                output_names=[output],
                verbose=False,
            )
    except Exception as error:  # torch raises a dozen kinds; its text is a page long
        raise BackboneError(
            f"this encoder cannot be exported as ONNX ({first_line(error)}); choose another of its kind"
        ) from error
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

    With `float32` they stay as they are.

    8 bits are for matrices, in blocks along the axis that is summed over (the last one of a table that is looked up);
    measured on 200 sentences, whole rows or columns lose eight times more than blocks of 32.
    """
    looked_up = {node.input[0] for node in model.graph.node if node.op_type == "Gather"}
    kept, nodes = [], []
    for initialiser in model.graph.initializer:
        array = numpy_helper.to_array(initialiser)
        if weights == "float32" or initialiser.data_type != TensorProto.FLOAT or array.size < _SMALLEST_COMPRESSED:
            kept.append(initialiser)
            continue
        axis = 1 if initialiser.name in looked_up else 0
        whole = array.ndim == 2 and array.shape[axis] % _BLOCK == 0
        stored, node = (_to_bytes if weights == "int8" and whole else _to_half)(initialiser.name, array, axis)
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


def _compare_speech(out: Path, description: BackboneDescription, encoder: Encoder) -> Compare:
    """Store a probe; say how to compare the artifact with what `transformers` computes of some signals."""
    rng = np.random.default_rng(0)
    probes = [_probe_signal(rng, seconds) for seconds in (0.5, 3.0, 8.0)]
    expected = [encoder.reference(probe, description.layers) for probe in probes]
    inputs, _ = PREPARATIONS[description.family](probes[0])
    _write_probe(out, expected[0][None], **inputs)
    return lambda backbone: list(zip(expected, map(backbone.run, probes), strict=True))


def _compare_texts(out: Path, description: BackboneDescription, encoder: Encoder) -> Compare:
    """As `_compare_speech`, of some texts in one padded batch."""
    expected = np.stack([encoder.reference(text, description.layers) for text in _TEXTS])
    encoded = encoder.tokenizer.encode_batch(_TEXTS)
    tokens, mask = (np.array([getattr(one, name) for one in encoded], np.int64) for name in ("ids", "attention_mask"))
    _write_probe(out, expected, tokens=tokens, mask=mask)
    return lambda backbone: [(expected, backbone.extract(_TEXTS))]


def _finish(out: Path, description: BackboneDescription, compare: Compare) -> BackboneDescription:
    """Write the description with digests, load the artifact back, and compare it with torch."""
    digests = {
        name: file_digest(out / name) for name in (MODEL, MODEL_WEIGHTS, TOKENIZER, PROBE) if (out / name).exists()
    }
    _write(out, replace(description, digests=digests))
    kind = description.arithmetic
    parity = min(measure_parity(expected, found, kind) for expected, found in compare(load_backbone(out)))
    if not parity >= PARITY_BOUNDS[kind]:
        shutil.rmtree(out)
        raise BackboneError(
            f"{out}: the packaged backbone does not match torch (cosine {parity:.5f}, expected at least "
            f"{PARITY_BOUNDS[kind]}); build it with {_NEXT[description.weights]}"
        )
    finished = replace(description, digests=digests, parity_cosine=round(parity, 6))
    _write(out, finished)
    return finished


def _write(out: Path, description: BackboneDescription) -> None:
    write_json(out / DESCRIPTION, description)
