"""The weights of a packaged language model, read back from its graph, so that a tuning can go on from them."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from bimodal.errors import BackboneError
from bimodal.features.backbone import MODEL
from bimodal.training.tune import silent

PREFIX = "encoder."


def read_back(backbone: Path, source: str, out: Path) -> Path:
    """Write the encoder that a text backbone was built from, as far as its 8 bits tell, as `transformers` saves it.

    Args:
        backbone: Folder of the backbone.
        source: Hub id or folder of a pretrained encoder of the same shape; its tokeniser is taken along.
        out: Folder to write.

    Raises:
        BackboneError: The two are of other shapes.
    """
    from transformers import AutoModel, AutoTokenizer

    with silent():
        encoder = AutoModel.from_pretrained(source, dtype=torch.float32, add_pooling_layer=False)
        found = _weights(onnx.load(backbone / MODEL))
        wanted = {name: tuple(value.shape) for name, value in encoder.state_dict().items()}
        if wanted != {name: value.shape for name, value in found.items()}:
            raise BackboneError(f"{backbone}: is of another shape than {source}")
        encoder.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in found.items()})
        encoder.save_pretrained(out)
        AutoTokenizer.from_pretrained(source).save_pretrained(out)
    return out


def _weights(model: onnx.ModelProto) -> dict[str, Any]:
    """Weights by their names in torch; a matrix that lost its name in the export takes that of the bias added to it."""
    held = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    values = dict(held)
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear":
            options = {one.name: one.i for one in node.attribute}
            levels, scale = (held[name] for name in node.input[:2])
            scale = np.repeat(scale, options["block_size"], axis=options["axis"])
            values[node.output[0]] = levels.astype(np.float32) * scale
    added = {
        name: other
        for node in model.graph.node
        if node.op_type == "Add"
        for name, other in zip(node.input, reversed(node.input), strict=True)
    }
    for node in model.graph.node:
        if node.op_type == "MatMul" and node.input[1] in values and node.output[0] in added:
            bias = added[node.output[0]]
            values[bias.removesuffix("bias") + "weight"] = values[node.input[1]].T
    return {
        name.removeprefix(PREFIX): value
        for name, value in values.items()
        if name.startswith(PREFIX) and name.endswith((".weight", ".bias"))
    }
