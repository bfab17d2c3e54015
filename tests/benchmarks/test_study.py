"""The study on a made-up corpus: it goes on where it stopped, choices are made inside, words follow numbers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.record import Options, make_figure
from benchmarks.study import __main__ as study
from benchmarks.study import fusion, losses, page
from benchmarks.study.cells import Cells
from benchmarks.study.findings import (
    MASS,
    UAR,
    Row,
    Section,
    corrected,
    fusion_section,
    holm,
    imbalance_section,
    loss_section,
    pair_confusions,
)
from benchmarks.study.tasks import Task, inner_folds, rarest
from bimodal.config import FusionConfig, HeadConfig, TrainConfig
from bimodal.data.splits import speaker_folds
from bimodal.records import Utterance
from bimodal.training.prepare import Prepared
from bimodal.training.rows import LabelledRows, Parts
from bimodal.training.speech import columns_modality

EMOTIONS = ("anger", "happiness", "neutral", "sadness")
SPEAKERS = [f"s{row // 16}" for row in range(128)]
TARGETS = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3] * 8)
FAST = HeadConfig(epochs=2, min_steps=8, batch_size=32, learning_rate=1e-2, hidden_width=0, embedding_width=5)


def columns(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(128, 6)) + 1.5 * np.eye(4, 6)[TARGETS]).astype(np.float32)


def side(seed: int):
    return columns_modality(columns(seed), TARGETS, [f"c{seed}{i}" for i in range(6)], FAST, len(EMOTIONS))


def make_task(name: str = "ravdess") -> Task:
    return Task(
        name=name,
        title=f"Made-up {name}",
        side=side(0),
        targets=TARGETS,
        emotions=EMOTIONS,
        clusters=tuple(SPEAKERS),
        cluster_name="speaker",
        folds=speaker_folds(SPEAKERS, 2),
        inner=lambda fold: inner_folds(SPEAKERS, fold),
        config=FAST,
        choose=name == "ravdess",
        pairs=2,
        configuration="fast",
    )


def make_pairs() -> fusion.Paired:
    utterances = tuple(Utterance(id=str(row), speaker=speaker) for row, speaker in enumerate(SPEAKERS))
    rows = LabelledRows(utterances=utterances, targets=TARGETS, emotions=EMOTIONS, dropped={})
    short = FusionConfig(epochs=1, min_steps=5, batch_size=32, hidden_width=4, embedding_width=5, n_folds=2)
    return fusion.Paired(
        name="meld",
        title="Made-up pairs",
        prepared=Prepared(rows=rows, folder=Path(), modalities={"speech": side(0), "text": side(1)}),
        parts=Parts(train=list(range(96)), dev=[], overlaps=()),
        test=tuple(range(96, 128)),
        clusters=tuple(SPEAKERS),
        cluster_name="speaker",
        groups=tuple(SPEAKERS),
        config=replace(TrainConfig(), speech=FAST, text=FAST, fusion=short),  # type: ignore[arg-type]
    )


def options(folder: Path) -> Options:
    return Options(
        data=folder, cache=folder, seeds=(0, 1), results=folder / "results", ledger=folder / "ledger.csv", threads=1
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def sections(folder) -> list[Section]:
    """Every part, of two seeds."""
    cells = Cells(folder=folder / "cells")
    task, pairs = make_task(), make_pairs()
    chosen = losses.choices(task, task, cells)
    return [
        loss_section(task, chosen, losses.run_losses(task, chosen, (0, 1), cells)),
        imbalance_section(task, losses.run_imbalance(task, chosen, (0, 1), cells)),
        fusion_section(pairs, fusion.run_fusion(pairs, (0, 1), cells)),
    ]


def test_a_study_that_is_done_computes_nothing_and_a_lost_cell_alone_is_computed_again(folder, sections):
    task = make_task()
    cells = Cells(folder=folder / "cells")
    chosen = losses.choices(task, task, cells)
    first = losses.run_losses(task, chosen, (0, 1), cells)
    assert cells.computed == set()
    files = {file: file.stat().st_mtime_ns for file in (folder / "cells").rglob("*.json")}
    lost = sorted((folder / "cells" / "losses" / "ravdess").iterdir())[3]
    lost.unlink()
    again = losses.run_losses(task, chosen, (0, 1), cells)
    assert cells.computed == {"losses/ravdess"}
    assert {f for f, at in files.items() if f.stat().st_mtime_ns != at} == {lost}
    for name in losses.LOSSES:
        assert np.array_equal(np.array(first[name]), np.array(again[name])), name
    assert not list((folder / "cells").rglob(".*.tmp"))


def test_a_corpus_that_chooses_nothing_takes_its_betas_from_the_other(folder, sections):
    cells = Cells(folder=folder / "cells")
    ravdess, emodb = make_task(), make_task("emodb")
    found = losses.choices(emodb, ravdess, cells)
    assert cells.computed == {"choice/emodb", "inner/emodb"}
    inner = (folder / "cells" / "inner" / "emodb").iterdir()
    assert len(list(inner)) == 4  # cross-entropy alone, on two inner folds of two folds: for the confused pairs
    assert found[0].beta == found[1].beta
    assert set(found[0].beta) == {name for name, loss in losses.LOSSES.items() if loss.affinity != "none"}


def test_inner_folds_never_hold_a_tested_row_nor_share_a_speaker():
    for fold in make_task().folds:
        for inner in inner_folds(SPEAKERS, fold):
            assert not {*inner.train, *inner.test} & set(fold.test)
            assert not {SPEAKERS[row] for row in inner.train} & {SPEAKERS[row] for row in inner.test}


def test_the_page_holds_every_figure_and_says_what_the_tables_say(folder, sections):
    for section in sections:
        study.save(section, {section.name: 1.0}, options(folder))
    written = folder / "study.md"
    arguments = ["--tables", "--results", str(folder / "results"), "--page", str(written)]
    study.main(arguments)
    text = written.read_text()
    for section in sections:
        assert f"](results/{page.plot_name(section)})" in text
        assert (folder / "results" / page.plot_name(section)).stat().st_size > 1000
        for row in section.rows:
            assert page.cell(row) in text
    losses_said = text.partition("## Conclusions")[2]
    for metric in (UAR, MASS):
        for system in page.JOINT:
            row = next(row for row in sections[0].rows if (row.system, row.figure.metric) == (system, metric))
            assert page.difference(row) in losses_said
    before = written.read_bytes()
    study.main(arguments)
    assert written.read_bytes() == before


def row(mean: float, p: float, metric: str = UAR, system: str = "pairwise + focal") -> Row:
    gain = make_figure(system, metric, [mean, mean], low=mean - 1, high=mean + 1, p=p)
    return Row(system=system, condition="", figure=make_figure(system, metric, [70.0, 71.0]), gain=gain)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [row(2, 0.001), row(1, 0.5)],
            "**pairwise + focal is significantly better than CE** in UAR: +2.0, +1.0 to +3.0.",
        ),
        ([row(-2, 0.001)], "**pairwise + focal is significantly worse than CE** in UAR: -2.0, -3.0 to -1.0."),
        (
            [row(2, 0.001, MASS)],
            "**pairwise + focal is significantly worse than CE** in confusion mass: +2.0, +1.0 to +3.0.",
        ),
        (
            [row(0.2, 0.04), row(1, 0.5)],
            "pairwise + focal is not significantly different from CE in UAR: +0.2, -0.8 to +1.2.",
        ),
    ],
)
def test_a_verdict_follows_the_corrected_p_and_the_direction_of_the_metric(rows, said):
    assert page.verdict(corrected(rows)[0], "CE") == said


def test_holm_never_lowers_a_p_and_keeps_their_order():
    assert holm([0.01, None, 0.04, 0.03]) == [0.03, None, 0.06, 0.06]
    assert holm([0.5, 0.9]) == [1.0, 1.0]


def test_confusion_mass_counts_only_the_counterpart_of_each_folds_own_pairs():
    task = replace(make_task(), pairs=1)
    chosen = [losses.Choice(gamma=1.0, beta={}, pairs=(pair,)) for pair in ((0, 1), (2, 3))]
    scores = np.eye(4)[TARGETS]
    scores[task.folds[0].test[0]] = np.eye(4)[1]  # anger taken for happiness, a pair of the first fold
    scores[task.folds[0].test[1]] = np.eye(4)[2]  # anger taken for neutral, no pair of it
    matrices = pair_confusions(task, chosen, scores)
    assert matrices.shape == (8, 2, 2)
    assert matrices.sum(0)[0, 1] == 1
    assert matrices.sum(0)[1, 0] == 0
    in_pairs = [(TARGETS[list(fold.test)] // 2 == place).sum() for place, fold in enumerate(task.folds)]
    assert matrices.sum() == sum(in_pairs)


def test_a_cut_takes_only_the_named_emotion_from_training_and_nothing_from_the_test():
    task = make_task()
    fold = task.folds[0]
    cut = losses.cut_fold(task, fold, "sadness", 0.25, seed=1)
    gone = set(fold.train) - set(cut.train)
    assert {TARGETS[row] for row in gone} == {3}
    assert len(gone) == round(0.75 * sum(TARGETS[row] == 3 for row in fold.train))
    assert cut.test == fold.test
    assert losses.cut_fold(task, fold, "sadness", 0.25, seed=2).train != cut.train


def test_a_contradicting_side_is_a_tested_one_of_another_emotion():
    test = tuple(range(96, 128))
    order = fusion.others(TARGETS, test, seed=0)
    assert (order[:96] == np.arange(96)).all()
    assert set(order[96:]) <= set(test)
    assert (TARGETS[order[list(test)]] != TARGETS[list(test)]).all()


def test_only_emotions_rarer_than_the_others_are_rare():
    assert rarest(make_task()) == (3,)
    with pytest.raises(ValueError, match="none is rare"):
        rarest(replace(make_task(), targets=np.arange(128) % 4))


def test_confused_pairs_are_those_of_the_largest_mass():
    assert losses.confused_pairs([[8, 2, 0], [1, 9, 0], [0, 4, 6]], 2) == ((1, 2), (0, 1))
