"""Groups of people and their annotators."""

from bimodal.evaluation.html.blocks import LeftOut
from bimodal.evaluation.html.groups import subgroup_section, vote_section
from bimodal.evaluation.report import Options


def test_groups_of_a_column_have_their_figures_and_the_gap_its_interval(scored, material):
    sexes = tuple("female" if row % 5 else "male" for row in range(300))
    found = material(scored(sex=sexes), options=Options(by=("sex",)))
    gaps, table = subgroup_section(found).blocks
    assert [row[0].text for row in gaps.rows] == [f"{name} by sex" for name in ("speech", "text", "late", "fused")]
    assert [(row[0].text, row[1].text) for row in table.rows] == [("female", "240"), ("male", "60")]
    groups = next(one for one in found.report.subgroups if one.system == "fused").groups
    assert table.rows[0][2].text == f"{100 * groups[0].uar.value:.1f}"
    assert " to " in table.rows[0][2].small


def test_without_a_column_it_is_said_which_the_manifest_has(scored, material):
    found = subgroup_section(material(scored(sex=("female",) * 300)))
    assert isinstance(found, LeftOut)
    assert found.reason.endswith("The manifest has sex.")


def test_votes_of_several_annotators_are_told_and_their_absence_too(scored, material):
    votes = tuple("anger|anger|joy" for _ in range(300))
    assert isinstance(vote_section(material(scored())), LeftOut)
    told = material(scored(votes=votes), options=Options(votes="votes"))
    assert "human among them" in " ".join(vote_section(told).blocks[0].sentences)
