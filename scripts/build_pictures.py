"""Make the pictures of README and docs again: the page and a report in Chromium, a timeline by `bimodal recognize`.

Page and timeline show the packaged model and the packaged samples: synthetic speech, and two actors of EmoDB on the
long page. The report shows the packaged model on RAVDESS, in the folder `BIMODAL_DATA`; without it the old picture
stays.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
OUT = ROOT / "docs" / "images"
SAMPLES = ROOT / "src" / "bimodal" / "service" / "static" / "samples"
SECONDS = 30_000
DIARY = (
    (0.4, 3.1, "The train left at eight, as it always does."),
    (4.1, 7.1, "Then somebody pushed me, and would not even say sorry!"),
    (8.3, 11.6, "I walked home alone. It rained the whole way."),
    (12.7, 16.8, "And guess who stood at my door? My sister, after all these years!"),
    (17.8, 20.4, "We had tea, and talked until it was late."),
    (21.6, 24.8, "I only wish that our mother could have seen it."),
)
"""Start, end and words of each sentence of diary.mp3."""


def main() -> None:
    """Write all pictures."""
    OUT.mkdir(parents=True, exist_ok=True)
    with served() as address:
        take_page(address, OUT / "page.png")
        take_long(address, OUT / "page-long.png")
    draw_timeline(OUT / "timeline.png")
    take_report(OUT / "report.png")
    for picture in sorted(OUT.glob("*.png")):
        print(f"{picture}: {picture.stat().st_size / 1000:.0f} kB")


@contextmanager
def served() -> Iterator[str]:
    """A server with the packaged model on a free port."""
    command = [sys.executable, "-m", "bimodal", "serve", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None  # noqa: S101
        try:
            lines = map(re.compile(r"page: (\S+)").search, process.stderr)
            yield next(found[1] for found in lines if found)
        finally:
            process.terminate()


def take_page(address: str, picture: Path) -> None:
    """The page after a click on the sample whose words contradict its voice."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1180, "height": 778}, color_scheme="light")
        page.set_default_timeout(SECONDS)
        page.goto(address)
        page.get_by_role("button", name=title_of("conflict.mp3")).click()
        page.locator("#headline").filter(has_text=re.compile(r"\w")).wait_for()
        page.mouse.move(0, 0)
        page.screenshot(path=picture)
        browser.close()


def take_long(address: str, picture: Path) -> None:
    """The page after a click on the sample with two voices, a minute long."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1180, "height": 778}, color_scheme="light")
        page.set_default_timeout(SECONDS)
        page.goto(address)
        page.get_by_role("button", name=title_of("voices.mp3")).click()
        page.locator("#formats button").first.wait_for()
        page.mouse.move(0, 0)
        page.screenshot(path=picture, full_page=True)
        browser.close()
    with Image.open(picture) as taken:  # few colours: a third of the size
        taken.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(picture, optimize=True)


def title_of(sample: str) -> str:
    """What the page calls a sample."""
    listed = json.loads((SAMPLES / "samples.json").read_text(encoding="utf-8"))
    return next(one["title"] for one in listed if one["file"] == sample)


def take_report(picture: Path) -> None:
    """The top of report.html: the headline and what to know first."""
    manifest = Path(os.environ.get("BIMODAL_DATA", ROOT.parent / "shared" / "data")) / "ravdess" / "manifest.csv"
    if not manifest.is_file():
        print(f"{picture} stays: {manifest} is missing")
        return
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        options = ["--model", "permissive", "--no-audio", "--out", folder, "-q"]
        subprocess.run([sys.executable, "-m", "bimodal", "evaluate", manifest, *options], check=True)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1180, "height": 830}, color_scheme="light")
        page.goto((Path(folder) / "report.html").as_uri())
        page.screenshot(path=picture)
        browser.close()


def draw_timeline(picture: Path) -> None:
    """The timeline of the longest sample, with its words."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(SAMPLES / "diary.mp3", folder)
        manifest = Path(folder) / "words.csv"
        with manifest.open("w", newline="", encoding="utf-8") as file:
            rows = [("diary.mp3", *sentence) for sentence in DIARY]
            csv.writer(file).writerows([("path", "start", "end", "transcript"), *rows])
        options = ["--timeline", "--transcripts", manifest, "--plot", picture]
        subprocess.run([sys.executable, "-m", "bimodal", "recognize", "diary.mp3", *options], check=True, cwd=folder)


if __name__ == "__main__":
    main()
