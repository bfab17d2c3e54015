"""What every family gives to the builder: the layers of an encoder as a network, and what `transformers` computes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bimodal.arrays import Floats
from bimodal.errors import BackboneError
from bimodal.records import printable

_UNUSED = ("pooler", "masked_spec_embed", "position_ids")  # parts of weights that no hidden state depends on

Layers = tuple[int, ...]
"""1-based numbers of blocks whose outputs are exposed."""


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """A pretrained encoder as the builder exports it.

    Attributes:
        count: Number of its blocks.
        width: Width D of their outputs.
        network: The network that gives the outputs of some blocks; blocks above the last one may be dropped.
        reference: What `transformers` computes for the same layers of one input: a signal (T,) at 16 kHz gives
            (L, T, D), a text (L, D).
        example: Inputs of the network, a batch of two.
        shapes: Which axes of each input vary, as `torch.export` wants them.
        inputs: Name of each input.
        preprocessing: What is done in front of the network.
        tokenizer: For words: a `tokenizers` tokeniser, which cuts texts off at `max_tokens`.
        max_tokens: For words: the longest text that it takes.
    """

    count: int
    width: int
    network: Callable[[Layers], nn.Module]
    reference: Callable[[Any, Layers], Floats]
    example: tuple[torch.Tensor, ...]
    shapes: tuple[dict[int, Any], ...]
    inputs: tuple[str, ...]
    preprocessing: str
    tokenizer: Any = None
    max_tokens: int = 256


def load_pretrained(kind: Any, folder: str | Path, **options: Any) -> Any:
    """A model of `transformers` from a folder, in float32, without random weights.

    Args:
        kind: Class with `from_pretrained`.
        folder: As `transformers` saves it.
        **options: Of `from_pretrained`.

    Raises:
        BackboneError: It cannot be loaded, or weights are missing in it.
    """
    try:
        with silent():
            model, told = kind.from_pretrained(
                str(folder),
                dtype=torch.float32,
                attn_implementation="eager",
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are told, and refused below
                **options,
            )
    except Exception as error:  # transformers, safetensors and torch raise a dozen kinds for damaged folders
        if options and isinstance(error, TypeError):
            return load_pretrained(kind, folder)  # a model that has no such option
        raise BackboneError(f"{folder}: cannot be loaded ({first_line(error)})") from error
    check_complete(folder, told)
    return model.eval()


def check_complete(folder: str | Path, told: Mapping[str, Any]) -> None:
    """Refuse a checkpoint without some weights: `transformers` would take random ones.

    Args:
        folder: Of the checkpoint.
        told: What `from_pretrained(output_loading_info=True)` says.

    Raises:
        BackboneError: A weight is missing that decides outputs, or has another shape.
    """
    missing = [name for name in told["missing_keys"] if not any(part in name for part in _UNUSED)]
    wrong = sorted(missing) or [str(one[0]) for one in told.get("mismatched_keys", ())]
    if wrong:
        raise BackboneError(
            f"{folder}: {len(wrong)} weights are missing or of another shape, such as {wrong[0]}; expected those of "
            "the architecture that config.json names"
        )


def first_line(error: BaseException) -> str:
    """What another library says, in one printable line."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return printable(lines[0])[:300].rstrip(".")


@contextmanager
def silent() -> Iterator[None]:
    """Without the bars and reports of `transformers`, which are put back as they were."""
    from transformers.utils import logging as theirs

    logging: Any = theirs
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
