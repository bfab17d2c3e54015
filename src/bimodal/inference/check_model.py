"""Checks of a model that somebody else made: its graphs, and what its networks give. No torch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bimodal.errors import ModelFolderError
from bimodal.inference.model_folder import DO_NOT_USE, ModelConfig, modalities
from bimodal.records import printable


def check_graph(stage: str, session: Any, config: ModelConfig, where: object) -> None:
    """Compare a network's inputs and outputs with what the configuration says of them.

    Args:
        stage: `speech`, `text` or `fusion`.
        session: Of the network.
        config: Of the model.
        where: File, for the message.

    Raises:
        ModelFolderError: Other names, widths or numbers of classes.
    """
    for kind, found, expected in (
        ("inputs", session.get_inputs(), _inputs(stage, config)),
        ("outputs", session.get_outputs(), _outputs(stage, config)),
    ):
        shapes = {one.name: tuple(one.shape) for one in found}
        if any(one.type != "tensor(float)" for one in found) or set(shapes) != set(expected):
            raise ModelFolderError(
                f"{where}: is no {stage} network of this model: its {kind} are {_list(shapes)}, expected "
                f"{_list(expected)}; copy the model folder again"
            )
        for name, shape in expected.items():
            if not _fits(shapes[name], shape):
                raise ModelFolderError(
                    f"{where}: does not fit {config.name}: '{name}' has the shape {_told(shapes[name])}, expected "
                    f"{_told(shape)}; copy the model folder again"
                )


def _list(names: Mapping[str, Any]) -> str:
    return printable(", ".join(sorted(names)))[:200]


def _fits(found: Sequence[Any], expected: Sequence[Any]) -> bool:
    """Whether a shape fits; an axis without a fixed length fits any."""
    pairs = list(zip(found, expected, strict=False))
    return len(found) == len(expected) and all(a == b for a, b in pairs if isinstance(a, int) and isinstance(b, int))


def _told(shape: Sequence[Any]) -> str:
    return f"({', '.join(str(length) if isinstance(length, int) else 'any' for length in shape)})"


def _inputs(stage: str, config: ModelConfig) -> dict[str, tuple[Any, ...]]:
    if stage == "fusion":
        assert config.speech is not None and config.text is not None  # noqa: S101 - `check_config` saw both
        classes = ("n", len(config.emotions))
        speech, text = ("n", config.speech.embedding_width), ("n", config.text.embedding_width)
        return {"speech": speech, "speech_logits": classes, "text": text, "text_logits": classes, "present": ("n", 2)}
    modality = modalities(config)[stage]
    if stage == "text":
        turns = ("n", modality.context + 1)
        window = {"pooled": (*turns, "L", "D"), "same": turns, "there": turns}
        return window if modality.context else {"pooled": ("n", "L", "D")}
    if modality.columns:
        return {"columns": ("n", len(modality.columns))}
    statistics = ("n", len(modality.pooling.statistics), "L", "D")
    own = {"heard": ("n",), "own_mean": statistics, "own_std": statistics}
    return {"statistics": statistics} | (own if modality.speaker_stats else {})


def _outputs(stage: str, config: ModelConfig) -> dict[str, tuple[Any, ...]]:
    if stage == "fusion":
        return {"embedding": ("n", "E"), "logits": ("n", len(config.emotions)), "gate": ("n",)}
    return {"embedding": ("n", modalities(config)[stage].embedding_width), "logits": ("n", len(config.emotions))}


def run_network(session: Any, inputs: Mapping[str, npt.NDArray[Any]], where: object) -> list[npt.NDArray[Any]]:
    """Outputs of a network for N utterances, in the order of its graph; each is finite.

    Args:
        session: Of the network.
        inputs: Arrays by name, with N rows each.
        where: File, for the message.

    Raises:
        ModelFolderError: The network fails, or gives NaN or infinity.
    """
    try:
        outputs: list[npt.NDArray[Any]] = session.run(None, dict(inputs))
    except Exception as error:  # onnxruntime raises a dozen unrelated classes here
        raise ModelFolderError(f"{where}: the network fails ({printable(str(error))[:200]}); {DO_NOT_USE}") from error
    count = len(next(iter(inputs.values())))
    for output in outputs:
        if len(output) != count:
            raise ModelFolderError(f"{where}: the network gives {len(output)} rows for {count}; {DO_NOT_USE}")
        if not np.isfinite(output).all():
            raise ModelFolderError(f"{where}: the network gives NaN or infinity for this input; {DO_NOT_USE}")
    return outputs
