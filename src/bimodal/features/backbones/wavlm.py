"""WavLM (Chen et al. 2022, arXiv 2110.13900): attention with a gated bias by distance."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bimodal.features.backbones.contract import Encoder
from bimodal.features.backbones.waveform import read_waveform_encoder

_FAR = -1e9


def read_wavlm(folder: Path) -> Encoder:
    """A WavLM encoder from a folder.

    Raises:
        BackboneError: As in `read_waveform_encoder`.
    """
    from transformers import WavLMModel

    return read_waveform_encoder(folder, WavLMModel, blocks=gated_blocks)


def gated_blocks(encoder: Any, hidden: Tensor, real: Tensor, count: int) -> list[Tensor]:
    """The outputs of the lowest blocks, which attend to real frames alone."""
    far = torch.zeros(real.shape, dtype=hidden.dtype, device=hidden.device).masked_fill(~real, _FAR)[:, None, None]
    bias, states = distance_bias(encoder.layers[0].attention, hidden.shape[1]), []
    stable = bool(encoder.config.do_stable_layer_norm)
    for block in encoder.layers[:count]:
        if stable:
            hidden = hidden + _attend(block.attention, block.layer_norm(hidden), bias, far)
            hidden = hidden + block.feed_forward(block.final_layer_norm(hidden))
        else:
            hidden = block.layer_norm(hidden + _attend(block.attention, hidden, bias, far))
            hidden = block.final_layer_norm(hidden + block.feed_forward(hidden))
        states.append(hidden)
    return states


def distance_bias(attention: Any, frames: int) -> Tensor:
    """What attention adds by the distance of two frames, (heads, T, T).

    The bucket of each distance is taken from a table: of a logarithm that is computed elsewhere, some distances at
    the edge of a bucket would fall on the other side. Distances above the largest one share its bucket.
    """
    furthest = attention.max_distance
    distances = torch.arange(-furthest, furthest + 1)
    table = attention.rel_attn_embed.weight[attention._relative_positions_bucket(distances)]
    places = torch.arange(frames)
    found: Tensor = table[(places[None] - places[:, None]).clamp(-furthest, furthest) + furthest]
    return found.permute(2, 0, 1)


def _attend(attention: Any, hidden: Tensor, bias: Tensor, far: Tensor) -> Tensor:
    """Self-attention of frames (B, T, D); each frame's own gate scales the bias of its distances."""
    heads = _split(attention, hidden)
    gates = torch.sigmoid(attention.gru_rel_pos_linear(heads).reshape(*heads.shape[:3], 2, 4).sum(-1))
    gate = gates[..., :1] * (gates[..., 1:] * attention.gru_rel_pos_const - 1.0) + 2.0
    query, key, value = (
        _split(attention, layer(hidden)) for layer in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    weights = torch.softmax(query @ key.transpose(2, 3) * attention.scaling + gate * bias[None] + far, dim=-1)
    found: Tensor = attention.out_proj((weights @ value).transpose(1, 2).flatten(2))
    return found


def _split(attention: Any, hidden: Tensor) -> Tensor:
    """Frames (B, T, D) by head, (B, heads, T, D / heads)."""
    return hidden.reshape(*hidden.shape[:2], attention.num_heads, attention.head_dim).transpose(1, 2)
