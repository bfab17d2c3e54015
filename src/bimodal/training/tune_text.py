"""Tune a language model on emotion text, and store it as a backbone (step 202 of the method, below the head)."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from bimodal.config import TuneTextConfig
from bimodal.data.batches import token_examples
from bimodal.data.manifest import ManifestSource
from bimodal.data.text import normalise_transcript
from bimodal.errors import BackboneError
from bimodal.features.backbone import BackboneDescription
from bimodal.features.backbones.contract import silent
from bimodal.features.cache import cache_key
from bimodal.models.text import TunedTextNetwork
from bimodal.training.modality import Modality, head_shape
from bimodal.training.outputs import weights_digest
from bimodal.training.processes import join_processes
from bimodal.training.rows import LabelledRows
from bimodal.training.stage import OnEpoch, RunContext, train_modality
from bimodal.training.tune import (
    RUN,
    add_lora,
    describe_tuned,
    encoder_folder,
    layer_lr_multipliers,
    merge_lora,
    read_tuning_data,
    store_backbone,
)

_EXPOSED: Final = 3  # layers of an encoder that a backbone exposes where none are named


def tune_text(
    manifest: ManifestSource, out: str | Path, config: TuneTextConfig, on_epoch: OnEpoch = lambda entry: None
) -> Path:
    """Tune a language model on the transcripts of a manifest and write it as a backbone folder.

    Args:
        manifest: CSV or JSON Lines; rows without words are left out. A part named `test` is never touched.
        out: Folder to write: the backbone, usable as `text_backbone` at once; `encoder/`, to tune it further; `run/`,
            the tuning itself. Called again, a finished one is returned, an interrupted one goes on.
        config: How to tune.
        on_epoch: Called after each epoch.

    Returns:
        The backbone folder.

    Raises:
        BimodalError: What is wrong with the manifest, the configuration, the encoder or the folder.
    """
    out, data = Path(out), read_tuning_data(manifest, config)
    pretrained = load_language_model(config.source)
    modality = tuned_text_modality(data.rows, pretrained, config)
    processes, device = join_processes(config.device)
    where = RunContext(seed=config.seed, device=device, folder=out / RUN, on_epoch=on_epoch, processes=processes)
    network: Any
    with processes.noticing_loss():
        network, record = train_modality(modality, data.parts.train, data.parts.dev, config, where)
        merge_lora(network.encoder)
        description = describe_tuned(config, _described(pretrained, config, record.identity))
        if processes.writes:
            store_backbone(out, description, [network.encoder.cpu(), pretrained.tokenizer])
        processes.wait()
    return out


@dataclass(frozen=True, kw_only=True)
class LanguageModel:
    """A pretrained encoder with its tokeniser, as `transformers` loads them.

    Attributes:
        source: Hub id or folder.
        encoder: A BERT-like model without its pooler.
        tokenizer: Its tokeniser.
        digest: Of the encoder's weights.
    """

    source: str
    encoder: Any
    tokenizer: Any
    digest: str


def load_language_model(source: str) -> LanguageModel:
    """Load an encoder-type language model.

    Args:
        source: Hub id, local folder, or the folder of an earlier tuning.

    Raises:
        BackboneError: There is none, or not of this type.
    """
    found = encoder_folder(source)
    from transformers import AutoModel, AutoTokenizer  # imports for seconds

    try:
        with silent():
            encoder = AutoModel.from_pretrained(found, dtype=torch.float32, add_pooling_layer=False)
            tokenizer = AutoTokenizer.from_pretrained(found)
    except (OSError, ValueError, TypeError) as error:
        raise BackboneError(f"{source}: no encoder-type language model ({str(error).splitlines()[0]})") from error
    if not hasattr(getattr(encoder, "encoder", None), "layer") or not hasattr(encoder, "embeddings"):
        raise BackboneError(f"{source}: is a {type(encoder).__name__}, expected a BERT-like encoder; choose another")
    return LanguageModel(source=source, encoder=encoder, tokenizer=tokenizer, digest=weights_digest(encoder))


def tuned_text_modality(rows: LabelledRows, pretrained: LanguageModel, config: TuneTextConfig) -> Modality:
    """The text modality whose network is the language model itself, for any of the stages' functions.

    Args:
        rows: Labelled utterances; absent if they have no words.
        pretrained: Where every fresh network starts.
        config: How to tune.
    """
    texts = [normalise_transcript(utterance.transcript) for utterance in rows.utterances]
    tokens = _tokens(pretrained.tokenizer, [text or "" for text in texts], config.max_tokens)
    examples = token_examples(tokens, rows.targets)
    emotions = len(rows.emotions)
    blocks = len(pretrained.encoder.encoder.layer)
    return Modality(
        name="text",
        network=_network,
        options={"pretrained": pretrained, "emotions": emotions, "config": config},
        examples=examples,
        augmented=examples,
        present=np.array([text is not None for text in texts]),
        preprocessing=None,
        identity=cache_key("tuned", pretrained.digest, config.max_tokens, *texts),
        emotions=emotions,
        lr_multipliers=layer_lr_multipliers(
            ["encoder.embeddings."], [f"encoder.encoder.layer.{number}." for number in range(blocks)], config
        ),
    )


def _tokens(tokenizer: Any, texts: Sequence[str], longest: int) -> list[list[int]]:
    encoded: list[list[int]] = tokenizer(list(texts), truncation=True, max_length=longest)["input_ids"]
    return encoded


def _network(pretrained: LanguageModel, emotions: int, config: TuneTextConfig) -> TunedTextNetwork:
    """A network with a copy of the encoder, so that the pretrained one stays as it is."""
    encoder = deepcopy(pretrained.encoder)
    add_lora(encoder, config.lora_rank)
    width = encoder.config.hidden_size
    return TunedTextNetwork(encoder=encoder, width=width, emotions=emotions, shape=head_shape(config))


def _described(pretrained: LanguageModel, config: TuneTextConfig, identity: str) -> BackboneDescription:
    last = len(pretrained.encoder.encoder.layer)
    return BackboneDescription(
        name=f"{config.name}-{identity[:8]}",
        kind="text",
        source=config.source,
        licence=config.licence,
        layers=config.layers or tuple(range(max(1, last - _EXPOSED + 1), last + 1)),
        width=pretrained.encoder.config.hidden_size,
        weights=config.weights,
        preprocessing="NFKC, mean over tokens",
        max_tokens=config.max_tokens,
    )
