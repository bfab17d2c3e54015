"""What the families over bare samples share: wav2vec 2.0, HuBERT, WavLM, data2vec-audio.

Seven convolutions make a frame of 20 ms from 25 ms of samples; a convolution along the frames gives their positions;
transformer blocks follow. What lies beyond a signal's end is left out everywhere, so that a padded batch gives what
single signals give. `transformers` promises that of models with layer norm alone (an attention mask); in those with
group norm, whose first convolution is normalised over time, it lets padding change every frame.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from bimodal.arrays import Floats
from bimodal.audio.decode import SAMPLING_RATE, Signal
from bimodal.errors import BackboneError
from bimodal.features.backbone import FRAME_STEP, FRAME_WINDOW
from bimodal.features.backbones.contract import Encoder, Layers, load_pretrained
from bimodal.features.backbones.source import extractor_settings

_SHORTEST: Final = FRAME_WINDOW + FRAME_STEP  # samples of two frames: an axis of one would be taken as fixed
_LONGEST: Final = 3600 * SAMPLING_RATE
_LEAST_VARIANCE: Final = 1e-7
_FAR: Final = -1e9

Positions = Callable[[Any, Tensor, Tensor], Tensor]
Blocks = Callable[[Any, Tensor, Tensor, int], list[Tensor]]


class WaveformLayers(nn.Module):
    """The layers of an encoder over bare samples, with the inputs and the output of a speech artifact.

    Args:
        model: A `transformers` model with `feature_extractor`, `feature_projection` and `encoder`.
        layers: 1-based numbers of the blocks whose outputs are exposed; blocks above the last one are not run.
        normalise: Whether a signal is brought to zero mean and unit variance.
        positions: Gives what the encoder adds for positions: its module, frames (B, T, D), which are real (B, T, 1).
        blocks: Gives the output of each block: encoder, frames, which are real (B, T), how many blocks.
    """

    def __init__(self, model: Any, layers: Layers, normalise: bool, positions: Positions, blocks: Blocks) -> None:
        super().__init__()
        self.convolutions, self.projection = model.feature_extractor.conv_layers, model.feature_projection
        self.encoder, self.layers, self.normalise = model.encoder, layers, normalise
        self.stable = bool(getattr(model.config, "do_stable_layer_norm", False))
        self.positions, self.blocks = positions, blocks

    def forward(self, signal: Tensor, samples: Tensor) -> Tensor:
        """Hidden states (B, L, T, D) of signals (B, N) with `samples` (B,) real samples each, at least 400.

        They are the outputs of the blocks; a norm behind the last one is left out, as for Whisper.
        """
        if self.normalise:
            signal = unit_variance(signal, samples)
        frames, count = self._convolve(signal[:, None], samples)
        real = _real(frames.shape[2], count)
        found = self.projection(frames.transpose(1, 2))
        hidden = (found[0] if isinstance(found, tuple) else found) * real[..., None].to(signal.dtype)
        hidden = hidden + self.positions(self.encoder.pos_conv_embed, hidden, real[..., None].to(signal.dtype))
        if not self.stable:
            hidden = self.encoder.layer_norm(hidden)
        states = self.blocks(self.encoder, hidden, real, max(self.layers))
        return torch.stack([states[layer - 1] for layer in self.layers], dim=1)

    def _convolve(self, hidden: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (B, W, T) and how many of each signal are real; a real one is made of real samples alone."""
        for layer in self.convolutions:
            count = (count - layer.conv.kernel_size[0]) // layer.conv.stride[0] + 1
            if isinstance(getattr(layer, "layer_norm", None), nn.GroupNorm):
                hidden = layer.activation(_normalise_over_time(layer.layer_norm, layer.conv(hidden), count))
            else:
                hidden = layer(hidden)
        return hidden, count


def unit_variance(signal: Tensor, samples: Tensor) -> Tensor:
    """Signals (B, N) with zero mean and unit variance of their real samples (B,), and zeros beyond them.

    Example:
        >>> unit_variance(torch.tensor([[1.0, 3.0, 9.0]]), torch.tensor([2])).tolist()
        [[-1.0, 1.0, 0.0]]
    """
    real = _real(signal.shape[1], samples).to(signal.dtype)
    share = real / samples[:, None].to(signal.dtype)
    centred = (signal - (signal * share).sum(1, keepdim=True)) * real
    variance = (centred * centred * share).sum(1, keepdim=True)
    return centred / torch.sqrt(variance + _LEAST_VARIANCE)


def _normalise_over_time(norm: nn.GroupNorm, hidden: Tensor, count: Tensor) -> Tensor:
    """A group norm with one group a channel, over the real frames of (B, C, T) alone.

    Means are products with a vector, so that no third array of this size is made: for 30 s each takes 200 MB.
    """
    share = _real(hidden.shape[2], count).to(hidden.dtype) / count[:, None].to(hidden.dtype)
    centred = hidden - hidden @ share[..., None]
    scale = torch.rsqrt((centred * centred) @ share[..., None] + norm.eps)
    return centred * (scale * norm.weight[:, None]) + norm.bias[:, None]


