"""The page as people open it: complete, closed, readable by all."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from bimodal.evaluation.html.material import ReportSources
from bimodal.evaluation.html.page import SECTIONS, build_page
from bimodal.evaluation.report import evaluate

HOSTILE = "</style></title><script>alert(1)</script><img src=x onerror=alert(1)>\"'{{ 7*7 }}&\u202e\x1b[31m"


def page_of(predictions, folder, sources=None, title="corpus"):
    report = evaluate(predictions, replicates=50, title=title)
    return build_page(report, predictions, sources or ReportSources(), folder)


def test_headline_comes_first_then_alerts_then_the_sections_in_order(scored, tmp_path, outline):
    page = page_of(scored(), tmp_path)
    text = page.decode()
    shown = [name for name in SECTIONS if f'<section id="{name}"' in text]
    places = [text.index(f'id="{name}"') for name in ("main", "alerts", *shown, "left-out")]
    assert places == sorted(places)
    assert shown == [
        "figures",
        "confusions",
        "recalls",
        "reliability",
        "coverage",
        "mistakes",
        "conflicts",
        "data",
        "run",
    ]
    read = outline(page)
    assert read.tags.count("h1") == read.tags.count("main") == 1
    assert set(re.findall(r'href="#([\w-]+)"', text)) <= set(read.values("id"))
    assert len(read.values("id")) == len(set(read.values("id")))


def test_what_is_left_out_is_said_with_the_reason(scored, tmp_path):
    text = page_of(scored(), tmp_path).decode()
    left_out = text[text.index('id="left-out"') :]
    for title, _ in (SECTIONS[name] for name in ("robustness", "training", "embedding", "gate")):
        assert f"<dt>{title}</dt>" in left_out
    assert "bimodal test" in left_out


def test_the_page_holds_no_address_no_script_and_no_style_of_an_element(scored, recorded, tmp_path, outline):
    predictions = scored(rows=60)
    page = page_of(predictions, tmp_path, recorded(predictions))
    read = outline(page)
    assert "script" not in read.tags
    assert not read.values("style")
    assert not [name for _, name, _ in read.attributes if name.startswith("on")]
    loaded = [value for name in ("src", "href", "xlink:href", "srcset", "action") for value in read.values(name)]
    assert {value.split(",")[0][:20] for value in loaded if not value.startswith("#")} == {"data:audio/mpeg;base"}
    assert set(re.findall(r"https?://[^\s\"'<]+", page.decode())) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "url(" not in page.decode().split("</style>")[0]


def test_titles_speakers_words_and_emotions_of_strangers_stay_text(scored, tmp_path, outline):
    many = (HOSTILE,) * 60
    predictions = scored(rows=60, emotions=("anger", HOSTILE, "$\\frac{1}$"), transcript=many, speaker=many)
    predictions = replace(predictions, ids=tuple(f"{HOSTILE}{row}" for row in range(60)), clusters=many)
    page = page_of(predictions, tmp_path, title=HOSTILE)
    read = outline(page)
    assert not {"script", "img"} & set(read.tags)
    assert "<script" not in page.decode()
    assert "49" not in "".join(read.text).split("alert(1)")[1][:40]
    assert "\x1b" not in page.decode()
    assert "\u202e" not in page.decode()


def test_sensitive_data_leave_no_sound_and_no_words(scored, recorded, tmp_path):
    predictions = scored(rows=60)
    sources = replace(recorded(predictions), sound=False)
    text = page_of(predictions, tmp_path, sources).decode()
    assert "data:audio" not in text
    assert "Sentence number" not in text
    assert "--no-audio" in text


@pytest.mark.parametrize("rows", [1, 2, 9])
def test_a_few_utterances_of_one_speaker_give_a_page_that_says_so(scored, tmp_path, rows):
    text = page_of(scored(rows=rows, speakers=1), tmp_path).decode()
    assert f"Only {rows} utterance" in text
    assert "no interval: there is only one speaker" in text


def test_fifty_emotions_and_names_of_ten_thousand_characters_stay_small(scored, tmp_path):
    emotions = [f"{number}{'x' * 10_000}" for number in range(50)]
    predictions = scored(rows=200, emotions=emotions, speaker=("y" * 10_000,) * 200)
    page = page_of(predictions, tmp_path, title="t" * 10_000)
    assert len(page) < 3_000_000
    assert b"x" * 700 not in page
    assert b"There are 50 emotions" in page


def test_surrogates_and_one_system_alone_are_written_as_utf_8(scored, tmp_path):
    predictions = scored(rows=40, signals={"text": 1.0}, transcript=("\udcff broken",) * 40)
    page = page_of(predictions, tmp_path)
    assert "Only one of speech and text has answers" in page.decode()


def test_2600_clips_give_less_than_15_mb(scored, recorded, tmp_path):
    predictions = scored(rows=2600, emotions=("anger", "disgust", "fear", "joy", "sadness", "surprise", "neutral"))
    page = page_of(predictions, tmp_path, recorded(predictions, 2600))
    assert page.count(b"data:audio/mpeg") > 20
    assert len(page) < 15_000_000


def test_utterances_without_an_answer_are_no_mistakes(scored, tmp_path):
    predictions = scored(rows=60)
    scores = {name: values.copy() for name, values in predictions.scores.items()}
    for values in scores.values():
        values[:10] = np.nan
    text = page_of(replace(predictions, scores=scores), tmp_path).decode()
    assert "u5" not in re.findall(r'class="hint">(u\d+)', text)


def test_axe_and_the_console_of_a_browser_find_nothing(scored, recorded, tmp_path, written, chromium):
    pytest.importorskip("playwright.sync_api")
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    predictions = scored(rows=120, transcript=("Dogs are sitting by the door.",) * 120)
    tests = {"title": "/a" * 40, "system": "fused", "outcomes": {"fused": []}, "random": {}}
    (tmp_path / "tests.json").write_text(json.dumps(tests))
    file = written(page_of(predictions, tmp_path, recorded(predictions)))
    wrong: list[str] = []
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for width, scheme in ((360, "dark"), (768, "light"), (1440, "dark")):
            context = running.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
            page = context.new_page()
            page.on("console", lambda message: wrong.append(message.text))
            page.on(
                "request", lambda asked: None if asked.url.startswith(("file:", "data:")) else wrong.append(asked.url)
            )
            page.goto(file.as_uri())
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
            assert page.evaluate("document.querySelector('audio').play().then(() => true)")
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.textContent") == "Skip to the figures"
        running.close()
    assert wrong == []
