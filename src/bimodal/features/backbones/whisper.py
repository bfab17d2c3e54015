"""Whisper encoders (Radford et al. 2022, arXiv 2212.04356), over log-mel spectrograms that are not padded to 30 s."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bimodal.arrays import Floats
from bimodal.audio.decode import Signal
from bimodal.features.backbones.contract import Encoder, Layers
from bimodal.features.backbones.source import extractor_settings
from bimodal.features.logmel import log_mel
from bimodal.features.whisper import TunableWhisper, load_whisper_encoder


class WhisperLayers(nn.Module):
    """The lower layers of a Whisper encoder, with the inputs and the output of a speech artifact.

    Args:
        encoder: A `transformers` WhisperEncoder.
        layers: 1-based numbers of the blocks whose outputs are exposed; blocks above the last one are dropped.
    """

    def __init__(self, encoder: Any, layers: Layers) -> None:
        super().__init__()
        self.whole = TunableWhisper(encoder, layers, frozen=0)

    def forward(self, mel: Tensor, frames: Tensor) -> Tensor:
        """Hidden states (B, L, T // 2 rounded up, D) of mel (B, 80, T) with `frames` (B,) real frames each."""
        states: Tensor = self.whole(mel.transpose(1, 2), frames)[0]
        return states


def read_whisper(folder: Path) -> Encoder:
    """The encoder of a Whisper model, or an encoder alone, from a folder.

    `transformers` insists on 30 s of frames, so its layers are compared one by one, without padding.

    Raises:
        BackboneError: It cannot be loaded, or takes another spectrogram.
    """
    extractor_settings(folder)
    return whisper_encoder(str(folder))


def whisper_encoder(source: str) -> Encoder:
    """As `read_whisper`, from a Hub id or a folder."""
    encoder = load_whisper_encoder(source)
    return Encoder(
        count=encoder.config.encoder_layers,
        width=encoder.config.d_model,
        network=lambda layers: WhisperLayers(encoder, layers).eval(),
        reference=lambda signal, layers: _reference(encoder, signal, layers),
        example=_example(),
        shapes=_shapes(),
        inputs=("mel", "frames"),
        preprocessing="level -20 dB, Whisper log-mel, unpadded",
    )


def _reference(encoder: Any, signal: Signal, layers: Layers) -> Floats:
    spectrogram = torch.from_numpy(log_mel(signal))[None]
    with torch.inference_mode():
        states: Floats = WhisperLayers(encoder, layers)(spectrogram, torch.tensor([spectrogram.shape[2]]))[0].numpy()
    return states


def _example() -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(0)
    mel = torch.from_numpy(np.stack([log_mel(rng.normal(0, 0.1, 24_000).astype(np.float32)) for _ in range(2)]))
    return mel, torch.tensor([150, 120])


def _shapes() -> tuple[dict[int, Any], ...]:
    time, batch = torch.export.Dim("time", min=3, max=3000), torch.export.Dim("batch", min=1, max=4096)
    return ({0: batch, 2: time}, {0: batch})
