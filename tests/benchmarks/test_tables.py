"""The benchmarks' page: every figure with its interval and seeds; others' figures are marked as quoted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import emodb, meld, meld_tuned, ravdess, tables
from benchmarks.record import RESULTS, Options, Result, config_digest, measure, measure_gain, read_result, save_result
from bimodal.data.corpora.ravdess import FOLDS
from bimodal.evaluation import metrics
from bimodal.evaluation.predictions import Predictions


def predictions(seed: int, systems: tuple[str, ...] = ("speech", "text", "late", "fused")) -> Predictions:
    rng = np.random.default_rng(seed)
    return Predictions(
        ids=tuple(map(str, range(24))),
        targets=np.arange(24) % 2,
        emotions=("anger", "joy"),
        clusters=tuple(str(row // 4) for row in range(24)),
        cluster_name="dialogue",
        scores={system: rng.dirichlet([1, 1], 24) for system in systems},
        extra={"fold": tuple(list(FOLDS)[row // 4] for row in range(24))},
    )


def result(name: str, figures) -> Result:
    return Result(
        name=name,
        title=f"The {name} figures",
        protocol="One against the other.",
        licence="CC0",
        seeds=(0, 1),
        figures=tuple(figures),
        quoted=ravdess.QUOTED,
        notes=("speakers in train and test: 3 shared",),
        tried=("nothing",),
        target="more",
        config="abc",
        settings={},
        minutes=1.0,
    )


def test_a_figure_is_the_mean_over_seeds_and_lies_in_its_interval():
    seeds = [predictions(0), predictions(1)]
    figure = measure(seeds, "speech", "voice", "UAR", metrics.unweighted_average_recall)
    assert figure.mean == pytest.approx(np.mean(figure.seeds))
    assert figure.low <= figure.mean <= figure.high
    assert figure.clusters == "6 dialogues"


def test_a_gain_is_the_difference_of_the_figures():
    seeds = [predictions(0), predictions(1)]
    uar = metrics.unweighted_average_recall
    gain = measure_gain(seeds, ("fused", "text"), "UAR", uar)
    alone = [measure(seeds, system, system, "UAR", uar).mean for system in ("fused", "text")]
    assert gain.mean == pytest.approx(alone[0] - alone[1])
    assert 0 < gain.p <= 1


@pytest.mark.parametrize("name", ["ravdess", "emodb", "meld"])
def test_the_page_has_every_figure_and_the_command_that_repeats_it(name, tmp_path: Path):
    seeds = [predictions(0), predictions(1)]
    figures = meld.measure_all(seeds)
    options = Options(data=tmp_path, cache=tmp_path, results=tmp_path / "results", ledger=tmp_path / "ledger.csv")
    saved = save_result(result(name, figures), options, "UAR 1.0")
    save_result(result(name, figures), options, "UAR 2.0")
    assert read_result(tmp_path / "results" / f"{name}.json").figures == saved.figures
    tables.write_results(tmp_path / "results", tmp_path / "results.md")
    page = (tmp_path / "results.md").read_text()
    for figure in figures:
        assert f"| {figure.system} | {figure.metric} |" in page
    assert f"python -m benchmarks.{name} --seeds 0 1" in page
    assert page.count("*quoted*:") == len(ravdess.QUOTED)
    assert "3 shared" in page
    assert len((tmp_path / "ledger.csv").read_text().splitlines()) == 3


def test_one_seed_has_no_deviation():
    figure = measure([predictions(0)], "text", "text", "UAR", metrics.unweighted_average_recall)
    assert "| - |" in tables.figures_table(result("meld", [figure]))


def test_the_six_folds_have_a_figure_each():
    assert len(ravdess.fold_means(predictions(0))) == 6


def test_seed_and_threads_are_no_part_of_a_configuration():
    assert config_digest(emodb.CONFIG) == config_digest(replace(emodb.CONFIG, seed=3, threads=2))
    assert config_digest(emodb.CONFIG) != config_digest(meld.CONFIG)


def test_the_tuned_benchmark_names_every_difference_after_what_it_compares():
    stages, alone = [predictions(1), predictions(2)], [predictions(3, ("text",)), predictions(4, ("text",))]
    figures = {(figure.system, figure.metric): figure for figure in meld_tuned.measure_all(stages, alone)}
    means = {system: figures[system, "weighted F1"].mean for system, _ in figures}
    for gain in (system for system in means if " - " in system):
        first, second = gain.split(" - ")
        names = {"late": "late fusion"}
        assert means[gain] == pytest.approx(means[names.get(first, first)] - means[names.get(second, second)], abs=1e-6)


def test_the_summary_quotes_the_figures_of_the_results_that_are_there(tmp_path: Path):
    system, metric = tables.SUMMARY[0][2][0]
    figure = replace(measure([predictions(0)], "text", system, metric, metrics.unweighted_average_recall), mean=12.25)
    text = tables.summarise({"ravdess": result("ravdess", [figure]), "emodb": result("emodb", [figure])})
    assert "UA 12.25." in text
    assert len(text.strip().splitlines()) == 1


def test_every_line_of_the_summary_finds_its_figures_in_the_recorded_results():
    found = {name: read_result(RESULTS / f"{name}.json") for name, _, _ in tables.SUMMARY}
    assert len(tables.summarise(found).strip().splitlines()) == len(tables.SUMMARY)
