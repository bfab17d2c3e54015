"""The text network: a row does not depend on its neighbours, every layer counts."""

import pytest
import torch

from bimodal.models.layers import HeadShape
from bimodal.models.text import TextNetwork


def network() -> TextNetwork:
    torch.manual_seed(0)
    shape = HeadShape(heads=2, hidden_width=12, embedding_width=5, input_dropout=0.1, dropout=0.4, noise=0.2, scale=4.0)
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
