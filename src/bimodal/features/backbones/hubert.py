"""HuBERT (Hsu et al. 2021, arXiv 2106.07447) and models of its architecture, such as distilHuBERT and mHuBERT."""

from pathlib import Path

from bimodal.features.backbones.contract import Encoder
from bimodal.features.backbones.waveform import read_waveform_encoder


def read_hubert(folder: Path) -> Encoder:
    """A HuBERT encoder from a folder.

    Raises:
        BackboneError: As in `read_waveform_encoder`.
    """
    from transformers import HubertModel

    return read_waveform_encoder(folder, HubertModel)
