"""Results over seeds: mean and deviation by hand, intervals over speakers with all seeds' predictions."""

import json
import statistics
from dataclasses import replace

import numpy as np
import pytest

from bimodal.evaluation.figures import Resampling, measure
from bimodal.evaluation.metrics import METRICS
from bimodal.evaluation.seeds import over_seeds, seeds_table, write_seeds

QUICK = Resampling(replicates=50)


@pytest.fixture
def seeds(by_hand):
    """Three seeds of six utterances, of which the second has some scores turned round."""
    other = {name: scores[:, ::-1].copy() for name, scores in by_hand.scores.items()}
    return {4: by_hand, 5: replace(by_hand, scores=other), 6: by_hand}


def test_mean_and_deviation_are_those_of_the_seeds_values(seeds):
    report = over_seeds(seeds, QUICK)
    assert report.seeds == (4, 5, 6) and report.rows == 6
    for system, figures in report.systems.items():
        for name, figure in figures.items():
            alone = [measure(METRICS[name], one, system, QUICK).value for one in seeds.values()]
            assert list(figure.seeds) == alone
            if None not in alone:
                assert figure.mean == pytest.approx(statistics.mean(alone))
                assert figure.sd == pytest.approx(statistics.stdev(alone))


def test_equal_seeds_have_the_interval_of_one_and_no_deviation(by_hand):
    report = over_seeds({0: by_hand, 1: by_hand}, QUICK)
    for system, figures in report.systems.items():
        alone = measure(METRICS["uar"], by_hand, system, QUICK)
        assert (figures["uar"].mean, figures["uar"].low, figures["uar"].high) == (alone.value, alone.low, alone.high)
        assert figures["uar"].sd == 0


def test_one_seed_has_no_deviation(by_hand):
    found = over_seeds({7: by_hand}, QUICK)
    assert {figure.sd for figures in found.systems.values() for figure in figures.values()} == {None}
    assert all(line[2] == "-" for line in seeds_table(found)[1:])


def test_the_folder_has_all_figures_and_a_table(seeds, tmp_path):
    report = over_seeds(seeds, QUICK)
    write_seeds(tmp_path / "new", report)
    plain = json.loads((tmp_path / "new" / "seeds.json").read_text())
    assert plain["seeds"] == [4, 5, 6] and plain["schema"] == 1
    assert plain["systems"]["speech"]["uar"]["seeds"] == list(report.systems["speech"]["uar"].seeds)
    page = (tmp_path / "new" / "seeds.md").read_text()
    assert "3 seeds (4, 5, 6)" in page and all(f"| {name} |" in page for name in report.systems)
    assert np.isfinite(plain["systems"]["speech"]["uar"]["mean"])
