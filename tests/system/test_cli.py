"""The command line as a user types it: real processes, exit codes, one sentence on stderr, data on stdout."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import bimodal
from bimodal.__main__ import expand_home
from bimodal.cli import app

COMMANDS = [command.callback.__name__.replace("_", "-") for command in app.registered_commands]
GROUPS = {
    group.name: [command.name or command.callback.__name__ for command in group.typer_instance.registered_commands]
    for group in app.registered_groups
}


def run(*arguments, code: int = 0, cache: Path | None = None, environment=None) -> subprocess.CompletedProcess:
    """Run `bimodal`; a traceback is always a failure."""
    extra = ["--cache", cache] if cache else []
    program = "import sys; sys.argv[0] = 'bimodal'; from bimodal.__main__ import main; main()"
    command = [sys.executable, "-c", program, *map(str, arguments), *map(str, extra)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | (environment or {}))
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, done.stderr
    return done


def test_help_names_the_commands_and_the_law():
    shown = " ".join(run("--help").stdout.split())  # lines break where they will
    for word in ("prepare", "check", "train", "evaluate", "recognize", "extract", "demo", "AI Act"):
        assert word in shown


def test_the_version_is_that_of_the_package():
    assert run("--version").stdout == f"bimodal {bimodal.__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_commands_and_options(shell):
    script = run("--show-completion", shell, environment={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}).stdout
    assert "BIMODAL_COMPLETE" in script.upper()
    words = {"COMP_WORDS": "bimodal recognize --transc", "COMP_CWORD": "2", "_TYPER_COMPLETE_ARGS": "bimodal rec"}
    done = run(
        environment=words | {"_BIMODAL_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    )
    assert ("--transcript" if shell == "bash" else "recognize") in done.stdout and "--text" not in done.stdout


INNER = [f"{group} {command}" for group, commands in GROUPS.items() for command in commands]


@pytest.mark.parametrize("command", ["", *COMMANDS, *GROUPS, *INNER])
def test_help_fits_80_columns_and_no_summary_is_cut(command):
    lines = run(*command.split(), "--help", environment={"COLUMNS": "80"}).stdout.splitlines()
    assert max(map(len, lines)) <= 80 and lines[0].startswith("Usage: ")
    listed = GROUPS.get(command, [] if command else [*COMMANDS, *GROUPS])
    assert all(f"  {name} " in "\n".join(lines) for name in listed)
    assert not [line for line in lines[1:] if listed and line.endswith("...")]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--text", "hi"], "'--text': this option is now called --transcript"),
        (["--text=hi", "--why"], "'--text': this option is now called --transcript"),
        (["x.wav", "--why"], "'--why': this option is now called --explain"),
    ],
)
def test_an_old_option_is_refused_with_its_new_name(arguments, sentence):
    told = run("recognize", *arguments, code=2).stderr.splitlines()
    assert sum("now called" in line for line in told) == 1 and told[-1].endswith(sentence)


def test_check_shows_counts_and_exits_with_1_for_problems(tiny_manifest, tmp_path):
    assert "no problems" in run("check", tiny_manifest).stdout
    text = tiny_manifest.read_text().replace("audio/s1-anger-0.wav", "../secret.wav")
    (tmp_path / "bad.csv").write_text(text)
    assert "secret" in run("check", tmp_path / "bad.csv", code=1).stdout


def test_a_root_allows_recordings_elsewhere_in_every_command(tiny_manifest, tmp_path):
    rows = tiny_manifest.read_text().replace("audio/", f"{tiny_manifest.parent}/audio/")
    (tmp_path / "elsewhere.csv").write_text(rows)
    told = run("check", tmp_path / "elsewhere.csv", code=1).stdout
    assert "--root FOLDER allows recordings below another folder (and 53 more like this, in lines 3, 4, 5, ...)" in told
    root = ["--root", tiny_manifest.parent]
    assert "no problems" in run("check", tmp_path / "elsewhere.csv", *root).stdout
    fast = ["--set", "speech.min_steps=4", "--set", "speech.epochs=1", "--set", "speech.ensemble_size=1"]
    done = run("train", "speech", tmp_path / "elsewhere.csv", tmp_path / "run", *root, *fast, cache=tmp_path / "cache")
    model = tmp_path / "run" / "model"
    step = f"next: bimodal evaluate {tmp_path / 'elsewhere.csv'} --root {root[1]} --model {model}"
    assert done.stderr.splitlines()[-1].startswith(step)
    assert "9 utterances" in run("evaluate", tmp_path / "elsewhere.csv", "--model", model, *root).stdout
    run("extract", model, tmp_path / "elsewhere.csv", tmp_path / "x.npz", *root)


@pytest.mark.parametrize("argument", ["--out=~/x", "~/x", "speech_backbone=~/x"])
def test_a_tilde_that_the_shell_left_is_the_home_folder(argument, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    assert expand_home(argument) == argument.replace("~", "/home/ann")
    for other in ("--transcript=~/x", "well, a=~/x", "~", "a~/b"):
        assert expand_home(other) == other


def test_train_evaluate_recognize_extract(tiny_manifest, fast_settings, tmp_path):
    done = run("train", tiny_manifest, tmp_path / "run", *fast_settings, cache=tmp_path / "cache")
    assert "MB after" in done.stderr and done.stdout == ""
    model = tmp_path / "run" / "model"
    shown = run("evaluate", tiny_manifest, "--model", model, "--out", tmp_path / "report").stdout
    assert all(system in shown for system in ("speech", "text", "late", "fused"))
    assert {file.name for file in (tmp_path / "report").iterdir()} == {
        "eval_results.yaml", "model-card-section.md", "predictions.csv", "tracking.jsonl",
        "report.html", "report.json", "report.md", "report.png",
    }  # fmt: skip
    assert len((tmp_path / "report" / "predictions.csv").read_text().splitlines()) == 1 + 9
    assert "chance 33.3 %" in done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"next: bimodal evaluate {tiny_manifest} --model {model} --out ")
    seen = ["evaluate", tiny_manifest, "--model", model, "--split", "train"]
    assert "was trained or calibrated on 45 of 45 rows" in run(*seen, code=1).stderr
    assert run(*seen, "--seen-rows").stdout.startswith("WARNING: the model was trained or calibrated on 45 of 45 rows")
    run("extract", model, tiny_manifest, tmp_path / "x.npz")
    arrays = np.load(tmp_path / "x.npz")
    assert len(arrays["ids"]) == len(arrays["fused"]) == 54 and np.isfinite(arrays["fused_logits"]).all()


def test_folds_train_and_test_every_speaker(tiny_manifest, tmp_path):
    settings = [part for value in ("text.min_steps=10", "text.epochs=1") for part in ("--set", value)]
    text_only = tmp_path / "words.csv"
    rows = tiny_manifest.read_text().splitlines()
    text_only.write_text(
        "\n".join(row if number == 0 else "," + row.split(",", 1)[1] for number, row in enumerate(rows))
    )
    shown = run("evaluate", text_only, "--folds", "3", *settings, cache=tmp_path / "cache").stdout
    assert "54 utterances of 6 speakers" in shown and "3 folds" in shown


def test_one_speaker_is_a_sentence_wherever_speakers_are_held_out(tiny_manifest, tmp_path):
    with tiny_manifest.open(newline="") as stream:
        rows = [
            [row["transcript"], row["emotion"], "ann", number % 2] for number, row in enumerate(csv.DictReader(stream))
        ]
    one = tmp_path / "one.csv"
    with one.open("w", newline="") as stream:
        csv.writer(stream).writerows([["transcript", "emotion", "speaker", "fold"], *rows])
    told = "there is one speaker ('ann'), so none can be held out: give recordings of more speakers"
    assert f"{told}, or train with --set split_by=utterance" in run("check", one).stdout
    assert told in run("train", "text", one, tmp_path / "run", cache=tmp_path / "cache", code=1).stderr
    for folds in ("loso", "3", "fold"):
        assert told in run("evaluate", one, "--folds", folds, cache=tmp_path / "cache", code=1).stderr
    settings = ["--set", "split_by=utterance", "--set", "text.min_steps=10", "--set", "text.epochs=1"]
    run("train", "text", one, tmp_path / "run", *settings, cache=tmp_path / "cache")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["train", "none.csv", "out"], 1, "none.csv"),
        (["train", "one.csv"], 2, "MANIFEST OUT"),
        (["recognize", "-m", "nowhere", "--transcript", "hi"], 1, "no model folder"),
        (["evaluate", "x.csv"], 2, "--model or --folds"),
        (["prepare", "nothing", "a", "b"], 1, "nothing"),
        (["train", "x.csv", "out", "--set", "speech.epoch=3"], 1, "did you mean 'epochs'"),
        (["frobnicate"], 2, "frobnicate"),
    ],
)
def test_wrong_usage_is_one_sentence(arguments, code, sentence, tmp_path):
    assert sentence in run(*arguments, code=code).stderr


def test_a_full_disk_while_caching_is_one_sentence_and_keeps_what_was_done(tiny_manifest, tmp_path):
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)); sys.argv[0] = 'bimodal'; "
        "from bimodal.cli import main; main()"
    )
    command = [sys.executable, "-c", script, "train", "speech", tiny_manifest, tmp_path / "run"]
    done = subprocess.run([*command, "--cache", tmp_path / "cache"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "cannot write a shard" in done.stderr and "free some space" in done.stderr


def test_a_corpus_can_be_prepared_from_a_manifest(tiny_manifest, tmp_path):
    run("prepare", "manifest", tiny_manifest, tmp_path / "mine")
    assert "no problems" in run("check", tmp_path / "mine" / "manifest.csv").stdout
    shutil.rmtree(tmp_path / "mine")


def test_a_language_model_is_tuned_to_a_backbone(tiny_manifest, tiny_bert, tmp_path):
    settings = ["--set", f"source={tiny_bert}", "--set", "epochs=1", "--set", "threads=1"]
    done = run("tune", "text", tiny_manifest, tmp_path / "out", *settings)
    assert f"--set text_backbone={tmp_path / 'out'}" in done.stderr
    assert "unknown key 'epoch'" in run("tune", "text", tiny_manifest, tmp_path, "--set", "epoch=1", code=1).stderr


def test_an_interruption_says_that_finished_work_is_kept():
    command = [sys.executable, "-m", "bimodal", "recognize", "-"]  # waits for its standard input
    # A job in the background of a shell ignores interruptions, and its children inherit that.
    heeds = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **heeds)
    told = [process.stderr.readline()]  # which model answers: the command has begun
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    told += process.communicate(timeout=60)[1].splitlines()
    assert process.returncode == 130 and told[-1].startswith("interrupted; finished work is kept")
