"""The speech network and its parts."""

import numpy as np
import pytest
import torch

from bimodal.models.layers import (
    EmotionHead,
    HeadShape,
    Project,
    Standardise,
    StandardiseBySpeaker,
    speaker_directions,
)
from bimodal.models.speech import ColumnsNetwork

EMOTIONS = 4
SHAPE = HeadShape(
    ensemble_size=3,
    hidden_width=10,
    embedding_width=5,
    input_dropout=0.2,
    dropout=0.3,
    input_noise_std=0.1,
    embedding_norm=4.0,
)


def shaken(module: torch.nn.Module) -> torch.nn.Module:
    """The module in use, none of its parameters or buffers at its start."""
    torch.manual_seed(1)
    for tensor in [*module.parameters(), *module.buffers()]:
        tensor.data.add_(0.3 * torch.rand_like(tensor))
    return module.eval()


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
        HeadShape(
            ensemble_size=3,
            hidden_width=10,
            embedding_width=5,
            input_dropout=0,
            dropout=0,
            input_noise_std=0,
            embedding_norm=4,
        ),
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
        HeadShape(
            ensemble_size=2,
            hidden_width=0,
            embedding_width=5,
            input_dropout=0.5,
            dropout=0,
            input_noise_std=0,
            embedding_norm=0,
        ),
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


def test_directions_in_which_speakers_differ_are_shrunk_and_those_of_emotions_are_not():
    rng = np.random.default_rng(3)
    speakers, targets = np.repeat(np.arange(12), 20), np.tile(np.arange(2), 120)
    own, felt = rng.normal(size=(12, 1)), np.array([[-1.0], [1.0]])
    values = 0.1 * rng.normal(size=(240, 6))
    values[:, :1] += 3 * own[speakers]
    values[:, 1:2] += felt[targets]
    given = torch.from_numpy(values.astype(np.float32))
    plain, shrunk = Project(6, 6), Project(6, 6)
    plain.fit(given)
    shrunk.fit(given, speaker_directions(given, speakers, targets, 10.0))
    spread = [project(given).norm(dim=1).mean() for project in (plain, shrunk)]
    apart = [
        (project(given[targets == 1]).mean(0) - project(given[targets == 0]).mean(0)).norm()
        for project in (plain, shrunk)
    ]
    assert spread[1] < 0.6 * spread[0]
    assert float(apart[1]) == pytest.approx(float(apart[0]), rel=0.05)
    unchanged = Project(6, 6)
    unchanged.fit(given, speaker_directions(given, speakers, targets, 0.0))
    assert unchanged(given) == pytest.approx(plain(given), abs=1e-4)


def test_who_was_sad_more_often_does_not_differ_for_that():
    values = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    directions = speaker_directions(values, list("aaabbb"), [0, 0, 1, 0, 1, 1], 10.0)
    assert directions == pytest.approx(torch.zeros(2, 2), abs=1e-6)


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
