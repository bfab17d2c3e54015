from dataclasses import replace

from bimodal.evaluation.describe import comparison_sentences, describe, describe_markdown
from bimodal.evaluation.report import evaluate


def test_the_text_puts_systems_side_by_side_in_aligned_columns(made_up):
    report = evaluate(made_up(), replicates=200, title="made up")
    lines = describe(report).splitlines()
    assert lines[:2] == [
        "made up",
        "500 utterances of 25 speakers ("
        + ", ".join(f"{name} {count}" for name, count in report.counts.items())
        + "); "
        "95 % intervals from 200 resamples of speakers.",
    ]
    table = lines[3 : lines.index("", 3)]
    assert table[0].split() == ["system", "speech", "text", "late", "fused"]
    assert len({len(line) for line in table}) == 1
    uar = report.systems[0].metrics["uar"]
    assert f"{100 * uar.value:.1f} [{100 * uar.low:.1f}, {100 * uar.high:.1f}]" in table[2]
    assert [line.split()[0] for line in lines if line.startswith(("anger", "fear", "joy"))] == ["anger", "fear", "joy"]


def test_a_comparison_reads_as_a_sentence_with_a_verdict(made_up):
    sentences = comparison_sentences(evaluate(made_up(each=40), replicates=2000))
    assert sentences[0].startswith(
        "fused is significantly better than speech alone on the 1000 utterances with input for both:"
    )
    assert "p < 0.001" in sentences[0]
    same = comparison_sentences(evaluate(made_up((("text", 1.0), ("fused", 1.0))), replicates=200))
    assert same == [
        "fused is not significantly different from text alone on the 500 utterances with input for both: "
        "UAR +0.0 [+0.0, +0.0], p = 1.000, weighted F1 +0.0 [+0.0, +0.0], p = 1.000 (95 % intervals); "
        "it alone is right on 0, the other alone on 0, McNemar p = 1.000."
    ]
    worse = comparison_sentences(evaluate(made_up((("text", 2.0), ("fused", 0.5)), each=40), replicates=200))
    assert worse[0].startswith("fused is significantly worse than text alone")


def test_what_cannot_be_told_is_a_dash_or_left_out(by_hand):
    text = describe(evaluate(replace(by_hand, clusters=("Ann",) * 6), replicates=100))
    assert "66.7  " in text
    assert "nan" not in text.lower()
    assert "None" not in text
    assert "not comparable with speech alone" in text
    assert "- There is only one speaker, so there are no intervals." in text.splitlines()


def test_markdown_has_whole_tables_and_escapes_what_would_break_them(by_hand):
    predictions = replace(by_hand, emotions=("an|ger", "<b>", "joy"))
    text = describe_markdown(evaluate(predictions, replicates=100, title="a *b*", notes=["c_d"]))
    assert text.startswith("# a \\*b\\*\n\n6 utterances of 2 speakers (an\\|ger 2, \\<b> 2, joy 2)")
    assert "| an\\|ger | 2 | 50.0 | 100.0 | 50.0 |" in text
    assert "## Notes\n\n- c\\_d" in text
    rows = [line.replace("\\|", "") for line in text.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows[:5]} == {14}
    assert {row.count("|") for row in rows[5:]} == {6}


def test_a_caveat_is_the_first_line(made_up):
    report = replace(evaluate(made_up(), replicates=100, title="mine"), caveat="WARNING: seen before")
    assert describe(report).splitlines()[0] == "WARNING: seen before"
    assert describe_markdown(report).splitlines()[0] == "**WARNING: seen before**"
    assert describe(replace(report, caveat="")).splitlines()[0] == "mine"
