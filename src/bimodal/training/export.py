"""Trained networks as ONNX graphs, checked against torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from bimodal.errors import ModelFolderError
from bimodal.features.build_backbone import quiet_export, save_graph, strip_notes
from bimodal.runtime import make_session

_TOLERANCE: Final = 1e-4
OUTPUTS: Final = {
    "speech": ("embedding", "logits"),
    "text": ("embedding", "logits"),
    "fusion": ("embedding", "logits", "gate"),
}


def export_network(network: nn.Module, stage: str, example: Mapping[str, np.ndarray], file: Path) -> None:
    """Write a network of one stage as ONNX and compare both on the example.

    Args:
        network: In evaluation mode; its inputs are named as in `example`.
        stage: `speech`, `text` or `fusion`.
        example: Inputs of at least two utterances; axis 0 may vary in use.
        file: ONNX file to write; large weights lie beside it, with the suffix `.weights`.

    Raises:
        ModelFolderError: The graph's outputs differ from torch's.
    """
    network.eval()
    inputs = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in example.items()}
    shapes = {name: {0: torch.export.Dim("batch")} for name in inputs}
    with quiet_export(), torch.inference_mode():
        program = torch.onnx.export(
            network,
            kwargs=inputs,
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=list(inputs),
            output_names=list(OUTPUTS[stage]),
            verbose=False,
        )
        model = program.model_proto  # type: ignore[union-attr]
        expected = network(**inputs)
    strip_notes(model)
    save_graph(model, file)
    _compare(file, example, expected)


def _compare(file: Path, example: Mapping[str, np.ndarray], expected: tuple[Tensor, ...]) -> None:
    found = make_session(file, threads=1).run(None, dict(example))
    for ours, theirs in zip(expected, found, strict=True):
        difference = float(np.abs(ours.numpy() - theirs).max())
        if not difference <= _TOLERANCE:
            raise ModelFolderError(f"{file}: differs from torch by {difference:.2g}, expected at most {_TOLERANCE:g}")


def fusion_example(network: Any, emotions: int) -> dict[str, Any]:
    """Inputs for `export_network` of a fusion network: three utterances, one with both modalities, two with one."""
    rng = np.random.default_rng(0)
    widths = {"speech": network.speech_width, "speech_logits": emotions}
    widths |= {"text": network.text_width, "text_logits": emotions}
    example: dict[str, Any] = {name: rng.normal(size=(3, width)).astype(np.float32) for name, width in widths.items()}
    return example | {"present": np.array([[1, 1], [1, 0], [0, 1]], np.float32)}
