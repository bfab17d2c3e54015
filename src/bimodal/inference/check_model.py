"""Checks of a model that somebody else made: its configuration, its graphs, what its networks give. No torch."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bimodal.errors import ModelFolderError
from bimodal.inference.model_config import ModalityConfig, ModelConfig
from bimodal.records import LONGEST_NAME, LONGEST_TEXT, printable, text_fault

_MOST_EMOTIONS: Final = 1000
_LARGEST_WIDTH: Final = 65_536
_MOST_CONTEXT: Final = 1000
_LARGEST_TEMPERATURE: Final = 1e6
_OF_PRIORS: Final = 1e-3  # their sum may differ from 1 by this much
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_FUSION_CASES: Final = 3  # both modalities, speech alone, text alone
_DO_NOT: Final = "do not use this model, or ask its author for a sound one"


def check_config(config: ModelConfig, where: object) -> None:
    """Refuse a configuration that no training writes.

    Args:
        config: The configuration.
        where: File, for the message.

    Raises:
        ModelFolderError: What is wrong first.

    Example:
        >>> from bimodal.inference.model_config import ModalityConfig, ModelConfig
        >>> text = ModalityConfig(backbone="minilm-l6", embedding_width=8)
        >>> check_config(ModelConfig(name="a", emotions=("joy", "joy"), vocabulary="native", priors=(0.5, 0.5),
        ...     text=text), "config.json")
        Traceback (most recent call last):
        bimodal.errors.ModelFolderError: config.json: the emotion 'joy' is listed twice; do not use this model, or \
ask its author for a sound one
    """
    fault = next(filter(None, (*_name_faults(config), *_number_faults(config), *_file_faults(config.files))), "")
    if fault:
        raise ModelFolderError(f"{where}: {fault}; {_DO_NOT}")


def _name_faults(config: ModelConfig) -> list[str]:
    names = [("name", config.name), ("version", config.version), ("vocabulary", config.vocabulary)]
    texts = [("licence", config.licence), ("trained_on", config.trained_on), ("adapted_to", config.adapted_to)]
    for stage, modality in _modalities(config).items():
        texts.append((f"{stage}.backbone", modality.backbone))
        names += [(f"{stage}.columns", name) for name in modality.columns]
        names += [(f"{stage}.tta", name) for name in modality.tta]
    names += [(f"the emotion {name!r:.60}", name) for name in config.emotions]
    twice = [name for name, count in Counter(config.emotions).items() if count > 1]
    return [
        *(text_fault(field, text, LONGEST_NAME) for field, text in names),
        *(text_fault(field, text, LONGEST_TEXT) for field, text in texts if text),
        f"the emotion {twice[0]!r} is listed twice" if twice else "",
    ]


def _number_faults(config: ModelConfig) -> list[str]:
    count, priors, fused = len(config.emotions), config.priors, config.fusion_temperatures
    sound = all(math.isfinite(one) and one >= 0 for one in priors) and abs(sum(priors) - 1) < _OF_PRIORS
    modalities = _modalities(config)
    return [
        "" if 2 <= count <= _MOST_EMOTIONS else f"{count} emotions, expected 2 to {_MOST_EMOTIONS}",
        "" if len(priors) == count else f"{count} emotions, but {len(priors)} priors",
        "" if sound else f"the priors sum to {sum(priors):g}, expected shares of each emotion that sum to 1",
        "" if modalities else "neither a speech nor a text network",
        "" if len(fused) in (0, _FUSION_CASES) else f"{len(fused)} fusion temperatures, expected {_FUSION_CASES}",
        "" if not fused or len(modalities) == 2 else "a fusion network, but not both a speech and a text network",
        *(_temperature_fault("fusion", one) for one in fused),
        *(fault for stage, modality in modalities.items() for fault in _modality_faults(stage, modality)),
    ]


def _modality_faults(stage: str, modality: ModalityConfig) -> list[str]:
    width, context = modality.embedding_width, modality.context
    return [
        _temperature_fault(stage, modality.temperature),
        "" if 1 <= width <= _LARGEST_WIDTH else f"{stage}.embedding_width is {width}, expected 1 to {_LARGEST_WIDTH}",
        "" if 0 <= context <= _MOST_CONTEXT else f"{stage}.context is {context}, expected 0 to {_MOST_CONTEXT}",
        "" if 0 <= modality.logit_variance < math.inf else f"{stage}.logit_variance is {modality.logit_variance:g}",
        "" if modality.backbone or modality.columns else f"{stage} has neither a backbone nor columns",
        "" if modality.pooling.statistics else f"{stage}.pooling has no statistics",
        f"{stage}.tta names a file of another machine" if any(":" in name for name in modality.tta) else "",
    ]


def _temperature_fault(stage: str, value: float) -> str:
    fits = 0 < value <= _LARGEST_TEMPERATURE  # False for NaN
    return "" if fits else f"a temperature of {stage} is {value:g}, expected a number above 0"


def _file_faults(files: Mapping[str, str]) -> list[str]:
    faults = [
        f"names a file outside its folder ({name!r:.60})"
        for name in files
        if not name or name in (".", "..") or set(name) & set("/\\\0:") or printable(name) != name
    ]
    return faults + [f"no digest of {name}" for name, digest in files.items() if not _DIGEST.fullmatch(digest)]


def _modalities(config: ModelConfig) -> "dict[str, ModalityConfig]":
    both = {"speech": config.speech, "text": config.text}
    return {stage: modality for stage, modality in both.items() if modality is not None}


OLD_INPUTS: Final = {"heard": "clip_count"}
"""Inputs of graphs of earlier versions, and their names today."""


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
        shapes = {OLD_INPUTS.get(one.name, one.name): tuple(one.shape) for one in found}
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
    modality = _modalities(config)[stage]
    if stage == "text":
        turns = ("n", modality.context + 1)
        window = {"pooled": (*turns, "L", "D"), "same": turns, "there": turns}
        return window if modality.context else {"pooled": ("n", "L", "D")}
    if modality.columns:
        return {"columns": ("n", len(modality.columns))}
    statistics = ("n", len(modality.pooling.statistics), "L", "D")
    own = {"clip_count": ("n",), "own_mean": statistics, "own_std": statistics}
    return {"statistics": statistics} | (own if modality.speaker_stats else {})


def _outputs(stage: str, config: ModelConfig) -> dict[str, tuple[Any, ...]]:
    if stage == "fusion":
        return {"embedding": ("n", "E"), "logits": ("n", len(config.emotions)), "gate": ("n",)}
    return {"embedding": ("n", _modalities(config)[stage].embedding_width), "logits": ("n", len(config.emotions))}


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
        raise ModelFolderError(f"{where}: the network fails ({printable(str(error))[:200]}); {_DO_NOT}") from error
    count = len(next(iter(inputs.values())))
    for output in outputs:
        if len(output) != count:
            raise ModelFolderError(f"{where}: the network gives {len(output)} rows for {count}; {_DO_NOT}")
        if not np.isfinite(output).all():
            raise ModelFolderError(f"{where}: the network gives NaN or infinity for this input; {_DO_NOT}")
    return outputs
