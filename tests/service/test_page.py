"""The page in a real browser, with a microphone that plays a clip: what a person does, sees and cannot break."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from bimodal.audio.decode import load_signal
from bimodal.errors import MESSAGES
from bimodal.service.page import LANGUAGES
from bimodal.service.problems import TITLES

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

STATIC = Path(__file__).parents[2] / "src" / "bimodal" / "service" / "static"
SECONDS = 25_000
expect.set_options(timeout=SECONDS)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory) -> Path:
    """What the microphone hears, again and again: a sample of the page as WAV."""
    path = tmp_path_factory.mktemp("microphone") / "spoken.wav"
    soundfile.write(path, load_signal(STATIC / "samples" / "diary.mp3"), 16_000, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def browser(spoken, chromium) -> Iterator[Browser]:
    arguments = [
        "--no-sandbox",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={spoken}",
        "--autoplay-policy=no-user-gesture-required",
    ]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield running
        running.close()


@pytest.fixture
def context(browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(permissions=["microphone"], color_scheme="light")
    opened.set_default_timeout(SECONDS)
    yield opened
    opened.close()


@pytest.fixture
def page(context, served) -> Iterator[Page]:
    """The page, ready; nothing may go wrong on its console, and nothing is asked of other hosts."""
    yield from opened_page(context, served.url)


def opened_page(context: BrowserContext, url: str, address: str = "") -> Iterator[Page]:
    wrong: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("request", lambda asked: None if asked.url.startswith((url, "blob:", "data:")) else wrong.append(asked.url))
    page.goto(f"{url}{address}")
    expect(page.locator("#samples button")).to_have_count(5)
    yield page
    assert wrong == []


def speak(page: Page, until: Callable[[], None]) -> None:
    page.get_by_role("button", name="Start speaking").click()
    expect(page.locator("#record-state")).to_have_text("Listening")
    until()
    page.get_by_role("button", name="Stop").click()


def drop(page: Page, sample: str) -> None:
    """Drop a recording on the page as a person does."""
    data = page.evaluate_handle(
        """async (name) => {
            const data = new DataTransfer();
            data.items.add(new File([await (await fetch(`static/samples/${name}`)).blob()], name));
            return data;
        }""",
        sample,
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": data})


def test_speaking_shows_level_emotions_and_an_answer_that_stays(page):
    def until():
        expect(page.locator("#answer-of")).to_have_text("live")
        assert page.locator("#live").bounding_box()["height"] > 80
        assert (
            float(page.locator("#level").get_attribute("value") or page.locator("#level").evaluate("e => e.value")) >= 0
        )

    speak(page, until)
    expect(page.locator("#answer-of")).to_have_text("whole recording")
    expect(page.locator("#headline")).to_contain_text("%")
    assert page.locator("#rows li").count() >= 1
    assert painted(page, "#band") > 0.02


def painted(page: Page, selector: str) -> float:
    """Share of a canvas that is not empty."""
    return page.locator(selector).evaluate(
        """canvas => {
            const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            let count = 0;
            for (let at = 3; at < data.length; at += 4) count += data[at] > 0;
            return count / (data.length / 4);
        }"""
    )


def test_a_dropped_recording_is_shown_over_time_and_chosen_from(page):
    drop(page, "diary.mp3")
    expect(page.locator("#formats button")).to_have_count(10)
    assert page.locator("#rows li").count() >= 4
    page.locator("#rows button").nth(1).click()
    expect(page.locator("#answer-of")).to_contain_text("to")
    expect(page.locator("#rows li").nth(1)).to_have_class(re.compile("chosen"))
    before = painted(page, "#band")
    for _ in range(8):
        page.locator("#zoom-in").click()
    page.wait_for_function("() => document.querySelector('#axis').textContent.includes('.5')")
    assert before > 0.2
    page.locator("#band").focus()
    page.keyboard.press("End")
    expect(page.locator("#rows li").last).to_have_class(re.compile("chosen"))


@pytest.fixture
def talk(page) -> Page:
    """The page with a minute of two voices, one on each channel."""
    page.get_by_role("button", name="Two voices, one minute").click()
    expect(page.locator("#formats button")).to_have_count(10)
    return page


def test_a_long_recording_is_shown_as_a_whole_first(talk):
    expect(talk.locator("#answer-of")).to_have_text("whole recording")
    expect(talk.locator("#whole-headline")).to_contain_text("of the speech")
    expect(talk.locator("#whole-shares .share")).to_have_count(3)  # all, and each of two
    expect(talk.locator("#stereo")).to_be_checked()
    shown = talk.locator("#whole-shares .share").first.locator(".share-words span:not(.swatch)").all_inner_texts()
    shares = [int(re.search(r"(\d+) %", text)[1]) for text in shown]
    assert shares == sorted(shares, reverse=True) and sum(shares) == pytest.approx(100, abs=3)
    expect(talk.locator("#words")).to_be_disabled()
    talk.locator("#rows button").nth(1).click()
    expect(talk.locator("#answer-of")).to_contain_text(" to ")
    expect(talk.locator("#whole")).to_be_hidden()
    expect(talk.locator("#words")).to_be_enabled()
    talk.get_by_role("button", name="Back to the whole recording").click()
    expect(talk.locator("#whole-headline")).to_be_visible()


def test_names_of_speakers_are_shown_everywhere_and_exported(talk):
    talk.get_by_label("Name of Speaker 1").fill("Ann")
    expect(talk.locator("#whole-shares strong").nth(1)).to_have_text("Ann")
    expect(talk.locator("#rows .who").first).to_have_text("Ann")
    with talk.expect_download() as waiting:
        talk.locator("#formats").get_by_text("CSV", exact=True).click()
    rows = csv.DictReader(io.StringIO(Path(waiting.value.path()).read_text()))
    assert {row["speaker"] for row in rows} == {"Ann", "Speaker 2"}


def test_emotions_filter_the_segments(talk):
    whole = talk.locator("#rows li:visible").count()
    first = talk.locator("#rows .claim").first.inner_text().split()[0]
    talk.locator("#legend").get_by_text(first).click()
    expect(talk.locator("#found")).to_contain_text(f"of {whole} segments")
    left = talk.locator("#rows li:visible").all_inner_texts()
    assert 0 < len(left) <= whole and all(first in text for text in left)
    talk.get_by_role("button", name="Show all").click()
    expect(talk.locator("#rows li:visible")).to_have_count(whole)


def test_keys_and_wheel_zoom_the_timeline(talk):
    marks = "document.querySelector('#axis').textContent"
    whole = talk.evaluate(marks)
    talk.locator("#band").focus()
    for _ in range(5):
        talk.keyboard.press("+")
    near = talk.evaluate(marks)
    talk.keyboard.press("Shift+ArrowRight")
    assert len({whole, near, talk.evaluate(marks)}) == 3
    talk.keyboard.press("Home")
    assert talk.evaluate(marks) == whole
    talk.locator("#band").hover()
    talk.keyboard.down("Control")
    talk.mouse.wheel(0, -500)
    talk.keyboard.up("Control")
    talk.wait_for_function(f"before => {marks} !== before", arg=whole)


def test_a_pointer_on_the_timeline_shows_time_and_scores(talk):
    talk.locator("#rows button").first.click()
    talk.locator("#play").click()  # pause
    box = talk.locator("#band").bounding_box()
    talk.mouse.move(box["x"] + 0.03 * box["width"], box["y"] + 0.4 * box["height"])
    expect(talk.locator("#tip")).to_contain_text(re.compile(r"0:0\d\.\d – 0:0\d\.\d · Speaker 1.* %"))


def test_the_list_follows_what_is_heard(talk):
    talk.locator("#play").click()
    expect(talk.locator("#rows li.heard").first).to_be_visible()
    assert talk.locator("#rows li.heard time").first.inner_text() <= talk.locator("#clock").inner_text()


def send_words(page, words):
    """Give the words of stretches beside each recording that the page sends."""
    page.evaluate(
        """(words) => {
            const send = FormData.prototype.append;
            FormData.prototype.append = function (name, ...rest) {
                if (name === "audio") send.call(this, "words", JSON.stringify(words));
                return send.call(this, name, ...rest);
            };
        }""",
        words,
    )


def test_words_are_searched_and_marked(page):
    words = [
        {"start": 0.0, "end": 3.4, "transcript": "Good morning to you"},
        {"start": 6.0, "end": 9.0, "transcript": "And an evening"},
    ]
    send_words(page, words)
    page.get_by_role("button", name="Two voices, one minute").click()
    expect(page.locator("#formats button")).to_have_count(10)
    page.locator("#search").fill("MORNING")
    expect(page.locator("#rows li:visible mark").first).to_have_text("morning")
    page.locator("#search").fill("nothing like it")
    expect(page.locator("#found")).to_contain_text("No segment matches")


def test_long_words_of_a_moment_stay_on_the_page(page):
    said = "I told you three times to stop, and you never listened to a word of what I said to you. " * 2
    send_words(page, [{"start": 0.0, "end": 70.0, "transcript": said}])
    page.get_by_role("button", name="Two voices, one minute").click()
    expect(page.locator("#formats button")).to_have_count(10)
    expect(page.locator("#whole-moments q").first).to_be_visible()
    for width in (1280, 700, 360):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("#whole-moments q").first.bounding_box()["width"] > 100


def test_segments_that_come_before_the_duration_are_listed_once(page):
    def results_first(route):
        answered = route.fetch()
        blocks = [block for block in re.split(r"(?:\r?\n){2}", answered.text()) if block.strip()]
        blocks.sort(key=lambda block: "event: result" not in block)
        assert "event: result" in blocks[0]
        route.fulfill(response=answered, body="".join(f"{block}\n\n" for block in blocks))

    page.route("**/events", results_first)
    page.locator("#samples button").first.click()
    expect(page.locator("#formats button")).to_have_count(10)
    told = int(re.search(r"(\d+) segments?", page.locator("#timeline").inner_text())[1])
    expect(page.locator("#rows li")).to_have_count(told)
    page.unroute("**/events")


def test_playing_moves_on(page):
    page.locator("#samples button").first.click()
    expect(page.locator("#formats button")).to_have_count(10)
    page.locator("#play").click()
    expect(page.locator("#play")).to_have_text("Pause")
    expect(page.locator("#clock")).not_to_have_text(re.compile(r"^0:00\.0"))


def test_words_change_the_answer_at_once_and_conflict_is_explained(page, recording):
    page.locator("#words").fill("I miss him every day. I feel so alone.")
    expect(page.locator("#headline")).to_contain_text("sadness")
    expect(page.locator("#explain")).to_contain_text("From the words only")
    page.locator("#words").fill("What a lovely day! I am so glad you came.")
    expect(page.locator("#headline")).to_contain_text("happiness")
    page.locator("#file").set_input_files(recording)
    expect(page.locator("#gate")).to_be_visible()
    shown = page.locator("#explain")
    expect(shown).to_contain_text("The voice alone would give anger")
    expect(shown).to_contain_text("the words alone happiness")
    share = page.locator("#gate-voice").evaluate("e => e.getBoundingClientRect().width / e.parentElement.clientWidth")
    told = int(re.search(r"(\d+) %", page.locator("#gate-voice-text").inner_text())[1]) / 100
    assert share == pytest.approx(told, abs=0.02)
    page.locator("#words").fill("Stop that at once!")
    expect(shown).to_have_text("Voice and words agree on anger.")
    assert len(page.locator("#scores tr").first.locator(".fill").all()) == 3


def test_the_answer_has_its_prediction_set_and_its_place(page, recording):
    page.fill("#words", "I miss him every day.")
    expect(page.locator("#headline")).to_contain_text("sadness")
    expect(page.locator("#among")).to_contain_text("With 90 % coverage: sadness")
    expect(page.locator("#dimensions")).to_contain_text("valence −0.")


def test_why_this_answer_is_told_when_somebody_asks(page, recording):
    page.locator("#words").fill("Stop that at once!")
    page.locator("#file").set_input_files(recording)
    expect(page.locator("#explain")).to_contain_text("agree on anger")
    page.locator("#why summary").click()
    expect(page.locator("#why-words span")).to_have_text(["Stop", "that", "at", "once!"])
    assert page.locator("#why-sentences li").count() >= 1
    page.locator("#words").fill("Stop that")
    expect(page.locator("#why")).not_to_have_attribute("open", "")


def test_abstention_is_shown_as_such(page, tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(32_000), 16_000)
    page.locator("#file").set_input_files(tmp_path / "silence.wav")
    expect(page.locator("#headline")).to_have_text("No result")
    expect(page.locator("#explain")).to_have_text("The recording is silent.")
    expect(page.locator("#scores-table")).to_be_hidden()
    expect(page.locator("#timeline-summary")).to_have_text("no speech was found")


def test_results_are_exported_in_every_format(page, spoken):
    page.locator("#file").set_input_files(spoken)
    expect(page.locator("#formats button")).to_have_count(10)
    written = {}
    for name in ("JSON Lines", "JSON", "CSV", "WebVTT", "SRT", "TextGrid", "RTTM", "EmotionML"):
        with page.expect_download() as waiting:
            page.locator("#formats").get_by_text(name, exact=True).click()
        written[name] = Path(waiting.value.path()).read_text()
        assert waiting.value.suggested_filename.startswith("spoken.")
    rows = len([json.loads(line) for line in written["JSON Lines"].splitlines()])
    expect(page.locator("#rows li")).to_have_count(rows)
    assert len(list(csv.DictReader(io.StringIO(written["CSV"])))) == rows
    assert written["WebVTT"].startswith("WEBVTT") and "-->" in written["SRT"] and "<emotion" in written["EmotionML"]


def test_a_file_that_is_no_recording_is_told_in_one_sentence(page, tmp_path):
    (tmp_path / "notes.wav").write_text("these are no samples")
    page.locator("#file").set_input_files(tmp_path / "notes.wav")
    expect(page.get_by_role("alert")).to_contain_text(
        "notes.wav: This is no recording that can be decoded. Choose a rec"
    )
    page.get_by_role("button", name="Close this message").click()
    expect(page.locator("#alert")).to_be_empty()


def test_a_refused_microphone_is_explained(browser, served):
    context = browser.new_context()  # without the permission
    for page in opened_page(context, served.url):
        page.get_by_role("button", name="Start speaking").click()
        expect(page.get_by_role("alert")).to_contain_text("not allowed to use the microphone")
        expect(page.get_by_role("button", name="Start speaking")).to_be_enabled()
    context.close()


def test_a_lost_connection_keeps_what_was_judged(context, tiny_model, serve):
    page = context.new_page()
    with serve(tiny_model) as running:
        page.goto(running.url)
        expect(page.locator("#samples button")).to_have_count(5)
        page.get_by_role("button", name="Start speaking").click()
        expect(page.locator("#answer-of")).to_have_text("live")
        page.wait_for_timeout(3000)
        running.process.kill()
        expect(page.get_by_role("alert")).to_contain_text("The connection was lost")
        expect(page.get_by_role("button", name="Analyse the recording again")).to_be_visible()
        expect(page.get_by_role("button", name="Start speaking")).to_be_enabled()
        expect(page.locator("#timeline")).to_be_visible()
        page.locator("#words").fill("Hello")
        expect(page.get_by_role("alert")).to_contain_text("cannot be reached")


def test_a_token_is_taken_from_the_address_or_asked_for(context, tiny_model, serve):
    with serve(tiny_model, "--token", "secret") as running:
        page = context.new_page()
        page.goto(running.url)
        page.locator("#token").fill("secret")
        page.get_by_role("button", name="Continue").click()
        expect(page.locator("#samples button")).to_have_count(5)
        other = context.new_page()
        other.goto(f"{running.url}#token=secret")
        expect(other.locator("#samples button")).to_have_count(5)
        assert "secret" not in other.url
        speak(other, lambda: expect(other.locator("#answer-of")).to_have_text("live"))
        expect(other.locator("#answer-of")).to_have_text("whole recording")


def test_words_are_heard_shown_with_confidence_and_corrected(context, tiny_model, serve, asr_model):
    with serve(tiny_model, "--asr", str(asr_model)) as running:
        with running.client() as http:
            sample = (STATIC / "samples" / "cross.mp3").read_bytes()
            heard = http.post("/v1/recognize", files={"audio": ("a.mp3", sample)}, data={"transcribe": "true"}).json()
        assert "three times to stop" in heard["transcript"].lower()  # the last word differs between processors
        assert heard["transcript_source"] == "asr"
        assert 0 < heard["transcript_confidence"] <= 1 and heard["transcript_language"] == "en"
        for page in opened_page(context, running.url):
            sample = context.request.get(f"{running.url}static/samples/cross.mp3").body()
            page.locator("#file").set_input_files({"name": "a.mp3", "mimeType": "audio/mpeg", "buffer": sample})
            expect(page.locator("#words")).to_have_value(re.compile("three times to stop", re.IGNORECASE))
            expect(page.locator("#words-hint")).to_contain_text("% confidence")
            expect(page.locator("#transcribe")).to_be_visible()
            page.locator("#words").fill("What a lovely day!")
            expect(page.locator("#words-hint")).to_contain_text("The result updates")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
def test_people_with_disabilities_can_use_it(browser, served, recording, scheme, width):
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True)
    for page in opened_page(context, served.url):
        page.locator(".law summary").click()
        page.locator("#words").fill("What a lovely day! I am so glad you came.")
        page.locator("#file").set_input_files(recording)
        expect(page.locator("#explain")).to_contain_text("Voice and words differ")
        expect(page.locator("#formats button")).to_have_count(10)
        found = Axe().run(page).response["violations"]
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_everything_is_reached_with_the_keyboard_alone(page, recording):
    page.locator("#file").set_input_files(recording)
    expect(page.locator("#formats button")).to_have_count(10)
    reached = set()
    page.locator("body").click(position={"x": 1, "y": 1})
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    assert {
        "theme",
        "language",
        "record",
        "file",
        "stereo",
        "words",
        "clear",
        "play",
        "zoom-in",
        "band",
        "WebVTT",
    } <= reached


def test_colours_follow_the_system_and_the_person(page):
    background = "getComputedStyle(document.body.parentElement).backgroundColor"
    whole, light = page.locator("html"), page.evaluate(background)
    page.emulate_media(color_scheme="dark")
    expect(whole).to_have_attribute("data-theme", "dark")
    assert page.evaluate(background) != light
    page.locator("#theme").click()
    expect(whole).to_have_attribute("data-theme", "light")
    assert page.evaluate(background) == light
    page.reload()
    expect(whole).to_have_attribute("data-theme", "light")


def test_the_page_is_small():
    """`benchmarks.serve` measures the first paint."""
    files = [file for file in STATIC.rglob("*") if file.is_file()]
    labelling = [file for file in files if file.parent.name == "label"]  # a page of its own
    assert sum(file.stat().st_size for file in labelling) < 50_000
    assert sum(file.stat().st_size for file in files if file not in labelling) < 500_000


def test_texts_stand_in_files_of_their_own():
    html = (STATIC / "index.html").read_text()
    keys = re.findall(r'data-text="(\w+)"', html)
    for language in LANGUAGES:
        texts = (STATIC / "texts" / f"{language}.js").read_text()
        assert keys and all(re.search(rf"\b{key}:", texts) for key in keys)
    for script in STATIC.glob("*.js"):
        assert not re.search(r'textContent = "[A-Za-z]{3}', script.read_text()), script.name


@pytest.fixture(scope="module")
def texts(browser, served) -> dict[str, dict]:
    """The texts of each language; true stands for a text that is made of values."""
    page = browser.new_page()
    page.goto(served.url)
    read = """async (language) => {
        const plain = (text) => {
            if (typeof text === "function") return true;
            if (typeof text !== "object" || Array.isArray(text)) return text;
            return Object.fromEntries(Object.entries(text).map(([key, value]) => [key, plain(value)]));
        };
        return plain((await import(`/static/texts/${language}.js`)).TEXTS);
    }"""
    found = {language: page.evaluate(read, language) for language in LANGUAGES}
    page.close()
    return found


def shape(texts):
    """All keys, and the kind of each text."""
    if isinstance(texts, dict):
        return {key: shape(value) for key, value in texts.items()}
    return len(texts) if isinstance(texts, list) else type(texts)


def test_every_language_has_all_texts(texts):
    assert shape(texts["de"]) == shape(texts["en"])
    for language, found in texts.items():
        empty = [key for key, value in found.items() if value == ""]
        assert empty == [], language
    same = {key for key, text in texts["en"].items() if isinstance(text, str) and texts["de"][key] == text}
    assert same <= {"wordsPlaceholder", "live", "none", "token", "emotion"}, "texts that nobody translated"


def test_every_code_of_python_has_a_text(texts):
    told = re.findall(r'StreamError\(\s*"(\w+)"', (STATIC.parent / "streaming.py").read_text())
    for language, found in texts.items():
        assert set(MESSAGES) <= set(found["messages"]), language
        assert set(TITLES) <= set(found["problems"]), language
        assert told and set(told) <= set(found["streamErrors"]), language
    used = {code: set(re.findall(r"\{(\w+)\}", template)) for code, template in MESSAGES.items()}
    for language in LANGUAGES:
        source = (STATIC / "texts" / f"{language}.js").read_text()
        for code, taken in re.findall(r'^    "?([\w-]+)"?: \(\{ ([\w, ]+) \}\) =>', source, flags=re.MULTILINE):
            if code in used:
                assert set(taken.split(", ")) <= used[code], f"{language}: {code}"


@pytest.mark.parametrize(
    ("accepted", "address", "language"), [("de-DE", "", "de"), ("fr-FR", "", "en"), ("de-DE", "?lang=en", "en")]
)
def test_the_browser_chooses_the_language(browser, served, accepted, address, language):
    context = browser.new_context(locale=accepted)
    for page in opened_page(context, served.url, address):
        expect(page.locator("html")).to_have_attribute("lang", language)
        start = {"de": "Noch kein Ergebnis", "en": "No result yet"}[language]
        expect(page.locator("#empty")).to_contain_text(start)
        page.locator("#words").fill("I miss him every day. I feel so alone.")
        expect(page.locator("#headline")).to_contain_text({"de": "Trauer", "en": "sadness"}[language])
        page.locator("#language").click()
        expect(page.locator("html")).to_have_attribute("lang", {"de": "en", "en": "de"}[language])
    context.close()


def test_a_german_page_tells_what_is_wrong_in_german(browser, served, tmp_path):
    (tmp_path / "notes.wav").write_text("these are no samples")
    soundfile.write(tmp_path / "silence.wav", np.zeros(32_000), 16_000)
    context = browser.new_context(locale="de-DE")
    for page in opened_page(context, served.url):
        page.locator("#file").set_input_files(tmp_path / "notes.wav")
        expect(page.get_by_role("alert")).to_contain_text(
            "notes.wav: Das ist keine Aufnahme, die sich lesen lässt. Wählen"
        )
        page.locator("#file").set_input_files(tmp_path / "silence.wav")
        expect(page.locator("#explain")).to_have_text("Die Aufnahme ist still.")
    context.close()
