"""The examples of docs/how-to/server.md, run word for word."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from bimodal.audio.decode import load_signal

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "server.md").read_text()
EXAMPLES = dict(re.findall(r"<!-- example: (\w+) -->\n```\w+\n(.*?)```", PAGE, flags=re.DOTALL))


@pytest.fixture
def folder(tmp_path, recording, monkeypatch) -> Path:
    """Where the examples run: a folder with a clip."""
    shutil.copyfile(recording, tmp_path / "clip.wav")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shell(served, name: str) -> str:
    environment = {"BIMODAL": served.url.rstrip("/"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ["sh", "-eu", "-c", EXAMPLES[name]], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_a_clip_by_curl(served, folder):
    assert '"emotion":"' in shell(served, "recognize") and shutil.which("curl")


def test_a_job_by_curl(served, folder):
    shown = shell(served, "job")
    assert "event: result" in shown and '"state":"done"' in shown and "WEBVTT" in shown


def test_python(served, folder, capsys):
    exec(EXAMPLES["client"], {"BIMODAL": served.url})
    assert len(capsys.readouterr().out.splitlines()) >= 2


def test_a_stream_by_javascript(served, folder, chromium):
    samples = load_signal(ROOT / "src/bimodal/service/static/samples/cross.mp3").tolist()
    script = f"""([BIMODAL, heard]) => new Promise((resolve) => {{
        const samples = Float32Array.from(heard);
        const said = [];
        console.log = (line) => said.push(line);
        {EXAMPLES["stream"]}
        socket.onclose = () => resolve(said);
    }})"""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(served.url)
        assert page.evaluate(script, [served.url.rstrip("/"), samples])
        browser.close()
