"""The text networks: a row does not depend on its neighbours, every layer counts, padding does not."""

import pytest
import torch

from bimodal.models.layers import HeadShape
from bimodal.models.text import ContextTextNetwork, TextNetwork


def network() -> TextNetwork:
    torch.manual_seed(0)
    shape = HeadShape(
        ensemble_size=2,
        hidden_width=12,
        embedding_width=5,
        input_dropout=0.1,
        dropout=0.4,
        input_noise_std=0.2,
        embedding_norm=4.0,
    )
    words = TextNetwork(layers=3, width=6, emotions=4, shape=shape)
    words.standardise.fit(torch.randn(50, 18))
    return words.eval()


def test_a_row_of_a_batch_equals_a_single_call_and_has_unit_length():
    words, pooled = network(), torch.randn(5, 3, 6)
    with torch.inference_mode():
        embedding, logits = words(pooled)
        single = words(pooled[2:3])
    assert (embedding.shape, logits.shape) == ((5, 10), (5, 4))
    assert embedding.norm(dim=1) == pytest.approx(torch.ones(5), abs=1e-5)
    assert single[0][0] == pytest.approx(embedding[2], abs=1e-5)
    assert single[1][0] == pytest.approx(logits[2], abs=1e-5)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_every_layer_counts(layer):
    words, pooled = network(), torch.zeros(2, 3, 6)
    pooled[1, layer] = 1.0
    with torch.inference_mode():
        _, logits = words(pooled)
    assert not torch.allclose(logits[0], logits[1])


def in_context() -> ContextTextNetwork:
    torch.manual_seed(0)
    shape = HeadShape(
        ensemble_size=2,
        hidden_width=12,
        embedding_width=5,
        input_dropout=0.1,
        dropout=0.4,
        input_noise_std=0.2,
        embedding_norm=4.0,
    )
    words = ContextTextNetwork(layers=3, width=6, emotions=4, context=3, context_width=8, shape=shape)
    words.standardise.fit(torch.randn(50, 18))
    for marks in (words.ago, words.speaker):
        torch.nn.init.normal_(marks)
    return words.eval()


def windows() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    there = torch.tensor([[0.0, 0, 0, 1], [0, 0, 1, 1], [1, 1, 1, 1]])
    return {"pooled": torch.randn(3, 4, 3, 6), "same": torch.tensor([[0.0, 1, 0, 1]] * 3) * there, "there": there}


@torch.inference_mode()
def logits(**changes: torch.Tensor) -> torch.Tensor:
    return in_context()(**(windows() | changes))[1]


def test_a_window_of_a_batch_equals_a_single_call():
    words, together = in_context(), logits()
    for row in range(3):
        with torch.inference_mode():
            alone = words(**{name: values[row : row + 1] for name, values in windows().items()})[1]
        assert alone[0] == pytest.approx(together[row], abs=1e-5)


def test_what_stands_where_no_utterance_is_does_not_count():
    given = windows()
    absent = given["there"][:, :, None, None] == 0
    filled = torch.where(absent, torch.tensor(9.0), given["pooled"])
    turned = torch.where(given["there"] == 0, 1 - given["same"], given["same"])
    assert logits(pooled=filled, same=turned) == pytest.approx(logits(), abs=1e-5)


def test_what_was_said_before_who_said_it_and_when_all_count():
    given, expected = windows(), logits()
    other = given["pooled"].clone()
    other[:, 1] += 1
    swapped = given["pooled"][:, [1, 0, 2, 3]]
    for changed in (logits(pooled=other), logits(pooled=swapped), logits(same=given["there"])):
        assert not torch.allclose(changed[2], expected[2], atol=1e-4)
    assert logits(pooled=other)[:2] == pytest.approx(expected[:2], abs=1e-6)  # theirs is not there
