"""The speech network: padding is nothing, zero attention is plain statistics."""

import numpy as np
import pytest
import torch

from bimodal.data import pad_blocks
from bimodal.features.backbone import SpeechBlocks, collapse_blocks, pool_blocks
from bimodal.models.layers import EmotionHead, HeadShape, Project, Standardise, StandardiseBySpeaker
from bimodal.models.speech import AttentiveStatistics, ColumnsNetwork, SpeechNetwork

LAYERS, WIDTH, EMOTIONS = 2, 6, 4
SHAPE = HeadShape(heads=3, hidden_width=10, embedding_width=5, input_dropout=0.2, dropout=0.3, noise=0.1, scale=4.0)
RNG = np.random.default_rng(0)


def states(frames: int) -> np.ndarray:
    return RNG.normal(1, 2, (LAYERS, frames, WIDTH)).astype(np.float32)


def batch(*items: SpeechBlocks) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in pad_blocks(items).items()}


def shaken(module: torch.nn.Module) -> torch.nn.Module:
    """The module in use, none of its parameters or buffers at its start."""
    torch.manual_seed(1)
    for tensor in [*module.parameters(), *module.buffers()]:
        tensor.data.add_(0.3 * torch.rand_like(tensor))
    return module.eval()


def network(**changes) -> SpeechNetwork:
    sizes = {"attention_width": 7, "components": 8} | changes
    return SpeechNetwork(layers=LAYERS, width=WIDTH, emotions=EMOTIONS, shape=SHAPE, **sizes)


@pytest.mark.parametrize("attention_width", [0, 7])
def test_padding_with_count_zero_changes_nothing_whatever_stands_there(attention_width):
    items = [pool_blocks(states(frames), 10) for frames in (25, 73, 4)]
    speech = shaken(network(attention_width=attention_width))
    together = batch(*items)
    together["mean"][together["count"] == 0] = 99.0
    together["std"][together["count"] == 0] = 99.0
    with torch.inference_mode():
        for row, item in enumerate(items):
            for padded, single in zip(speech(**together), speech(**batch(item)), strict=True):
                assert padded[row] == pytest.approx(single[0], abs=1e-5)


@pytest.mark.parametrize("attention_width", [0, 7])
@pytest.mark.parametrize("frames", [1, 10, 47])
def test_pooling_starts_as_plain_mean_and_deviation_over_all_frames(attention_width, frames):
    raw = states(frames)
    pool = AttentiveStatistics(LAYERS, WIDTH, attention_width)
    for item in (pool_blocks(raw, 10), collapse_blocks(pool_blocks(raw, 10))):
        with torch.inference_mode():
            pooled = pool(**batch(item))[0]
        assert pooled[0].numpy() == pytest.approx(raw.mean(axis=1), abs=1e-4)
        assert pooled[1].numpy() == pytest.approx(np.maximum(raw.std(axis=1), 1e-4), abs=1e-3)


def test_attention_weighs_blocks_by_content_and_frames_and_sums_to_one():
    pool = shaken(AttentiveStatistics(LAYERS, WIDTH, 7))
    pool.score.weight.data.mul_(20)
    item = pool_blocks(states(35), 10)
    inputs = batch(item, pool_blocks(states(10), 10))
    with torch.inference_mode():
        share = pool.weights(inputs["mean"], inputs["count"])
        doubled = pool.weights(inputs["mean"], 2 * inputs["count"])
    assert share.sum(1) == pytest.approx(torch.ones(2))
    assert share[1].tolist() == [1, 0, 0, 0]
    assert doubled == pytest.approx(share)
    assert float((share[0] - torch.tensor([10, 10, 10, 5]) / 35).abs().max()) > 0.05


def test_the_weighted_statistics_are_those_of_frames_repeated_as_often():
    raw = states(30)
    item = pool_blocks(raw, 10)
    item.count[:] = [10, 30, 20]  # as if the second block came three times, the third twice
    repeated = np.concatenate([raw[:, :10], *[raw[:, 10:20]] * 3, *[raw[:, 20:]] * 2], axis=1)
    pooled = AttentiveStatistics(LAYERS, WIDTH, 0)(**batch(item))[0]
    assert pooled[0].numpy() == pytest.approx(repeated.mean(axis=1), abs=1e-5)
    assert pooled[1].numpy() == pytest.approx(repeated.std(axis=1), abs=1e-5)


