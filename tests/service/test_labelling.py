"""The labelling page in a real browser and its routes: a rater at work, a browser closed, a server killed."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bimodal.labelling.store import Store

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
SECONDS = 25_000
expect.set_options(timeout=SECONDS)


@pytest.fixture
def folder(corpus_data, tmp_path) -> Path:
    """Thirty recordings of EmoDB."""
    found = tmp_path / "speech"
    found.mkdir()
    for file in sorted((corpus_data / "emodb" / "audio").glob("03*.flac"))[:30]:
        shutil.copy(file, found / file.name)
    return found


@contextmanager
def labelling(folder: Path, *arguments: str, port: int = 0) -> Iterator[tuple[str, subprocess.Popen]]:
    """`bimodal label` until the block ends; its address and process."""
    log = folder.parent / "label.log"
    command = [sys.executable, "-m", "bimodal", "label", str(folder), "--port", str(port), "--quiet", *arguments]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stderr=stream, stdout=stream, env=os.environ | {"OMP_NUM_THREADS": "1"})
    try:
        for _ in range(600):
            if found := re.search(r"page: (\S+)", log.read_text()):
                break
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        yield found[1], process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert "Traceback" not in log.read_text(), log.read_text()


@pytest.fixture(scope="module")
def browser(chromium) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        running = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield running
        running.close()


def enter(page: Page, url: str, rater: str) -> None:
    page.goto(url)
    page.get_by_label("Your name").fill(rater)
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#clip")).to_be_visible()


def labels_of(folder: Path, rater: str) -> dict:
    return dict(Store(folder / "bimodal-labels").labels_of(rater))


def test_a_rater_labels_by_keys_and_the_next_clip_is_there_within_100_ms(folder, browser):
    with labelling(folder) as (url, _):
        page = browser.new_page()
        wrong = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("request", lambda asked: None if asked.url.startswith((url, "blob:")) else wrong.append(asked.url))
        enter(page, url, "Anna")
        page.evaluate("window.times = []; addEventListener('labelled', e => times.push(e.detail.ms), true)")
        page.evaluate("document.addEventListener('labelled', e => window.times.push(e.detail.ms))")
        for number in range(12):
            page.keyboard.press("r")
            page.keyboard.press(str(1 + number % 7))
            page.wait_for_timeout(250)
        page.keyboard.press("n")
        page.keyboard.type("laughs")
        page.keyboard.press("Enter")
        page.keyboard.press("o")
        page.keyboard.press("0")
        expect(page.locator("#saved")).to_have_text("stored")
        times = page.evaluate("window.times")
        assert len(times) >= 14 and sorted(times)[len(times) // 2] < 100
        given = list(labels_of(folder, "anna").values())
        assert [one.answer for one in given[:7]] == [
            "anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise",
        ]  # fmt: skip
        assert {one.intensity for one in given[:12]} == {4}
        assert [(one.answer, one.note) for one in given[12:]] == [("other", "laughs"), ("unsure", "")]
        page.keyboard.press("z")
        expect(page.locator("#answers .chosen")).to_have_text(re.compile("can't tell"))
        expect(page.locator("#count")).to_contain_text("13 labelled by you")
        assert len(labels_of(folder, "anna")) == 13
        assert page.locator("#name").text_content() == ""  # a file name may tell the answer
        assert page.locator("#guess").is_hidden()
        assert wrong == []
        page.close()


def test_a_browser_that_is_closed_continues_where_it_was(folder, browser):
    with labelling(folder) as (url, _):
        page = browser.new_page()
        enter(page, url, "Anna")
        page.keyboard.press("1")
        expect(page.locator("#saved")).to_have_text("stored")
        page.close()
        again = browser.new_page()
        enter(again, url, "Anna")
        expect(again.locator("#count")).to_contain_text("1 labelled by you")
        for _ in range(29):
            again.keyboard.press("2")
            again.wait_for_timeout(120)
        expect(again.locator("#done")).to_be_visible()
        assert len(labels_of(folder, "anna")) == 30
        again.close()


def test_labels_wait_in_the_browser_while_the_server_is_killed(folder, browser):
    context = browser.new_context()
    page = context.new_page()
    with labelling(folder) as (url, process):
        port = int(url.rstrip("/").rpartition(":")[2])
        enter(page, url, "Anna")
        page.keyboard.press("1")
        expect(page.locator("#saved")).to_have_text("stored")
        process.kill()
        process.wait(30)
        page.keyboard.press("2")
        expect(page.locator("#saved")).to_contain_text("1 not stored yet")
    with labelling(folder, port=port) as (url, _):
        expect(page.locator("#saved")).to_have_text("stored")
        assert sorted(one.answer for one in labels_of(folder, "anna").values()) == ["anger", "disgust"]
    context.close()


def test_a_recording_that_vanishes_is_passed_over_on_the_page(folder, browser):
    with labelling(folder) as (url, _):
        for file in sorted(folder.glob("*.flac"))[:28]:
            file.unlink()
        page = browser.new_page()
        enter(page, url, "Anna")
        page.keyboard.press("1")
        page.keyboard.press("1")
        expect(page.locator("#done")).to_be_visible()
        expect(page.locator("#problems-title")).to_have_text("28 problems")
        page.close()


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible_and_fits_any_width(folder, browser, width, scheme):
    with labelling(folder, "--show-guess") as (url, _):
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
        page = context.new_page()
        page.goto(url)
        assert Axe().run(page).response["violations"] == []
        enter(page, url, "Anna")
        page.keyboard.press("1")
        page.locator(".keys summary").click()
        assert Axe().run(page).response["violations"] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        context.close()


def test_the_model_is_written_from_the_page(folder, browser):
    with labelling(folder, "--emotions", "anger,happiness,neutral,sadness") as (url, _):
        page = browser.new_page()
        enter(page, url, "Anna")
        for number in range(16):
            page.keyboard.press(str(1 + number % 4))
            page.wait_for_timeout(100)
        expect(page.locator("#advice")).to_contain_text("No figure: the folder has 7 test clips")
        expect(page.locator("#model")).to_be_enabled()
        page.locator("#model").click()
        expect(page.locator("#model-told")).to_contain_text("bimodal recognize RECORDING -m")
        assert (folder / "bimodal-labels" / "model-1" / "config.json").is_file()
        page.close()


@pytest.fixture(scope="module")
def asked(corpus_data, tmp_path_factory) -> Iterator[httpx.Client]:
    """A running server with ten recordings."""
    found = tmp_path_factory.mktemp("asked") / "speech"
    found.mkdir()
    for file in sorted((corpus_data / "emodb" / "audio").glob("08*.flac"))[:10]:
        shutil.copy(file, found / file.name)
    with labelling(found) as (url, _), httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        yield client


BODY = {"rater": "anna", "clip": "x", "answer": "anger"}


@pytest.mark.parametrize(
    ("method", "path", "body", "told"),
    [
        ("POST", "labels", BODY, "no clip 'x'"),
        ("POST", "labels", {**BODY, "rater": "../x"}, "no clip|rater's name"),
        ("POST", "labels", {**BODY, "more": 1}, "more"),
        ("POST", "labels", {"rater": "anna"}, "clip"),
        ("POST", "labels", {**BODY, "intensity": "3"}, "intensity"),
        ("POST", "labels", [], "dictionary|object"),
        ("POST", "undo", {"rater": ""}, "rater's name"),
        ("GET", "next?rater=", None, "rater's name"),
        ("GET", "next?rater=a&count=99", None, "count"),
        ("GET", "audio?clip=../../etc/passwd", None, "no clip"),
        ("GET", "status?rater=%2F", None, "rater's name"),
        ("POST", "model", None, "labelled|encoded"),
    ],
)
def test_bad_requests_get_one_sentence(asked, method, path, body, told):
    answer = asked.request(method, f"v1/label/{path}", json=body)
    assert answer.status_code == 422
    assert re.search(told, answer.json()["detail"])
    assert "Traceback" not in answer.text


def test_a_label_outside_the_vocabulary_is_refused_and_nothing_is_stored(asked):
    clip = asked.get("v1/label/next", params={"rater": "carl"}).json()["clips"][0]["id"]
    answer = asked.post("v1/label/labels", json={"rater": "carl", "clip": clip, "answer": "joyful"})
    assert answer.status_code == 422
    assert "'joyful' is outside the vocabulary" in answer.json()["detail"]
    assert "carl" not in asked.get("v1/label/session").json()["raters"]


def test_sound_and_waveform_are_those_of_the_clip(asked):
    clip = asked.get("v1/label/next", params={"rater": "dora"}).json()["clips"][0]
    sound = asked.get("v1/label/audio", params={"clip": clip["id"]})
    assert sound.headers["content-type"] == "audio/wav"
    assert sound.content[:4] == b"RIFF"
    assert 200 <= len(clip["peaks"]) <= 800
    assert abs(len(sound.content) / 32_000 - clip["seconds"]) < 0.01
    assert "guess" not in clip


def test_pages_of_other_sites_may_not_label(asked):
    answer = asked.post("v1/label/labels", json=BODY, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert json.loads(answer.text)["title"]
