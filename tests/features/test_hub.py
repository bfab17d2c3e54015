"""Hub ids: what cannot be reached is told at once, and what is in the cache needs no network."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bimodal.errors import BackboneError, TranscriptionError
from bimodal.features.hub import find_on_hub, why_unreachable

FILES = ["*.json"]


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """The Hub's cache with one model, as the Hub's client lays it out."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    model = tmp_path / "models--ann--encoder"
    (model / "snapshots" / "abc").mkdir(parents=True)
    (model / "snapshots" / "abc" / "config.json").write_text("{}")
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("abc")
    return tmp_path


def find(name: str, *, download: bool = True) -> Path:
    return find_on_hub(name, FILES, download=download, raises=TranscriptionError, otherwise="add --download")


@pytest.mark.parametrize("download", [True, False])
def test_a_model_in_the_cache_needs_no_network(cache, download):
    assert (find("ann/encoder", download=download) / "config.json").read_text() == "{}"


def test_what_is_missing_is_told_with_what_to_do(cache):
    with pytest.raises(
        TranscriptionError, match=r"^ann/other: neither a folder nor a downloaded model; add --download$"
    ):
        find("ann/other", download=False)
    with pytest.raises(
        TranscriptionError, match=r"^ann/other: no such folder, .* is not reachable \(.*\); give a local"
    ):
        find("ann/other")


def test_a_machine_that_nobody_answers_is_told_at_once(cache, monkeypatch):
    from huggingface_hub import constants

    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "ENDPOINT", "https://hub.invalid")
    begun = time.monotonic()
    assert why_unreachable().startswith("hub.invalid: ")
    with pytest.raises(TranscriptionError, match="not reachable"):
        find("ann/other")
    assert time.monotonic() - begun < 15


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_proxy_stands_for_the_hub(cache, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert why_unreachable() == ""


def test_a_hub_that_is_switched_off_is_told(cache, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert why_unreachable() == "HF_HUB_OFFLINE is set"


@pytest.mark.parametrize("stage", ["text", "speech"])
def test_tuning_an_encoder_of_the_hub_without_network_is_one_sentence_at_once(stage, tiny_manifest, tmp_path):
    code = "import sys, time; sys.argv[1:] = {!r}; from bimodal.__main__ import main; main()"
    arguments = [
        "tune",
        stage,
        str(tiny_manifest),
        str(tmp_path / "out"),
        "--set",
        "source=nobody-at-all/encoder",
        "-q",
    ]
    environment = {"HF_ENDPOINT": "https://hub.invalid", "HF_HUB_CACHE": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code.format(arguments)],
        capture_output=True, text=True, check=False, env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 1 and "Traceback" not in done.stderr
    wanted = "bimodal: nobody-at-all/encoder: no such folder, and the Hugging Face Hub is not reachable (hub.invalid: "
    assert done.stderr.splitlines()[-1].startswith(wanted), done.stderr
    assert done.stderr.strip().endswith("give a local folder, or run again with a network")


def test_the_error_has_the_class_of_its_caller(cache):
    with pytest.raises(BackboneError):
        find_on_hub("ann/none", FILES, download=False, raises=BackboneError, otherwise="x")
