"""The training loop: interrupted equals uninterrupted, the best weights are kept, errors are sentences."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bimodal.config import LossConfig, StageConfig
from bimodal.data.batches import Examples, array_examples
from bimodal.errors import TrainingError
from bimodal.models.layers import HeadShape
from bimodal.models.text import TextNetwork
from bimodal.records import digested
from bimodal.training import loop
from bimodal.training.checkpoint import CHECKPOINT, RECORD, WEIGHTS
from bimodal.training.loop import Run, fit, predict

CONFIG = StageConfig(
    epochs=6,
    min_steps=0,
    batch_size=8,
    learning_rate=1e-2,
    ema_decay=0.9,
    loss=LossConfig(affinity="gaussian", class_weights="balanced"),
)


def examples(size: int = 30, seed: int = 0) -> Examples:
    """Three emotions that differ in their mean, with much noise."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 3, size)
    pooled = rng.normal(0, 1.5, (size, 2, 4)) + np.eye(3, 8)[targets].reshape(size, 2, 4)
    return array_examples({"pooled": pooled.astype(np.float32)}, targets)


def network() -> TextNetwork:
    torch.manual_seed(0)
    shape = HeadShape(
        ensemble_size=2,
        hidden_width=8,
        embedding_width=6,
        input_dropout=0.1,
        dropout=0.3,
        input_noise_std=0.1,
        embedding_norm=4.0,
    )
    return TextNetwork(layers=2, width=4, emotions=3, shape=shape)


def accuracy(logits: np.ndarray, targets: np.ndarray) -> float:
    return float((logits.argmax(1) == targets).mean())


def run(folder=None, **changes) -> Run:
    options = {"train": examples(), "dev": examples(40, seed=1), "config": CONFIG, "score": accuracy} | changes
    return Run(emotions=3, embedding_width=6, seed=3, folder=folder, **options)


def without_seconds(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: value for name, value in entry.items() if name != "seconds"} for entry in history]


def assert_same_weights(one: torch.nn.Module, other: torch.nn.Module) -> None:
    for (name, ours), theirs in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), name


class InterruptionError(Exception):
    """The process is stopped here."""


def interrupted_at(epoch: int):
    def on_epoch(entry: dict[str, float]) -> None:
        if entry["epoch"] == epoch:
            raise InterruptionError

    return on_epoch


TUNED = replace(CONFIG, precision="bfloat16", max_grad_norm=0.5)
CASES = [
    (CONFIG, examples(), {}),
    (replace(CONFIG, ema_decay=0.0, patience=3, loss=LossConfig()), examples(), {}),
    (replace(CONFIG, ema_decay=0.0, loss=LossConfig(gamma=0.0, affinity="centre")), examples(), {}),
    (TUNED, replace(examples(), lengths=np.arange(30) % 7), {"head.hidden.": 0.1, "head.": 0.5}),
    (replace(TUNED, precision="float16", accumulate=3, ema_decay=0.0), examples(), {}),
]


@pytest.mark.parametrize("epoch", range(1, 7))
@pytest.mark.parametrize(("config", "data", "rates"), CASES, ids=["average", "patience", "centre", "tuned", "float16"])
def test_a_run_interrupted_in_any_epoch_ends_as_if_it_never_was(tmp_path, monkeypatch, config, data, rates, epoch):
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    options = {"config": config, "train": data, "lr_multipliers": rates}
    whole = network()
    record = fit(whole, run(**options))
    if epoch > len(record.history):
        return
    with pytest.raises(InterruptionError):
        fit(network(), run(tmp_path, on_epoch=interrupted_at(epoch), **options))
    assert (tmp_path / CHECKPOINT).exists() == (epoch > 1)
    seen = []
    resumed = network()
    torch.manual_seed(99)  # a new process starts anywhere
    again = fit(resumed, run(tmp_path, on_epoch=seen.append, **options))
    assert [entry["epoch"] for entry in seen] == list(range(epoch, len(record.history) + 1))
    assert without_seconds(again.history) == without_seconds(record.history)
    assert again.best_epoch == record.best_epoch
    assert_same_weights(resumed, whole)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([WEIGHTS, RECORD])


def test_a_finished_run_is_returned_without_training(tmp_path):
    first, second, seen = network(), network(), []
    record = fit(first, run(tmp_path))
    again = fit(second, run(tmp_path, on_epoch=seen.append))
    assert again == record
    assert seen == []
    assert_same_weights(first, second)


def test_the_checkpoint_of_a_run_that_was_killed_at_the_very_end_is_deleted(tmp_path):
    fit(network(), run(tmp_path))
    (tmp_path / CHECKPOINT).write_bytes(b"left")
    fit(network(), run(tmp_path))
    assert {file.name for file in tmp_path.iterdir()} == {RECORD, WEIGHTS}


