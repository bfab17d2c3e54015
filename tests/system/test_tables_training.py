"""A loss or a fusion is one file and one line of its table: toys put into the tables alone train."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bimodal.config import Affinity, Classification, FusionConfig, FusionKind, LossConfig, StageConfig
from bimodal.errors import TrainingError
from bimodal.inference.outputs import ModalityOutputs
from bimodal.models.fusions import FUSIONS, Fusion
from bimodal.models.losses import LOSSES
from bimodal.models.losses.setup import BatchLoss, LossSetup
from bimodal.training import loop
from bimodal.training.export import export_network, fusion_example
from bimodal.training.fusion import build_fusion, fusion_examples, train_fusion
from bimodal.training.loop import predict
from bimodal.training.stage import RunContext, train_modality
from tests.training.noise import CONFIG, EMOTIONS, SIZE, noise, noise_modality


def test_the_configuration_names_what_the_tables_hold():
    assert get_args(Classification) == tuple(LOSSES["classification"])
    assert get_args(Affinity) == ("none", *LOSSES["affinity"])
    assert get_args(FusionKind) == tuple(FUSIONS)


class ToyLoss(nn.Module):
    """Squared distance of the scores to the targets, by a scale that is learned."""

    def __init__(self, emotions: int) -> None:
        super().__init__()
        self.scale, self.emotions = nn.Parameter(torch.ones(1)), emotions

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        truth = nn.functional.one_hot(targets, self.emotions).to(logits.dtype)
        return ((torch.softmax(self.scale * logits, dim=1) - truth) ** 2).sum(1).mean()


def make_toy(setup: LossSetup) -> BatchLoss:
    return ToyLoss(setup.emotions)


def make_short(setup: LossSetup) -> BatchLoss:
    assert setup.embedding_width == CONFIG.embedding_width
    return lambda embeddings, targets: embeddings.abs().mean()


def with_loss(**loss) -> StageConfig:
    return replace(CONFIG, loss=LossConfig(**loss))


def test_a_toy_loss_of_the_table_alone_trains(monkeypatch):
    monkeypatch.setitem(LOSSES["classification"], "toy", make_toy)
    monkeypatch.setitem(LOSSES["affinity"], "short", make_short)
    columns, targets = noise()
    config = with_loss(classification="toy", affinity="short")
    network, record = train_modality(noise_modality(columns, targets), range(SIZE), [], config, RunContext())
    assert record.history[-1]["loss"] < record.history[0]["loss"]
    assert "affinity_gradient_ratio" in record.history[-1]
    logits = predict(network, noise_modality(columns, targets).examples)[1]
    assert (logits.argmax(1) == targets).mean() > 0.9


class InterruptionError(Exception):
    """The process is stopped here."""


def test_what_a_loss_has_learned_outlives_an_interruption(monkeypatch, tmp_path):
    monkeypatch.setitem(LOSSES["classification"], "toy", make_toy)
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    modality, config = noise_modality(*noise()), with_loss(classification="toy", affinity="none")
    whole, _ = train_modality(modality, range(SIZE), [], config, RunContext())

    def stop(entry: dict[str, float]) -> None:
        if entry["epoch"] == 7:
            raise InterruptionError

    with pytest.raises(InterruptionError):
        train_modality(modality, range(SIZE), [], config, RunContext(folder=tmp_path, on_epoch=stop))
    resumed, _ = train_modality(modality, range(SIZE), [], config, RunContext(folder=tmp_path))
    for (name, ours), theirs in zip(resumed.state_dict().items(), whole.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), name


class ToyFusion(nn.Module):
    """A linear layer over the scores of both modalities, whose width is a setting."""

    def __init__(
        self, *, speech_width: int, text_width: int, emotions: int, embedding_width: int, share: float
    ) -> None:
        super().__init__()
        self.speech_width, self.text_width, self.share = speech_width, text_width, share
        self.embed, self.classify = nn.Linear(2 * emotions, embedding_width), nn.Linear(embedding_width, emotions)

    def set_prior(self, counts: Tensor) -> None:
        """Takes none."""

    def forward(
        self, speech: Tensor, speech_logits: Tensor, text: Tensor, text_logits: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        both = torch.cat([speech_logits * present[:, :1], text_logits * present[:, 1:]], dim=1)
        embedding = nn.functional.normalize(self.embed(both) + 0 * (speech.sum() + text.sum()), dim=1)
        return embedding, 8 * self.classify(embedding), self.share * present[:, 0]


def test_a_toy_fusion_of_the_table_alone_trains_and_is_exported(monkeypatch, tmp_path):
    toy = Fusion(network=ToyFusion, settings=("embedding_width",), options={"share": 0.5})
    monkeypatch.setitem(FUSIONS, "toy", toy)
    rng, targets = np.random.default_rng(0), np.arange(90) % EMOTIONS
    truth, everywhere = 3.0 * np.eye(EMOTIONS)[targets], np.ones(90, bool)
    speech, text = (
        ModalityOutputs(
            embedding=rng.normal(size=(90, 4)).astype(np.float32),
            logits=(truth + rng.normal(0, 1, truth.shape)).astype(np.float32),
            present=everywhere,
        )
        for _ in range(2)
    )
    examples = fusion_examples(speech, text, targets)
    config = FusionConfig(kind="toy", embedding_width=5, epochs=20, learning_rate=1e-2)
    network, record = train_fusion(examples, range(60), [], config, RunContext())
    assert record.parameters == 6 * 5 + 5 + 5 * 3 + 3
    assert (predict(network, examples)[1].argmax(1) == targets)[60:].mean() > 0.8
    export_network(network, "fusion", fusion_example(network, EMOTIONS), tmp_path / "fusion.onnx")


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ({"classification": "hinge"}, r"loss\.classification is 'hinge', expected one of focal, logit_adjusted"),
        ({"affinity": "triplet"}, r"loss\.affinity is 'triplet', expected one of pairwise, gaussian, centre"),
    ],
)
def test_a_loss_that_the_table_lacks_is_refused_with_those_that_it_has(loss, expected):
    with pytest.raises(TrainingError, match=expected):
        train_modality(noise_modality(*noise()), range(SIZE), [], with_loss(**loss), RunContext())


def test_a_fusion_that_the_table_lacks_is_refused_with_those_that_it_has():
    with pytest.raises(TrainingError, match=r"fusion\.kind is 'sum', expected one of gate, concatenation"):
        build_fusion(4, 4, EMOTIONS, FusionConfig(kind="sum"), seed=0)