def _real(length: int, count: Tensor) -> Tensor:
    """Which of `length` places are below each count (B,): (B, length)."""
    return torch.arange(length, device=count.device)[None] < count[:, None]


def convolved_positions(embedding: Any, hidden: Tensor, real: Tensor) -> Tensor:
    """Positions of wav2vec 2.0, HuBERT and WavLM: one convolution along the frames."""
    moved = hidden.transpose(1, 2)
    norm = getattr(embedding, "batch_norm", None)
    if norm is not None:
        moved = norm(moved) * real.transpose(1, 2)
    added: Tensor = embedding.activation(embedding.padding(embedding.conv(moved)))
    return added.transpose(1, 2)


def plain_blocks(encoder: Any, hidden: Tensor, real: Tensor, count: int) -> list[Tensor]:
    """The outputs of the lowest blocks, which attend to real frames alone."""
    far = torch.zeros(real.shape, dtype=hidden.dtype, device=hidden.device).masked_fill(~real, _FAR)
    states = []
    for block in encoder.layers[:count]:
        found = block(hidden, attention_mask=far[:, None, None])
        hidden = found[0] if isinstance(found, tuple) else found
        states.append(hidden)
    return states


def read_waveform_encoder(
    folder: Path, kind: Any, positions: Positions = convolved_positions, blocks: Blocks = plain_blocks
) -> Encoder:
    """An encoder over bare samples from a folder.

    Args:
        folder: As `transformers` saves a model and its feature extractor.
        kind: Class of the model.
        positions: As in `WaveformLayers`.
        blocks: As in `WaveformLayers`.

    Raises:
        BackboneError: It cannot be loaded, takes other frames, or it is unknown whether signals are normalised.
    """
    settings = extractor_settings(folder)
    if not isinstance(settings.get("do_normalize"), bool):
        raise BackboneError(
            f"{folder}: no preprocessor_config.json with do_normalize, so it is unknown whether signals are brought to "
            "unit variance; copy that file from where the model is published"
        )
    model = load_pretrained(kind, folder)
    _check_frames(folder, model.config)
    convolution = getattr(model.encoder.pos_conv_embed, "conv", None)
    if convolution is not None and parametrize.is_parametrized(convolution, "weight"):
        parametrize.remove_parametrizations(convolution, "weight")
    normalise = settings["do_normalize"]
    return Encoder(
        count=len(model.encoder.layers),
        width=model.config.hidden_size,
        network=lambda layers: WaveformLayers(model, layers, normalise, positions, blocks).eval(),
        reference=lambda signal, layers: _reference(model, signal, layers, normalise),
        example=_example(),
        shapes=_shapes(),
        inputs=("signal", "samples"),
        preprocessing=f"level -20 dB{', zero mean and unit variance' if normalise else ''}, bare samples",
    )


def _check_frames(folder: Path, config: Any) -> None:
    window, step = frame_size(config.conv_kernel, config.conv_stride)
    if (window, step) != (FRAME_WINDOW, FRAME_STEP):
        raise BackboneError(
            f"{folder}: makes a frame of {window} samples in {step}, expected {FRAME_WINDOW} in {FRAME_STEP} (20 ms)"
        )
    if getattr(config, "add_adapter", False):
        raise BackboneError(f"{folder}: has an adapter that makes fewer frames; expected an encoder without one")


def frame_size(kernels: Sequence[int], strides: Sequence[int]) -> tuple[int, int]:
    """Samples that a frame is made of, and samples from one frame to the next, of convolutions one upon the other.

    Example:
        >>> frame_size((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2))
        (400, 320)
    """
    window, step = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        window, step = window + (kernel - 1) * step, step * stride
    return window, step


def _reference(model: Any, signal: Signal, layers: Layers, normalise: bool) -> Floats:
    """Hidden states (L, T, D) as `transformers` computes them of one signal that is not padded."""
    filled = np.pad(signal, (0, max(0, FRAME_WINDOW - len(signal))))
    if normalise:
        filled = (filled - filled.mean()) / np.sqrt(filled.var() + _LEAST_VARIANCE)
    found: dict[int, Tensor] = {}
    hooks = [model.encoder.layers[layer - 1].register_forward_hook(partial(_keep, found, layer)) for layer in layers]
    try:
        with torch.inference_mode():
            model(input_values=torch.from_numpy(filled.astype(np.float32))[None])
    finally:
        for hook in hooks:
            hook.remove()
    return np.stack([found[layer][0].numpy() for layer in layers])


def _keep(found: dict[int, Tensor], layer: int, block: nn.Module, inputs: Any, output: Any) -> None:
    """A hook: the output of a block, which versions of `transformers` report in different ways."""
    found[layer] = output[0] if isinstance(output, tuple) else output


def _example() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(2, 16_000, generator=generator), torch.tensor([16_000, 12_000])


def _shapes() -> tuple[dict[int, Any], ...]:
    batch = torch.export.Dim("batch", min=1, max=4096)
    return ({0: batch, 1: torch.export.Dim("time", min=_SHORTEST, max=_LONGEST)}, {0: batch})
