"""`bimodal recognize` as a user types it: real processes, exit codes, one sentence on stderr, data on stdout."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import srt
import webvtt

RATE = 16_000


def run(*arguments, code: int = 0, data: bytes | None = None) -> subprocess.CompletedProcess:
    """Run `bimodal recognize`; a traceback is always a failure."""
    command = [sys.executable, "-m", "bimodal", "recognize", *map(str, arguments), "--threads", "1"]
    done = subprocess.run(command, capture_output=True, input=data, check=False)
    done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def clips(corpus_data: Path, tmp_path_factory) -> Path:
    """Three clips of real speech and one of 35 s."""
    folder = tmp_path_factory.mktemp("clips")
    files = sorted((corpus_data / "ravdess" / "audio").glob("03-01-0[1-5]-01-*-01-0*.flac"))[:12]
    signals = [soundfile.read(file, dtype="float32")[0] for file in files]
    for number, signal in enumerate(signals[:3]):
        soundfile.write(folder / f"{number}.wav", signal, RATE)
    soundfile.write(folder / "long.flac", np.concatenate(signals)[: 35 * RATE], RATE)
    return folder


def test_one_clip_is_a_table_of_what_each_side_says(tiny_model, clips):
    done = run("-m", tiny_model, clips / "0.wav", "--transcript", "Stop that!")
    assert "tiny 0.1.0, licence of the weights:" in done.stderr
    head, columns, *rows = (line for line in done.stdout.splitlines() if not line.startswith("  warning: "))
    assert head.startswith(str(clips / "0.wav")) and columns.split() == ["all", "voice", "words"]
    assert len(rows) == 5 and rows[-2].startswith("  arousal ") and "weight of the voice" in rows[-1]


def test_a_model_folder_in_front_stands_for_the_option(tiny_model, clips):
    lines = [run(*front, clips / "0.wav", "--format", "jsonl").stdout for front in ([tiny_model], ["-m", tiny_model])]
    assert lines[0] == lines[1]
    (result,) = map(json.loads, lines[0].splitlines())
    assert result["path"] == str(clips / "0.wav") and sum(result["scores"].values()) == pytest.approx(1, abs=1e-5)


def test_a_folder_for_people_has_a_line_a_clip_and_a_summary_of_what_is_long(tiny_model, clips):
    lines = [line for line in run("-m", tiny_model, clips).stdout.splitlines() if not line.startswith("  warning: ")]
    assert [
        line.startswith(f"{clips / name}: ") for line, name in zip(lines, ("0.wav", "1.wav", "2.wav"), strict=False)
    ]
    assert lines[3] == str(clips / "long.flac") and lines[4].split() == ["from", "to", "emotion"]
    told = [line for line in lines if line.startswith("warning")]
    assert len(lines) > 10 and "results have warnings" in told[0]
    (summary,) = [line for line in lines if line.startswith("speech ")]
    assert summary.endswith(" %")
    assert lines[-1].startswith("warnings (marked *): ") and sum(line.endswith(" *") for line in lines) == 3


def test_a_folder_for_programs_is_one_csv(tiny_model, clips):
    rows = list(csv.DictReader(io.StringIO(run("-m", tiny_model, clips, "--format", "csv").stdout)))
    assert {row["path"] for row in rows} == {str(clips / name) for name in ("0.wav", "1.wav", "2.wav", "long.flac")}
    assert len(rows) > 8 and all(row["emotion"] for row in rows)


def test_subtitles_hold_one_recording_and_more_go_to_a_folder(tiny_model, clips, tmp_path):
    told = run("-m", tiny_model, clips, "--format", "vtt", code=2).stderr
    assert "--format vtt holds one recording, found 4" in told and "--out FOLDER" in told
    captions = webvtt.from_string(run("-m", tiny_model, clips / "long.flac", "--format", "vtt").stdout)
    assert len(captions) > 5 and captions[0].text.startswith("[")
    done = run("-m", tiny_model, clips, "--format", "srt", "--out", tmp_path / "out")
    assert len(done.stdout.splitlines()) > 8
    cues = list(srt.parse((tmp_path / "out" / "long.flac.srt").read_text(), ignore_errors=False))
    assert [cue.content for cue in cues] == [caption.text for caption in captions]
    assert len(list(srt.parse((tmp_path / "out" / "0.wav.srt").read_text()))) == 1


def test_a_second_call_recognises_what_is_new_alone_and_refuses_other_settings(tiny_model, clips, tmp_path):
    run("-m", tiny_model, clips / "0.wav", "--out", tmp_path / "out")
    first = (tmp_path / "out" / "0.wav.jsonl").stat().st_mtime_ns
    again = run("-m", tiny_model, clips, "--out", tmp_path / "out")
    assert "1 of 4 recordings are finished already" in again.stderr
    assert (tmp_path / "out" / "0.wav.jsonl").stat().st_mtime_ns == first
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "settings.json", "index.jsonl", "0.wav.jsonl", "1.wav.jsonl", "2.wav.jsonl", "long.flac.jsonl",
    }  # fmt: skip
    told = run("-m", tiny_model, clips, "--out", tmp_path / "out", "--whole", code=1).stderr
    assert "timeline 'None' instead of 'False'); choose a new folder" in told


def results(folder: Path) -> dict[str, bytes]:
    """All files of a folder of results, hidden ones too, by their path in it."""
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("lines", [1, 2, 4, 7])
def test_a_killed_run_goes_on_and_its_files_are_those_of_one_that_was_not(tiny_model, clips, tmp_path, lines):
    options = ["-m", tiny_model, clips, "--format", "csv", "--out"]
    run(*options, tmp_path / "whole")
    command = [sys.executable, "-m", "bimodal", "recognize", *map(str, options), tmp_path / "out", "--threads", "1"]
    journal = tmp_path / "out" / ".long.flac.csv.journal"
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not journal.exists() or journal.read_bytes().count(b"\n") < lines:  # the first line is the key
        assert killed.poll() is None
    killed.kill()
    killed.communicate()
    assert not (tmp_path / "out" / "long.flac.csv").exists()
    assert "3 of 4 recordings are finished already" in run(*options, tmp_path / "out").stderr
    assert results(tmp_path / "out") == results(tmp_path / "whole")


def test_results_are_those_of_this_recording_and_these_words_alone(tiny_model, clips, tmp_path):
    calls = tmp_path / "calls"
    calls.mkdir()
    for name, other in {"a.wav": "0.wav", "b.wav": "1.wav"}.items():
        (calls / name).write_bytes((clips / other).read_bytes())
    words = tmp_path / "words.csv"
    words.write_text("path,transcript\ncalls/a.wav,I am so happy\ncalls/b.wav,Fine\n")
    options = ["-m", tiny_model, "--whole", "--transcripts", words, "--out", tmp_path / "out"]
    run(*options, calls)
    first = results(tmp_path / "out")
    words.write_text("path,transcript\ncalls/a.wav,I hate you\ncalls/b.wav,Fine\n")
    done = run(*options, calls)
    assert f"{calls / 'a.wav'}: its words have changed since the last call; it is recognised again" in done.stderr
    assert "1 of 2 recordings are finished already" in done.stderr
    assert json.loads(results(tmp_path / "out")["a.wav.jsonl"])["transcript"] == "I hate you"
    assert results(tmp_path / "out")["b.wav.jsonl"] == first["b.wav.jsonl"]
    (calls / "b.wav").write_bytes((clips / "2.wav").read_bytes())
    os.utime(calls / "b.wav", (1, 1))
    done = run(*options, calls)
    assert f"{calls / 'b.wav'}: the recording has changed since" in done.stderr
    assert "1 of 2 recordings are finished already" in done.stderr
    run(*options[:-1], tmp_path / "new", calls)
    both = results(tmp_path / "out"), results(tmp_path / "new")
    assert all(both[0][name] == both[1][name] for name in ("a.wav.jsonl", "b.wav.jsonl"))


def test_recordings_of_one_name_in_two_calls_have_results_each(tiny_model, clips, tmp_path):
    for folder, other in {"A": "0.wav", "B": "1.wav"}.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.wav").write_bytes((clips / other).read_bytes())
        run("-m", tiny_model, tmp_path / folder / "a.wav", "--out", tmp_path / "out")
    told = {name: json.loads(line) for name, line in results(tmp_path / "out").items() if "a.wav" in name}
    assert set(told) == {"a.wav.jsonl", "B/a.wav.jsonl"}
    for name, folder in {"a.wav.jsonl": "A", "B/a.wav.jsonl": "B"}.items():
        alone = run("-m", tiny_model, tmp_path / folder / "a.wav", "--format", "jsonl").stdout
        assert told[name] == json.loads(alone)


def test_two_processes_share_a_folder_of_results(tiny_model, clips, tmp_path):
    options = ["-m", tiny_model, clips, "--format", "csv", "--out"]
    run(*options, tmp_path / "whole")
    command = [sys.executable, "-m", "bimodal", "recognize", *map(str, options), tmp_path / "out", "--threads", "1"]
    processes = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    found, alone = results(tmp_path / "out"), results(tmp_path / "whole")
    assert sorted(found.pop("index.jsonl").splitlines()) == sorted(alone.pop("index.jsonl").splitlines())
    assert found == alone


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_not_utf_8_has_results_in_every_format(tiny_model, clips, tmp_path):
    (tmp_path / "in").mkdir()
    for name in (b"caf\xe9.wav", b"plain.wav"):
        Path(os.fsdecode(bytes(tmp_path / "in") + b"/" + name)).write_bytes((clips / "0.wav").read_bytes())
    for kind in ("table", "jsonl", "csv"):
        shown = run("-m", tiny_model, tmp_path / "in", "--format", kind).stdout
        assert "caf\\xe9.wav" in shown.replace("\\\\", "\\") and "plain.wav" in shown
    for _ in range(2):
        done = run("-m", tiny_model, tmp_path / "in", "--out", tmp_path / "out")
    assert "2 of 2 recordings are finished already" in done.stderr
    assert b"caf\xe9.wav.jsonl" in {os.fsencode(file.name) for file in (tmp_path / "out").iterdir()}


def test_standard_input_is_a_recording(tiny_model, clips):
    data = (clips / "0.wav").read_bytes()
    (line,) = run("-m", tiny_model, "-", "--format", "jsonl", data=data).stdout.splitlines()
    direct = json.loads(run("-m", tiny_model, clips / "0.wav", "--format", "jsonl").stdout)
    assert json.loads(line) == direct | {"path": "stdin"}
    assert "stdin: the file is empty" in run("-m", tiny_model, "-", data=b"", code=1).stderr


def test_channels_are_speakers_and_a_picture_is_drawn(tiny_model, clips, tmp_path):
    signal = soundfile.read(clips / "0.wav")[0]
    soundfile.write(tmp_path / "call.wav", np.stack([signal, 0 * signal], axis=1), RATE)
    options = ["--channels", "speakers", "--format", "rttm", "--plot", tmp_path / "call.svg"]
    done = run("-m", tiny_model, tmp_path / "call.wav", *options)
    rows = [line.split(" ") for line in done.stdout.splitlines()]
    assert rows and all(len(row) == 10 and row[2] == "1" for row in rows)
    assert "channel 1" in (tmp_path / "call.svg").read_text()


def test_words_come_from_a_manifest(tiny_model, clips):
    words = clips / "words.csv"
    words.write_text("path,transcript\n0.wav,Get out of my house!\n")
    try:
        first, second, *_ = map(
            json.loads,
            run("-m", tiny_model, clips, "--transcripts", words, "--whole", "--format", "jsonl").stdout.splitlines(),
        )
    finally:
        words.unlink()
    assert first["transcript"] == "Get out of my house!" and 0 < first["gate"] < 1
    assert second["transcript"] is None


def test_words_are_heard_with_a_model_that_is_there(tiny_model, clips, asr_model):
    options = ["--transcribe", "--asr-model", asr_model, "--format", "jsonl"]
    (result,) = map(json.loads, run("-m", tiny_model, clips / "0.wav", *options).stdout.splitlines())
    assert "talking by the door" in result["transcript"] and result["transcript_language"] == "en"
    assert result["transcript_source"] == "asr" and 0 < result["transcript_confidence"] < 1 and 0 < result["gate"] <= 1


def test_speakers_of_one_channel_are_told_apart_and_a_second_call_goes_on(
    tiny_model, dialogue, segmentation_model, tmp_path
):
    soundfile.write(tmp_path / "call.wav", dialogue[0], RATE)
    soundfile.write(tmp_path / "alone.wav", dialogue[0][: 3 * RATE], RATE)
    options = ["-m", tiny_model, tmp_path / "call.wav", tmp_path / "alone.wav", "--segmentation", segmentation_model]
    run(*options, "--speakers", "2", "--out", tmp_path / "out")
    told = {name: (tmp_path / "out" / f"{name}.wav.jsonl").read_text().splitlines() for name in ("call", "alone")}
    assert {json.loads(line)["speaker"] for line in told["call"]} == {"speaker 1", "speaker 2"}
    assert {json.loads(line)["speaker"] for line in told["alone"]} <= {"speaker 1", "speaker 2"}
    again = run(*options, "--speakers", "2", "--out", tmp_path / "out")
    assert "2 of 2 recordings are finished already" in again.stderr
    other = run(*options, "--speakers", "auto", "--out", tmp_path / "out", code=1)
    assert "speakers '2' instead of 'auto'" in other.stderr
    table = run(*options[:3], "--speakers", "9", "--segmentation", segmentation_model)
    assert "speaker 1 (" in table.stdout
    assert "call.wav: who speaks when is unsure: the voices are alike or change much" in table.stderr


def test_a_missing_speech_recogniser_says_how_to_get_one(tiny_model, clips, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    told = run("-m", tiny_model, clips / "0.wav", "--transcribe", code=1).stderr
    assert "Systran/faster-whisper-base: neither a folder nor a downloaded model; add --download" in told


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ([], 2, "give recordings, folders of them, - for standard input, or --transcript alone"),
        (["0.wav", "1.wav", "--transcript", "hi"], 2, "--transcript needs exactly one recording, found 2"),
        (
            ["0.wav", "--transcript", "hi", "--transcribe"],
            2,
            "use only one of --transcript and",
        ),
        (["0.wav", "--speaker-stats", "x"], 2, "--speaker-stats needs --speaker, or --channels speakers"),
        (["0.wav", "--speaker-stats", "x", "--speaker", "ann"], 1, "scores each clip by itself"),
        (["0.wav", "--plot", "x.docx"], 1, "unknown file type of a plot"),
        (["none.wav"], 1, "none.wav: no such file"),
        (["--transcript", "hi", "--format", "srt"], 1, "needs results with times"),
        (["--transcript", " "], 1, "nothing to recognise"),
        (["0.wav", "--speakers", "two"], 2, "'two' is neither auto nor a number from 1 to 20"),
        (["0.wav", "--speakers", "2", "--speaker", "ann"], 2, "leave out --speaker and --speaker-stats"),
        (["0.wav", "--speakers", "2", "--channels", "speakers"], 2, "leave out --speakers"),
        (["0.wav", "--speakers", "2", "--whole"], 2, "leave out --whole"),
        (["0.wav", "--speakers", "2", "--segmentation", "none.onnx"], 1, "none.onnx: no such file"),
    ],
)
def test_wrong_usage_is_one_sentence(tiny_model, clips, arguments, code, sentence):
    named = [clips / one if one.endswith(".wav") else one for one in arguments]
    assert sentence in run("-m", tiny_model, *named, code=code).stderr


def hostile(folder: Path, speech: np.ndarray) -> dict[str, str]:
    """Recordings that nobody asked for, and what is to be said of each: an emotion, a reason, or a sentence."""
    rng, time = np.random.default_rng(0), np.arange(4 * RATE) / RATE
    chord = sum(0.1 * np.sin(2 * np.pi * pitch * time) * np.exp(-3 * (time % 0.5)) for pitch in (220, 277.2, 329.6))
    signals = {
        "silence.wav": (np.zeros(RATE), RATE, "the recording is silent"),
        "dc.wav": (np.full(RATE, 0.5), RATE, "the recording is silent"),
        "music.wav": (chord, RATE, "no speech was found"),
        "noise.wav": (0.1 * rng.normal(size=4 * RATE), RATE, "no speech was found"),
        "scrap.wav": (speech[8000:8160], RATE, "the speech is shorter than 0.1 s"),
        "one_sample.wav": (speech[:1], RATE, "the speech is shorter than 0.1 s"),
        "nan.wav": (np.full(RATE, np.nan), RATE, "NaN or infinite"),
        "telephone.wav": (speech[::2], 8000, ""),
        "studio.flac": (np.repeat(speech, 6), 96_000, ""),
        "eight_channels.wav": (np.repeat(speech[:, None], 8, axis=1), RATE, ""),
        "clipped.wav": (np.clip(speech * 1000, -1, 1), RATE, ""),
        "offset.wav": (0.2 + 0.5 * speech, RATE, ""),
    }
    for name, (signal, rate, _) in signals.items():
        soundfile.write(folder / name, signal, rate, subtype="FLOAT" if name.endswith(".wav") else None)
    (folder / "flac_called.mp3").write_bytes((folder / "studio.flac").read_bytes())
    (folder / "empty.wav").write_bytes(b"")
    (folder / "header.wav").write_bytes((folder / "clipped.wav").read_bytes()[:20])
    (folder / "text.wav").write_text("This is not a recording.\n" * 100)
    said = {name: expected for name, (_, _, expected) in signals.items()}
    return said | {
        "flac_called.mp3": "", "empty.wav": "the file is empty", "header.wav": "cannot be decoded",
        "text.wav": "cannot be decoded as audio",
    }  # fmt: skip


def test_hostile_recordings_have_an_answer_a_reason_or_a_sentence_each(tiny_model, clips, tmp_path):
    said = hostile(tmp_path, soundfile.read(clips / "0.wav", dtype="float32")[0])
    for options in ([], ["--timeline"]):
        done = run("-m", tiny_model, tmp_path, "--format", "jsonl", *options, code=1)
        told = {Path(row["path"]).name: row for row in map(json.loads, done.stdout.splitlines())}
        sentences = [line for line in done.stderr.splitlines() if line.startswith("bimodal: ")]
        assert len(sentences) == 4 and len(told) + 4 == len(said)
        for name, expected in said.items():
            lines = [line for line in sentences if f"/{name}: " in line]
            if lines:
                assert expected and expected in lines[0], lines
            elif expected:
                reason = told[name]["reason"]
                assert told[name]["abstained"] and (reason == expected or (options and reason == "no speech was found"))
            else:
                assert told[name]["emotion"] and not told[name]["abstained"]


@pytest.mark.parametrize("text", ["泣きたい", "\u202e\u0000?", "🙂🙂", "a" * 5000, "ᚠᚢᚦ"])
def test_words_in_any_script_have_an_answer(tiny_model, clips, text):
    (result,) = map(
        json.loads,
        run(
            "-m", tiny_model, clips / "0.wav", f"--transcript={text.replace(chr(0), '')}", "--format", "jsonl"
        ).stdout.splitlines(),
    )
    assert result["emotion"] and result["gate"] is not None


def test_empty_words_are_none(tiny_model, clips):
    (result,) = map(
        json.loads, run("-m", tiny_model, clips / "0.wav", "--transcript", "", "--format", "jsonl").stdout.splitlines()
    )
    assert result["emotion"] and result["transcript"] is None and result["gate"] is None


def test_coverage_gives_the_emotions_among_which_the_right_one_is(tiny_model, clips, tmp_path):
    shown = run("-m", tiny_model, clips / "0.wav", "--coverage", "0.5").stdout
    (line,) = [line for line in shown.splitlines() if "coverage" in line]
    assert line.startswith("  with 50 % coverage: ")
    row = json.loads(run("-m", tiny_model, clips / "0.wav", "--coverage", "0.5", "--format", "jsonl").stdout)
    assert line == f"  with 50 % coverage: {', '.join(row['prediction_set']['emotions'])}"
    (cells,) = csv.DictReader(
        io.StringIO(run("-m", tiny_model, clips / "0.wav", "--coverage=0.5", "--format=csv").stdout)
    )
    assert (cells["prediction_set"], cells["coverage"]) == ("; ".join(row["prediction_set"]["emotions"]), "0.5")
    words = run("-m", tiny_model, "--transcript", "Stop!", "--coverage", "0.5", "--coverage-by", "marginal").stdout
    assert "with 50 % coverage: " in words
    over_time = run("-m", tiny_model, clips / "long.flac", "--coverage", "0.5", "--format", "jsonl").stdout
    for told in map(json.loads, over_time.splitlines()):
        assert told["abstained"] or told["prediction_set"]["emotions"][0] == told["emotion"]
    run("-m", tiny_model, clips / "0.wav", "--out", tmp_path / "results")
    refused = run("-m", tiny_model, clips / "0.wav", "--out", tmp_path / "results", "--coverage", "0.5", code=1)
    assert "contains results with other settings (coverage" in refused.stderr


@pytest.mark.parametrize("value", ["0", "1", "nan", "a", "-0.5", "90"])
def test_what_is_no_coverage_is_refused_in_one_sentence(tiny_model, value):
    told = run("-m", tiny_model, "--transcript", "Stop!", f"--coverage={value}", code=2).stderr
    assert "expected a number above 0 and below 1, such as 0.9" in " ".join(told.split())
