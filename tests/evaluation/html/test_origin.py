"""Where the figures come from."""

from dataclasses import replace

from bimodal.data.manifest import open_manifest, write_manifest
from bimodal.evaluation.html.material import ReportSources
from bimodal.evaluation.html.origin import data_section, page_title, run_section
from bimodal.files import file_digest
from bimodal.records import Utterance


def cells(section):
    tables = [block for block in section.blocks if block.kind == "table"]
    return {row[0].text: row[1].text for table in tables for row in table.rows}


def manifest_in(folder, **extra):
    folder.mkdir()
    rows = [Utterance(id="a", transcript="Yes.", emotion="joy", split="test", extra=extra)]
    write_manifest(folder / "manifest.csv", rows)
    return open_manifest(folder / "manifest.csv")


def test_data_have_a_digest_counts_and_the_licence_that_the_rows_name(scored, material, tmp_path):
    read = manifest_in(tmp_path / "calls", licence="CC0")
    found = material(scored(), ReportSources(manifest=read))
    told = cells(data_section(found))
    assert told["licence of the data"] == "CC0"
    assert file_digest(read.path).startswith(told["SHA-256"])
    assert told["anger"] == "100"
    assert page_title(found) == "Evaluation on calls"


def test_the_licence_of_a_known_corpus_is_found_and_that_of_another_is_unknown(scored, material, tmp_path):
    for name, expected in (("ravdess", "CC BY-NC-SA"), ("calls", "unknown")):
        told = cells(data_section(material(scored(), ReportSources(manifest=manifest_in(tmp_path / name)))))
        assert told["licence of the data"].startswith(expected), name


def test_a_manifest_that_is_gone_and_a_damaged_model_do_no_harm(scored, material, tmp_path):
    read = manifest_in(tmp_path / "calls")
    read.path.unlink()
    (tmp_path / "config.json").write_text("{")
    told = cells(data_section(material(scored(), ReportSources(manifest=read, model=tmp_path))))
    assert "cannot be read" in told["SHA-256"]


def test_command_seed_versions_and_notes_are_told(scored, material):
    found = material(scored(), ReportSources(command="bimodal evaluate 'a b.csv'"), notes=("a note",))
    section = run_section(replace(found))
    assert section.blocks[0].text == "bimodal evaluate 'a b.csv'"
    assert list(section.blocks[1].sentences) == ["a note"]
    assert {"Python", "numpy", "date", "seed of the intervals"} <= set(cells(section))
