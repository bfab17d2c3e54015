"""A Whisper encoder in torch, cut in two: lower blocks that stay as they are, upper ones that are tuned."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bimodal.errors import BackboneError
from bimodal.features.backbones.contract import check_complete, silent
from bimodal.features.logmel import BINS


class TunableWhisper(nn.Module):
    """The upper blocks of a Whisper encoder, over what the lower ones found; with `frozen=0` the whole encoder.

    Args:
        encoder: A `transformers` WhisperEncoder; its blocks are taken as they are.
        layers: 1-based numbers of the blocks whose outputs are exposed; blocks above the last one are dropped.
        frozen: Lowest blocks that are left out here: their outputs are what `forward` is given.
    """

    positions: Tensor

    def __init__(self, encoder: Any, layers: tuple[int, ...], frozen: int) -> None:
        super().__init__()
        self.layers, self.given = layers, given_layers(layers, frozen)
        self.frozen = frozen
        self.blocks = nn.ModuleList(encoder.layers[frozen : max(layers)])
        self.convolutions = nn.ModuleList([] if frozen else [encoder.conv1, encoder.conv2])
        positions = torch.zeros(0, 1) if frozen else encoder.embed_positions.weight.detach().clone()
        self.register_buffer("positions", positions, persistent=False)

    def forward(self, inputs: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states of the exposed layers.

        Args:
            inputs: Outputs of the `given` layers (B, T, K, D); with `frozen=0` a log-mel spectrogram (B, T, 80).
            count: Real frames of each utterance, (B,).

        Returns:
            States (B, L, T', D) and their real frames (B,); states beyond these are meaningless.
        """
        if self.frozen:
            states = {layer: inputs[:, :, place] for place, layer in enumerate(self.given)}
            hidden = states[self.frozen]
        else:
            hidden, count = self._convolve(inputs.transpose(1, 2), count)
            states = {}
        beyond = torch.arange(hidden.shape[1], device=hidden.device)[None] >= count[:, None]
        kind = torch.get_autocast_dtype(hidden.device.type) if torch.is_autocast_enabled(hidden.device.type) else None
        bias = torch.zeros(beyond.shape, dtype=kind or hidden.dtype, device=hidden.device).masked_fill(beyond, -1e9)
        for number, block in enumerate(self.blocks, start=self.frozen + 1):
            hidden = block(hidden, attention_mask=bias[:, None, None, :])
            hidden = (hidden[0] if isinstance(hidden, tuple) else hidden).to(inputs.dtype)
            states[number] = hidden
        return torch.stack([states[layer] for layer in self.layers], dim=1), count

    def _convolve(self, mel: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
        """Zero what lies beyond an utterance's end in front of each convolution: a padded batch equals single calls."""
        real = (torch.arange(mel.shape[2], device=mel.device)[None] < count[:, None]).to(mel.dtype)[:, None]
        hidden = nn.functional.gelu(self.convolutions[0](mel * real)) * real
        hidden = nn.functional.gelu(self.convolutions[1](hidden)).transpose(1, 2)
        return hidden.to(mel.dtype) + self.positions[: hidden.shape[1]], (count + 1) // 2


def given_layers(layers: tuple[int, ...], frozen: int) -> tuple[int, ...]:
    """Layers whose outputs the tuned part is given: the last frozen one, and the exposed ones below it.

    Example:
        >>> given_layers((2, 3, 4), 3), given_layers((3, 4), 2), given_layers((1, 2), 0)
        ((2, 3), (2,), ())
    """
    return tuple(sorted({frozen, *(layer for layer in layers if layer < frozen)})) if frozen else ()


def load_whisper_encoder(source: str | Path, attention: str = "eager") -> Any:
    """The encoder of a Whisper model.

    Args:
        source: Hub id or folder of a Whisper model or of its encoder alone.
        attention: As `transformers` names it: `eager` can be exported, `sdpa` is faster to train.

    Raises:
        BackboneError: There is no encoder, or it expects another number of mel bins.
    """
    from transformers import WhisperModel
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    alone: Any = WhisperEncoder
    complete: Any = WhisperModel
    options: dict[str, Any] = {"dtype": torch.float32, "attn_implementation": attention, "output_loading_info": True}
    try:
        with silent():
            encoder, told = alone.from_pretrained(source, **options)
            if told["missing_keys"]:  # a whole model: of its weights an encoder alone would take none, but random ones
                whole, told = complete.from_pretrained(source, **options)
                encoder = whole.encoder
    except (OSError, ValueError) as error:
        raise BackboneError(f"{source}: no Whisper encoder ({str(error).splitlines()[0]})") from error
    check_complete(source, told)
    if encoder.config.num_mel_bins != BINS:
        bins = encoder.config.num_mel_bins
        raise BackboneError(f"{source}: takes {bins} mel bins, expected {BINS}; choose a smaller Whisper")
    return encoder.eval()