@pytest.mark.parametrize(
    "change",
    [
        {"config": replace(CONFIG, learning_rate=2e-2)},
        {"config": replace(CONFIG, loss=LossConfig(affinity="gaussian", beta=0.5))},
        {"train": examples(seed=5)},
        {"identity": "another backbone"},
        {"lr_multipliers": {"head.": 0.5}},
        {"config": replace(CONFIG, precision="bfloat16")},
        {"config": replace(CONFIG, accumulate=2)},
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_another_run_in_the_same_folder_is_refused(tmp_path, monkeypatch, change, finished):
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    if finished:
        fit(network(), run(tmp_path))
    else:
        with pytest.raises(InterruptionError):
            fit(network(), run(tmp_path, on_epoch=interrupted_at(3)))
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(TrainingError, match="holds a run with another configuration or other data"):
        fit(network(), run(tmp_path, **change))
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_early_stopping_keeps_the_best_weights():
    scores, states = iter([0.1, 0.5, 0.3, 0.5, 0.9]), []
    trained = network()
    record = fit(
        trained,
        run(
            config=replace(CONFIG, patience=2, ema_decay=0.0),
            score=lambda logits, targets: next(scores),
            on_epoch=lambda entry: states.append({k: v.clone() for k, v in trained.state_dict().items()}),
        ),
    )
    assert [entry["dev"] for entry in record.history] == [0.1, 0.5, 0.3, 0.5]
    assert record.best_epoch == 2
    for name, value in trained.state_dict().items():
        assert torch.equal(value, states[1][name])
    assert not torch.equal(states[1]["head.embed.weight"], states[3]["head.embed.weight"])
    assert not trained.training


def test_without_a_dev_set_the_last_weights_are_kept():
    states, trained = [], network()
    config = replace(CONFIG, ema_decay=0.0, patience=1)
    keep = lambda entry: states.append(trained.head.embed.weight.detach().clone())  # noqa: E731
    record = fit(trained, run(config=config, dev=None, on_epoch=keep))
    assert record.best_epoch == len(states) == 6
    assert torch.equal(trained.head.embed.weight, states[-1])


def test_the_running_average_is_the_one_worked_out_by_hand():
    states, trained = [], network()
    expected = trained.head.embed.weight.detach().clone()
    config = replace(CONFIG, batch_size=30, ema_decay=0.2)  # one step an epoch
    keep = lambda entry: states.append(trained.head.embed.weight.detach().clone())  # noqa: E731
    fit(trained, run(config=config, dev=None, on_epoch=keep))
    for step, weights in enumerate(states):
        decay = min(0.2, (step + 1) / (step + 10))
        expected = decay * expected + (1 - decay) * weights
    assert trained.head.embed.weight.detach() == pytest.approx(expected, abs=1e-6)


def test_the_same_seed_gives_the_same_network_and_leaves_the_callers_randomness_alone():
    networks = [network(), network()]
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(networks[0], run())
    assert torch.equal(torch.rand(3), expected)
    fit(networks[1], run())
    assert_same_weights(*networks)


def test_a_loss_that_is_no_longer_finite_is_a_sentence_with_advice():
    data = examples()
    broken = Examples(
        size=data.size,
        read=lambda rows: {"pooled": np.full_like(data.read(rows)["pooled"], np.nan)},
        targets=data.targets,
    )
    with pytest.raises(TrainingError, match=r"the loss of epoch 1 is nan; lower learning_rate \(0\.01\) or beta"):
        fit(network(), run(train=broken, dev=None))


@pytest.mark.parametrize("damage", ["truncated", "notes", "empty"])
def test_a_damaged_checkpoint_is_a_sentence_with_advice(tmp_path, monkeypatch, damage):
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    with pytest.raises(InterruptionError):
        fit(network(), run(tmp_path, on_epoch=interrupted_at(3)))
    content = (tmp_path / CHECKPOINT).read_bytes()
    broken = {"truncated": content[:-7], "notes": content.replace(b"identity", b"idontity", 1), "empty": b""}
    (tmp_path / CHECKPOINT).write_bytes(broken[damage])
    with pytest.raises(TrainingError, match=rf"{CHECKPOINT}: damaged .*delete it"):
        fit(network(), run(tmp_path))


def test_a_damaged_finished_run_is_a_sentence_with_advice(tmp_path):
    fit(network(), run(tmp_path))
    (tmp_path / WEIGHTS).write_bytes((tmp_path / WEIGHTS).read_bytes()[:-5])
    with pytest.raises(TrainingError, match=r"damaged run .*delete the folder"):
        fit(network(), run(tmp_path))


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="cannot be written"):
        fit(network(), run(tmp_path / "file" / "stage"))


def test_the_loss_after_three_epochs_is_the_pinned_one():
    history = fit(network(), run(config=replace(CONFIG, epochs=3))).history
    assert [entry["loss"] for entry in history] == pytest.approx(PINNED, abs=2e-3)


PINNED = [1.743755, 2.059676, 1.956199]  # it rises at first because beta does


COMPARED = {
    "cross-entropy": LossConfig(gamma=0.0, affinity="none"),
    "class-weighted": LossConfig(gamma=0.0, affinity="none", class_weights="balanced"),
    "focal": LossConfig(affinity="none"),
    "logit-adjusted": LossConfig(classification="logit_adjusted", affinity="none"),
    "centre": LossConfig(gamma=0.0, affinity="centre"),
    "contrastive": LossConfig(affinity="contrastive"),
    "pairwise": LossConfig(affinity="pairwise"),
    "gaussian": LossConfig(affinity="gaussian"),
}


def test_every_loss_that_is_compared_is_another_one_and_logs_how_hard_its_affinity_pulls():
    data = examples(60)
    rare = np.flatnonzero((data.targets > 0) | (np.arange(60) % 3 == 0)).tolist()
    found = {}
    for name, loss in COMPARED.items():
        trained = network()
        history = fit(trained, run(train=data.subset(rare), dev=None, config=replace(CONFIG, loss=loss))).history
        found[name] = trained.head.embed.weight.detach()
        pulls = [entry.get("affinity_gradient_ratio") for entry in history]
        assert all(pull is None if loss.affinity == "none" else pull > 0 for pull in pulls), name
    names = list(found)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            assert not torch.allclose(found[one], found[other], atol=1e-4), (one, other)


def test_logit_adjustment_raises_a_rare_emotion_and_takes_no_class_weights_beside_it():
    data = examples(90)
    kept = [row for row in range(90) if data.targets[row] > 0 or row % 6 == 0]
    recall = {}
    for name in ("cross-entropy", "logit-adjusted"):
        trained = network()
        fit(trained, run(train=data.subset(kept), dev=None, config=replace(CONFIG, epochs=20, loss=COMPARED[name])))
        fresh = examples(300, seed=7)
        recall[name] = (predict(trained, fresh)[1].argmax(1) == 0)[fresh.targets == 0].mean()
    assert recall["logit-adjusted"] > recall["cross-entropy"] + 0.05
    both = LossConfig(classification="logit_adjusted", affinity="none", class_weights="sqrt")
    with pytest.raises(TrainingError, match=r"set loss\.class_weights to 'none'"):
        fit(network(), run(config=replace(CONFIG, loss=both)))


def test_training_learns():
    data, trained = examples(60), network()
    config = replace(CONFIG, epochs=15, learning_rate=2e-2, ema_decay=0.0, loss=LossConfig())
    fit(trained, run(train=data, dev=None, config=config))
    assert accuracy(predict(trained, data)[1], data.targets) > accuracy(predict(network(), data)[1], data.targets) + 0.2


def test_predictions_have_a_row_for_each_example_in_order_and_no_dropout():
    data, trained = examples(300), network()
    embedding, logits = predict(trained.train(), data)
    assert (embedding.shape, logits.shape) == ((300, 12), (300, 3))
    alone = predict(trained, data.subset([299]))[1]
    assert alone[0] == pytest.approx(logits[299], abs=1e-5)


def test_a_small_corpus_gets_more_passes_until_the_least_updates_are_reached():
    record = fit(network(), run(config=replace(CONFIG, epochs=2, min_steps=15)))
    assert len(record.history) == 4  # 30 examples in batches of 8 are 4 updates a pass


def test_a_part_of_the_network_moves_at_its_own_rate_and_the_longest_start_counts():
    start, trained = network(), network()
    one_step = replace(CONFIG, epochs=1, batch_size=30, ema_decay=0.0, weight_decay=0.0)
    fit(trained, run(config=one_step, dev=None, lr_multipliers={"head.hidden.0.": 0.25, "head.hidden.": 0.0}))
    before = dict(start.named_parameters())
    moved = {name: (value - before[name]).abs().max().item() for name, value in trained.named_parameters()}
    assert moved.pop("head.hidden.0.weight") == pytest.approx(2.5e-3, rel=0.02)  # AdamW's first step is the rate
    assert moved.pop("head.hidden.0.bias") <= 2.5e-3 * 1.02
    assert moved.pop("head.hidden.1.weight") == moved.pop("head.hidden.1.bias") == 0.0
    assert moved["head.classify.weight"] == pytest.approx(1e-2, rel=0.02)


def test_examples_of_known_length_come_in_batches_of_alike_ones_each_once():
    data = replace(examples(900), lengths=np.random.default_rng(0).permutation(900))
    torch.manual_seed(0)
    batches = loop._batches(data, 8)
    assert sorted(row for batch in batches for row in batch) == list(range(900))
    spans = [np.ptp(data.lengths[batch]) for batch in batches]
    assert np.mean(spans) < 40  # 400 rows are sorted at a time; random batches span 700
    firsts = [data.lengths[batch[0]] for batch in batches]
    assert abs(np.corrcoef(firsts, np.arange(len(firsts)))[0, 1]) < 0.3  # the batches themselves are not sorted


def test_predictions_of_examples_of_known_length_stay_in_their_order():
    data, trained = examples(300), network()
    expected = predict(trained, data)
    found = predict(trained, replace(data, lengths=np.random.default_rng(0).permutation(300)))
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("limit", [0.0, 1e-3])
def test_the_gradient_is_cut_to_the_limit(limit):
    trained = network()
    fit(trained, run(dev=None, config=replace(CONFIG, epochs=1, max_grad_norm=limit, loss=LossConfig())))
    length = torch.stack([value.grad.norm() for value in trained.parameters()]).norm().item()  # of the last step
    assert length == pytest.approx(1e-3, rel=1e-2) if limit else length > 0.1


def test_half_precision_in_training_keeps_float32_weights_and_ends_near_the_exact_ones():
    exact, halved = network(), network()
    plain = fit(exact, run(dev=None))
    record = fit(halved, run(dev=None, config=replace(CONFIG, precision="bfloat16")))
    assert {value.dtype for value in halved.state_dict().values()} == {torch.float32}
    losses = [[entry["loss"] for entry in one.history] for one in (plain, record)]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert losses[1] != losses[0]


def test_rows_that_are_shown_decide_nothing():
    seen, plain, watched = [], network(), network()
    config = replace(CONFIG, patience=0)
    record = fit(plain, run(config=config, dev=None))
    again = fit(watched, run(config=config, dev=None, shown=examples(), on_epoch=seen.append))
    assert_same_weights(watched, plain)
    assert without_seconds(again.history) == without_seconds(record.history)
    assert [entry["epochs"] for entry in seen] == [len(record.history)] * len(record.history)
    assert all(0 <= entry["dev"] <= 1 for entry in seen) and not any("dev" in entry for entry in again.history)


def still() -> TextNetwork:
    """The same network without chance."""
    torch.manual_seed(0)
    shape = HeadShape(
        ensemble_size=2, hidden_width=8, embedding_width=6, input_dropout=0.0, dropout=0.0, input_noise_std=0.0,
        embedding_norm=4.0,
    )  # fmt: skip
    return TextNetwork(layers=2, width=4, emotions=3, shape=shape)


@pytest.mark.parametrize("parts", [2, 3, 50])
def test_a_batch_in_parts_gives_the_update_of_the_whole_batch(parts):
    config = replace(CONFIG, ema_decay=0.0, max_grad_norm=0.5, loss=LossConfig(affinity="none", class_weights="sqrt"))
    whole, apart = still(), still()
    record = fit(whole, run(dev=None, config=config))
    again = fit(apart, run(dev=None, config=replace(config, accumulate=parts)))
    losses = [[entry["loss"] for entry in one.history] for one in (record, again)]
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)
    for name, value in whole.state_dict().items():
        assert torch.allclose(value, apart.state_dict()[name], atol=1e-4), name


