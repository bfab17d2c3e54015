"""Groups have their own figures and intervals; a gap needs two groups that are large and comparable."""

from dataclasses import replace

import numpy as np
import pytest

from bimodal.errors import BimodalError
from bimodal.evaluation.figures import Resampling
from bimodal.evaluation.report import Options, evaluate
from bimodal.evaluation.subgroups import subgroups_of

FEW = Resampling(replicates=300)


def by_sex(predictions, worse=0.0):
    """Half of the speakers are women; `worse` of their answers are replaced by the first emotion."""
    sex = ["f" if int(name[1:]) % 2 else "m" for name in predictions.clusters]
    rng = np.random.default_rng(0)
    broken = np.array([one == "f" for one in sex]) & (rng.random(len(sex)) < worse)
    scores = np.where(broken[:, None], [0.9, 0.05, 0.05], predictions.scores["fused"])
    return replace(predictions, scores={"fused": scores}, extra={"sex": tuple(sex)})


def test_each_group_equals_a_report_on_its_rows_alone(made_up):
    predictions = by_sex(made_up((("fused", 2.0),)))
    (found,) = subgroups_of(predictions, "sex", FEW)
    assert [group.name for group in found.groups] == ["f", "m"]
    for group in found.groups:
        rows = [row for row, sex in enumerate(predictions.extra["sex"]) if sex == group.name]
        alone = replace(
            predictions,
            ids=tuple(predictions.ids[row] for row in rows),
            targets=predictions.targets[rows],
            clusters=tuple(predictions.clusters[row] for row in rows),
            scores={"fused": predictions.scores["fused"][rows]},
            extra={},
        )
        (system,) = evaluate(alone, replicates=300).systems
        assert group.uar == system.metrics["uar"] and group.rows == system.rows and group.clusters == system.clusters
        assert {name: one.value for name, one in group.recalls.items()} == system.recalls
        assert group.set_coverage is None


def test_a_gap_that_is_there_is_found_with_its_interval_and_told(made_up):
    predictions = by_sex(made_up((("fused", 3.0),), each=40), worse=0.5)
    (found,) = subgroups_of(predictions, "sex", FEW)
    assert (found.best, found.worst) == ("m", "f")
    values = {group.name: group.uar.value for group in found.groups}
    assert found.gap.value == pytest.approx(values["m"] - values["f"])
    assert 0 < found.gap.low < found.gap.value < found.gap.high
    report = evaluate(predictions, replicates=300, options=Options(by=("sex",)))
    assert report.subgroups == (found,)
    assert any("points better on sex m than f" in warning for warning in report.warnings)


def test_small_groups_are_shown_but_have_no_part_in_the_gap(made_up):
    predictions = by_sex(made_up((("fused", 2.0),)))
    sex = tuple("x" if row < 5 else None if row < 8 else one for row, one in enumerate(predictions.extra["sex"]))
    report = evaluate(replace(predictions, extra={"sex": sex}), replicates=100, options=Options(by=("sex",)))
    (found,) = report.subgroups
    assert [group.rows for group in found.groups if group.name == "x"] == [5]
    assert {found.best, found.worst} == {"f", "m"} and found.unknown == 3
    assert "By sex, groups below 20 utterances have no part in the gap: x (5)." in report.warnings
    assert "By sex, 3 utterances have no group." in report.warnings


def test_one_group_or_groups_without_a_common_emotion_have_no_gap(made_up):
    predictions = replace(made_up((("fused", 2.0),)), extra={"sex": ("f",) * 500})
    (found,) = subgroups_of(predictions, "sex", FEW)
    assert found.gap.value is None and found.best == ""
    emotions = tuple(str(target) for target in predictions.targets)
    (found,) = subgroups_of(replace(predictions, extra={"kind": emotions}), "kind", FEW)
    assert found.gap.value is None and len(found.groups) == 3


def test_a_group_of_one_speaker_has_no_interval_and_no_end_of_the_gap(made_up):
    predictions = made_up((("fused", 2.0),), each=60)
    one = tuple("alone" if name == "s0" else "rest" for name in predictions.clusters)
    (found,) = subgroups_of(replace(predictions, extra={"who": one}), "who", FEW)
    assert found.groups[0].name == "alone" and found.groups[0].uar.low is None
    assert found.gap.value is not None and found.gap.low is None


def test_sets_are_covered_by_group(made_up):
    predictions = by_sex(made_up((("fused", 2.0),)))
    sets = np.zeros((500, 3), bool)
    sets[np.arange(500), predictions.targets] = [sex == "f" for sex in predictions.extra["sex"]]
    (found,) = subgroups_of(replace(predictions, sets={"fused": sets}), "sex", FEW)
    assert [group.set_coverage.value for group in found.groups] == [1.0, 0.0]


def test_missing_empty_and_too_fine_columns_are_refused(made_up):
    predictions = replace(made_up((("fused", 2.0),)), extra={"sex": (None,) * 500, "nr": tuple(map(str, range(500)))})
    with pytest.raises(BimodalError, match=r"--by age: no such column, expected one of \['nr', 'sex', 'speaker'\]"):
        subgroups_of(predictions, "age", FEW)
    with pytest.raises(BimodalError, match="the column is empty in all 500 rows"):
        subgroups_of(predictions, "sex", FEW)
    with pytest.raises(BimodalError, match="500 values, expected at most 50"):
        subgroups_of(predictions, "nr", FEW)