def test_the_embedding_has_unit_length_and_the_logits_are_those_of_all_heads():
    head = shaken(EmotionHead(8, EMOTIONS, SHAPE))
    features = torch.randn(6, 8)
    with torch.inference_mode():
        embedding, logits = head(features)
    assert embedding.shape == (6, 3 * 5)
    assert embedding.norm(dim=1) == pytest.approx(torch.ones(6), abs=1e-5)
    assert logits.shape == (6, EMOTIONS)
    quiet = EmotionHead(
        8,
        EMOTIONS,
        HeadShape(heads=3, hidden_width=10, embedding_width=5, input_dropout=0, dropout=0, noise=0, scale=4),
    )
    quiet.load_state_dict(head.state_dict())
    each, scores = quiet.train()(features)
    assert each.norm(dim=2).detach() == pytest.approx(torch.ones(6, 3), abs=1e-5)
    assert (each.flatten(1) / 3**0.5).detach() == pytest.approx(embedding, abs=1e-5)
    assert torch.log_softmax(scores, 2).mean(1).detach() == pytest.approx(logits, abs=1e-5)


def test_noise_and_dropout_differ_between_heads_in_training_and_are_off_in_use():
    head = EmotionHead(
        8,
        EMOTIONS,
        HeadShape(heads=2, hidden_width=0, embedding_width=5, input_dropout=0.5, dropout=0, noise=0, scale=0),
    )
    for layer in (head.embed, head.classify):
        layer.weight.data[1], layer.bias.data[1] = layer.weight.data[0], layer.bias.data[0]
    features = torch.randn(4, 8)
    embedding, _ = head.train()(features)
    assert not torch.allclose(embedding[:, 0], embedding[:, 1])
    assert torch.equal(head.eval()(features)[0], head(features)[0])


def test_standardise_knows_missing_values_and_clips():
    values = torch.tensor([[1.0, 5.0], [3.0, float("nan")], [5.0, 5.0]])
    standardise = Standardise(2)
    standardise.fit(values)
    assert standardise.mean.tolist() == [3, 5]
    assert standardise.deviation.tolist() == pytest.approx([(8 / 3) ** 0.5, 1e-3])
    assert standardise(torch.tensor([[1000.0, 4.0]])).tolist() == [[5, -5]]


def test_projection_keeps_the_directions_of_largest_variance_in_orthogonal_axes():
    torch.manual_seed(0)
    values = torch.randn(200, 6) * torch.tensor([5.0, 4.0, 0.1, 0.1, 0.1, 0.1])
    project = Project(6, 2)
    project.fit(values)
    assert project.width == 2
    assert (project.basis.T @ project.basis) == pytest.approx(torch.eye(2), abs=1e-5)
    assert float((project(values) ** 2).sum() / (values**2).sum()) > 0.99
    project = Project(6, 5)
    project.fit(values[:3])  # fewer rows than components
    assert torch.isfinite(project(values)).all()
    assert Project(6, 0)(values) is values


def test_missing_columns_are_told_apart_from_average_ones():
    columns = shaken(ColumnsNetwork(width=3, emotions=EMOTIONS, shape=SHAPE))
    mean = columns.standardise.mean.clone()
    missing = mean.clone()
    missing[1] = float("nan")
    with torch.inference_mode():
        embedding, logits = columns(torch.stack([mean, missing]))
    assert torch.isfinite(logits).all()
    assert embedding.norm(dim=1) == pytest.approx(torch.ones(2), abs=1e-5)
    assert not torch.allclose(logits[0], logits[1])


def speakers_of(count: int, clips: int) -> tuple[torch.Tensor, list[int]]:
    """Values of speakers who differ three times as much as their clips do."""
    rng = np.random.default_rng(5)
    centres = 4 + 3 * rng.normal(size=(count, 1, 6))
    values = centres + rng.normal(size=(count, clips, 6))
    return torch.from_numpy(values.reshape(-1, 6).astype(np.float32)), [row // clips for row in range(count * clips)]


def test_without_earlier_clips_the_training_set_stands_in_and_what_is_told_of_them_is_not_looked_at():
    values, names = speakers_of(40, 10)
    part = StandardiseBySpeaker(6, 1.0)
    part.fit(values, names)
    nothing = torch.zeros(len(values))
    found = part(values, nothing, torch.full_like(values, 77.0), torch.full_like(values, 77.0))
    assert found.mean(0) == pytest.approx(np.zeros(6), abs=0.05)
    assert found.std(0) == pytest.approx(np.ones(6), abs=0.1)


def test_the_more_clips_were_heard_the_more_the_speaker_counts():
    values, names = speakers_of(40, 10)
    part = StandardiseBySpeaker(6, 1.0)
    part.fit(values, names)
    own = values[:10].mean(0, keepdim=True)
    told = [part(own, torch.tensor([n]), own, torch.ones(1, 6)) for n in (0.0, 1.0, 10.0, 1000.0)]
    sizes = [float(one.abs().mean()) for one in told]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 0.5 and sizes[1] < 0.3 * sizes[0] and sizes[3] < 1e-2


def test_one_training_speaker_alone_is_no_error():
    values, _ = speakers_of(1, 10)
    part = StandardiseBySpeaker(6, 1.0)
    part.fit(values, [0] * 10)
    assert torch.isfinite(part(values, torch.ones(10), values, torch.zeros_like(values))).all()