def test_an_affinity_loss_sees_one_part_of_a_batch_at_a_time():
    config = replace(CONFIG, loss=LossConfig(affinity="pairwise"))
    losses = [
        [entry["loss"] for entry in fit(still(), run(dev=None, config=replace(config, accumulate=parts))).history]
        for parts in (1, 4)
    ]
    assert losses[0] != pytest.approx(losses[1], abs=1e-3)


def test_float16_scales_the_loss_and_ends_near_the_exact_weights():
    exact, halved = still(), still()
    config = replace(CONFIG, epochs=12)
    fit(exact, run(dev=None, config=config))
    record = fit(halved, run(dev=None, config=replace(config, precision="float16")))
    assert {value.dtype for value in halved.state_dict().values()} == {torch.float32}
    data = examples(60, seed=2)
    assert accuracy(predict(halved, data)[1], data.targets) == pytest.approx(
        accuracy(predict(exact, data)[1], data.targets), abs=0.1
    )
    assert all(np.isfinite(entry["loss"]) for entry in record.history)


def test_a_device_without_16_bits_is_a_sentence():
    loop.check_precision("float32", "mps")
    with pytest.raises(TrainingError, match="the device 'mps' does not train in float16; set precision=float32"):
        loop.check_precision("float16", "mps")


def test_an_added_setting_changes_no_digest_unless_it_is_set():
    """Runs that earlier versions left can be loaded: their digests know nothing of settings that came later."""
    plain, parts = (digested(replace(CONFIG, accumulate=count)) for count in (1, 2))
    assert "accumulate" not in plain and parts["accumulate"] == 2
    assert plain["loss"]["affinity"] == "gaussian"
