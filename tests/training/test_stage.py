"""The speech and text stages: the head alone is trained as in the whole network, and other data are another run."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bimodal.errors import TrainingError
from bimodal.training.loop import Run, fit
from bimodal.training.modality import fresh_network
from bimodal.training.outputs import compute_outputs
from bimodal.training.stage import RunContext, train_modality, uar_score
from tests.training.noise import CONFIG, EMOTIONS, SIZE, noise, noise_modality


@pytest.mark.parametrize("patience", [0, 3])
def test_a_head_trained_on_what_it_sees_is_the_one_that_the_whole_network_would_train(patience):
    columns, targets = noise()
    columns[3, 2] = np.nan
    whole, rows, dev = noise_modality(columns, targets), list(range(4, 30)), list(range(30, 36))
    config = replace(CONFIG, patience=patience)
    network, record = train_modality(whole, rows, dev, config, RunContext(seed=5))
    slow = fresh_network(whole, rows, 5)
    run = Run(
        train=whole.examples.subset(rows),
        dev=whole.examples.subset(dev) if patience else None,
        config=config,
        emotions=EMOTIONS,
        embedding_width=6,
        seed=5,
        score=uar_score,
    )
    expected = fit(slow, run)
    assert record.best_epoch == expected.best_epoch
    for (name, ours), theirs in zip(network.state_dict().items(), slow.state_dict().values(), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4), name


def test_a_stage_needs_two_emotions():
    columns, _ = noise()
    with pytest.raises(TrainingError, match=r"the speech stage has 4 training utterances .*fewer than two"):
        train_modality(noise_modality(columns, np.zeros(SIZE, np.int64)), range(4), [], CONFIG, RunContext())


def test_the_same_labels_of_other_recordings_or_rows_are_another_run(tmp_path):
    columns, targets = noise()
    other, _ = noise(seed=1)
    rows = list(range(18))
    short = replace(CONFIG, epochs=2)
    network, record = train_modality(noise_modality(columns, targets), rows, [], short, RunContext(folder=tmp_path))
    again, same = train_modality(noise_modality(columns, targets), rows, [], short, RunContext(folder=tmp_path))
    assert same == record
    for ours, theirs in zip(network.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    with pytest.raises(TrainingError, match="other data"):
        train_modality(noise_modality(other, targets), rows, [], short, RunContext(folder=tmp_path))
    moved = list(range(18, 36))
    assert np.array_equal(targets[rows], targets[moved])
    with pytest.raises(TrainingError, match="other data"):
        train_modality(noise_modality(columns, targets), moved, [], short, RunContext(folder=tmp_path))


def test_an_emotion_without_training_rows_gets_no_score():
    columns, targets = noise()
    known = noise_modality(columns, targets % 2)
    network, _ = train_modality(known, range(SIZE), [], CONFIG, RunContext())
    scores = torch.softmax(torch.from_numpy(compute_outputs(network, known).logits), 1)
    assert bool((scores[:, 2] < 1e-12).all())
    assert bool((scores[:, :2] > 1e-12).all())
