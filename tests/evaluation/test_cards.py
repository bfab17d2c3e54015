"""A report for a model card and for the Hub, read by the Hub's own library."""

import yaml
from huggingface_hub import parse_eval_result_entries

from bimodal.evaluation.cards import DATASET, card_section, hub_results
from bimodal.evaluation.report import evaluate


def test_the_hub_reads_the_results_back(made_up):
    report = evaluate(made_up(), replicates=50, title='a "corpus": \n# of ours')
    found = parse_eval_result_entries(yaml.safe_load(hub_results(report)))
    assert {one.dataset_id for one in found} == {DATASET}
    fused = next(one for one in report.systems if one.system == "fused")
    assert {one.task_id: one.value for one in found} == {
        name: round(fused.metrics[name].value, 4) for name in ("uar", "accuracy", "weighted_f1")
    }
    assert "95 % interval" in found[0].notes
    assert 'a "corpus": # of ours' in found[0].notes


def test_the_section_has_a_row_for_each_system_and_names_the_weakest_emotion_first(made_up):
    report = evaluate(made_up(), replicates=50, title="corpus", notes=("a <b>note</b>",))
    text = card_section(report)
    assert text.startswith("## Evaluation\n")
    rows = [line.split(" | ")[0].strip("| ") for line in text.splitlines() if line.startswith("| ")]
    assert rows == ["system", "speech", "text", "late", "fused", "guessing"]
    recalls = next(one for one in report.systems if one.system == "fused").recalls
    worst = min(recalls, key=recalls.get)
    assert f"the weakest first: {worst} " in text
    assert "<b>" not in text.replace("\\<b>", "")
    table = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    assert len(set(table)) == 1
