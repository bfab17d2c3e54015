"""Markdown that other programs read as tables and lists."""

from markdown import markdown

from bimodal.evaluation.markdown import escaped, listed, markdown_table


def test_a_table_reads_back_with_its_cells_and_sides():
    text = markdown_table(["a", "b", "c"], [["x", escaped("y|*z*"), "1"]], names=2)
    page = markdown(text, extensions=["tables"])
    assert "<td>x</td>" in page and "<em>" not in page
    assert page.count("text-align: right") == 2


def test_a_list_without_sentences_is_empty():
    assert listed("Notes:", []) == ""
    assert markdown(listed("Notes:\n", ["One."])).count("<li>") == 1
