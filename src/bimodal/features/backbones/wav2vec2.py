"""wav2vec 2.0 (Baevski et al. 2020, arXiv 2006.11477), its multilingual XLSR and XLS-R among them."""

from pathlib import Path

from bimodal.features.backbones.contract import Encoder
from bimodal.features.backbones.waveform import read_waveform_encoder


def read_wav2vec2(folder: Path) -> Encoder:
    """A wav2vec 2.0 encoder from a folder.

    Raises:
        BackboneError: As in `read_waveform_encoder`.
    """
    from transformers import Wav2Vec2Model

    return read_waveform_encoder(folder, Wav2Vec2Model)
