"""Node runs the JavaScript client against a real server."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bimodal import Recognizer

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "clients" / "javascript" / "bimodal.mjs"
CLIP = ROOT / "src/bimodal/service/static/samples/cross.mp3"


@pytest.fixture(scope="session")
def node() -> str:
    """Node; skips where there is none."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("needs node, 20 or newer")
    return found


@pytest.fixture(scope="module")
def talking(serve):
    with serve("permissive") as running:
        yield running


def run(node: str, url: str, script: str, tmp_path: Path, *arguments: str) -> list:
    """What a script prints as JSON, line by line."""
    (tmp_path / "script.mjs").write_text(
        f'import {{ readFileSync }} from "node:fs";\nimport {{ Client, BimodalError }} from "{CLIENT.as_uri()}";\n'
        f'const client = new Client("{url}", {{ token: process.env.TOKEN ?? "" }});\n'
        f"const clip = new Blob([readFileSync({json.dumps(str(CLIP))})]);\n"
        f"const say = (told) => console.log(JSON.stringify(told));\n{script}",
        encoding="utf-8",
    )
    command = [node, "--experimental-websocket", *arguments, tmp_path / "script.mjs"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ | {"NO_COLOR": "1"})
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_clip_words_and_the_model(node, talking, tmp_path):
    script = """
    say(await client.recognize(clip, { transcript: "Stop that!", speaker: "ann" }));
    say(await client.recognize(null, { transcript: "What a lovely day!" }));
    say(await client.model());
    """
    both, words, model = run(node, talking.url, script, tmp_path)
    recognizer = Recognizer()
    expected = recognizer.recognize(CLIP, transcript="Stop that!")
    assert both["scores"] == pytest.approx(expected.scores, abs=1e-4) and both["speaker"] == "ann"
    assert words["emotion"] == recognizer.recognize(transcript="What a lovely day!").emotion
    assert tuple(model["emotions"]) == recognizer.emotions


def test_a_timeline_comes_one_by_one_and_can_be_left(node, talking, tmp_path):
    long = json.dumps(str(CLIP.with_name("diary.mp3")))
    script = f"""
    const recording = new Blob([readFileSync({long})]);
    for await (const result of client.timeline(recording, {{ hop: 2 }})) say(result);
    for await (const result of client.timeline(recording)) break;
    """
    found = run(node, talking.url, script, tmp_path)
    expected = list(Recognizer().recognize_long(CLIP.with_name("diary.mp3")))
    assert [one["emotion"] for one in found] == [one.emotion for one in expected]


def test_live_speech_gives_results(node, talking, tmp_path):
    from bimodal.audio.decode import load_signal

    signal = load_signal(CLIP)
    (tmp_path / "clip.f32").write_bytes(signal.tobytes())
    script = f"""
    const bytes = readFileSync({json.dumps(str(tmp_path / "clip.f32"))});
    const samples = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    const stream = await client.stream(16000, {{ onResult: say, speaker: "ann" }});
    for (let at = 0; at < samples.length; at += 1600) stream.push(samples.slice(at, at + 1600));
    await stream.finish();
    process.exit(0);
    """
    found = run(node, talking.url, script, tmp_path)
    live = Recognizer().stream(16_000)
    expected = [*live.push(signal), *live.finish()]
    assert [one["emotion"] for one in found] == [one.emotion for one in expected] and found[0]["speaker"] == "ann"


def test_refusals_are_sentences(node, talking, tmp_path):
    script = """
    const told = async (ask) => { try { await ask(); say("nothing"); } catch (error) {
      say([error instanceof BimodalError, error.status, error.message]); } };
    await told(() => client.recognize(new Blob(["no audio"])));
    await told(() => client.recognize(null));
    await told(() => client.recognize(clip, { begin: 3 }));
    await told(() => client.timeline(new Blob(["no audio"])).next());
    await told(() => new Client("http://127.0.0.1:9").model());
    await told(() => client.stream(3, { onResult: say }));
    process.exit(0);
    """
    found = run(node, talking.url, script, tmp_path)
    sentences = (
        "cannot be decoded",
        "nothing to recognise",
        "unknown",
        "cannot be decoded",
        "cannot be reached",
        "rate",
    )
    for (ours, status, message), sentence in zip(found, sentences, strict=True):
        assert ours and sentence in message and "\n" not in message, (status, message)
    assert [status for _, status, _ in found] == [422, 422, 422, 0, 0, 0]


def test_a_token_is_sent(node, serve, tmp_path, monkeypatch):
    with serve("permissive", "--token", "secret") as running:
        script = "try { say((await client.model()).name); } catch (error) { say(error.status); }"
        assert run(node, running.url, script, tmp_path) == [401]
        monkeypatch.setenv("TOKEN", "secret")
        assert run(node, running.url, script, tmp_path) == ["permissive"]


def test_the_types_name_what_a_result_has():
    result = Recognizer().recognize(transcript="Hello").to_dict()
    first = CLIENT.read_text().partition("@typedef {object} Recognition\n")[2].partition("*/")[0]
    named = {line.split("}", 1)[1].split()[0] for line in first.splitlines() if "@property" in line}
    assert {"emotion", "scores", "warnings"} <= named <= set(result)
