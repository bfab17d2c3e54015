"""data2vec for speech (Baevski et al. 2022, arXiv 2202.03555): five small convolutions give the positions."""

from pathlib import Path
from typing import Any

from torch import Tensor

from bimodal.features.backbones.contract import Encoder
from bimodal.features.backbones.waveform import read_waveform_encoder


def read_data2vec_audio(folder: Path) -> Encoder:
    """A data2vec-audio encoder from a folder.

    Raises:
        BackboneError: As in `read_waveform_encoder`.
    """
    from transformers import Data2VecAudioModel

    return read_waveform_encoder(folder, Data2VecAudioModel, positions=stacked_positions)


def stacked_positions(embedding: Any, hidden: Tensor, real: Tensor) -> Tensor:
    """Positions by convolutions one upon the other; what one writes beyond a signal's end is zero to the next."""
    moved, kept = hidden.transpose(1, 2), real.transpose(1, 2)
    for layer in embedding.layers:
        moved = layer(moved * kept)
    return moved.transpose(1, 2)
