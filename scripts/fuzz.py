"""Fuzz what reads foreign bytes, guided by coverage (atheris): only documented errors may come out.

    python -m scripts.fuzz decode 100000      # or another of TARGETS below; how many executions
    python -m scripts.fuzz all 100000         # one after the other; `make fuzz RUNS=100000`

Seeds are made by code. What is found is written to build/fuzz/found, or below
BIMODAL_FUZZ, and becomes a case in tests/system/test_fuzz.py.
"""

import asyncio
import hashlib
import io
import json
import logging
import os
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np

ROOT = Path(__file__).parents[1]
PLACE: Final = Path(os.environ.get("BIMODAL_FUZZ", ROOT / "build" / "fuzz"))
FOUND: Final = PLACE / "found"
BOUNDARY: Final = b"frontier"
_MOST_SECONDS: Final = 120.0  # of decoded audio; the server has limits of its own


def decode(content: bytes) -> None:
    """Decode bytes as a recording; the first byte chooses a stretch, and mixed or single channels."""
    from bimodal.audio.decode import iterate_audio, read_header
    from bimodal.errors import AudioError

    kind, content = content[:1], content[1:]
    start, end = {b"s": (0.1, None), b"e": (None, 0.2), b"b": (0.1, 0.3)}.get(kind, (None, None))
    channel = 0 if kind == b"c" else None
    with suppress(AudioError):
        read_header(content)
    seconds = 0.0
    with suppress(AudioError):
        for signal, rate in iterate_audio(content, start=start, end=end, channel=channel, block_seconds=1.0):
            if signal.dtype != np.float32 or signal.ndim != 1 or not np.isfinite(signal).all():
                raise ValueError("a block is no finite signal")
            seconds += len(signal) / rate
            if seconds > _MOST_SECONDS:
                return


MODEL_FILES: Final = ("config.json", "fusion.onnx", "ood_stats.safetensors", "adaptation.safetensors")


def model(content: bytes) -> None:
    """Load a model folder in which one file, chosen by the first byte, holds these bytes; its digests are right."""
    from bimodal.errors import BimodalError
    from bimodal.inference.check_model import run_network
    from bimodal.inference.model import Model

    name, content = MODEL_FILES[int.from_bytes(content[:1]) % len(MODEL_FILES)], content[1:]
    with suppress(BimodalError):
        folder = _folder_with(name, content)
        opened = Model(folder, threads=1, verify=False)
        opened.ood_stats, opened.adaptation, opened.speakers  # noqa: B018 - loaded when read
        if name in ("config.json", "fusion.onnx"):
            session = opened.session("fusion")
            shapes = {one.name: [n if isinstance(n, int) else 1 for n in one.shape] for one in session.get_inputs()}
            run_network(session, {name: np.ones(shape, np.float32) for name, shape in shapes.items()}, folder)


@cache
def _model_folder() -> tuple[Path, dict[str, Any], dict[str, bytes]]:
    """A folder for the model that is fuzzed, its configuration, and the small files of a sound model."""
    from bimodal.inference.installed import find_model

    source, folder = find_model("permissive"), Path(tempfile.mkdtemp(prefix="bimodal-fuzz-"))
    held = {file.name: file.read_bytes() for file in source.iterdir() if file.name in MODEL_FILES}
    config = json.loads(held["config.json"])
    config.pop("digest", None)  # mutations would not get past it; strangers write their own
    keep = {graph: config["files"][graph] for graph in ("fusion.onnx", "speech.onnx", "text.onnx")}
    for graph in ("speech.onnx", "text.onnx"):
        (folder / graph).write_bytes((source / graph).read_bytes())
    config["files"] = keep | {"ood_stats.safetensors": config["files"]["ood_stats.safetensors"]}
    held["adaptation.safetensors"] = _adaptation(len(config["emotions"]))
    return folder, config, held


def _adaptation(emotions: int) -> bytes:
    from bimodal.features.adaptation import plain_adaptation, save_adaptation
    from bimodal.features.speaker_stats import measure_stats

    statistics = np.random.default_rng(0).normal(size=(5, 2, 4, 3)).astype(np.float32)
    stats = measure_stats(statistics)
    adaptation = plain_adaptation(stats, np.zeros(stats.mean.shape), np.ones(stats.mean.shape), emotions)
    with tempfile.TemporaryDirectory() as folder:
        save_adaptation(Path(folder) / "a.safetensors", adaptation)
        return (Path(folder) / "a.safetensors").read_bytes()


def _folder_with(name: str, content: bytes) -> Path:
    from bimodal.inference.model_folder import CONFIG

    folder, config, held = _model_folder()
    for other, sound in held.items():
        (folder / other).write_bytes(content if other == name else sound)
    if name != CONFIG:
        files = config["files"] | {name: hashlib.sha256(content).hexdigest()}
        (folder / CONFIG).write_text(json.dumps({**config, "files": files}))
    return folder


def form(content: bytes) -> None:
    """Read the body of a request as the server does, in chunks, with the fields of a clip and of a job."""
    from bimodal.service.limits import Limits
    from bimodal.service.problems import Problem

    with suppress(Problem):
        asyncio.run(_read_form(content, Limits()))


async def _read_form(content: bytes, limits: Any) -> None:
    from starlette.requests import Request

    from bimodal.service.forms import read_form
    from bimodal.service.jobs import spoken_words

    pieces = [content[first : first + 97] for first in range(0, len(content), 97)] or [b""]
    messages = iter([{"type": "http.request", "body": piece, "more_body": True} for piece in pieces])

    async def receive() -> dict[str, Any]:
        return next(messages, {"type": "http.request", "body": b"", "more_body": False})

    headers = [(b"content-type", b"multipart/form-data; boundary=" + BOUNDARY)]
    request = Request({"type": "http", "method": "POST", "headers": headers, "path": "/", "app": None}, receive)
    known = ("transcript", "transcript_confidence", "start", "end", "words", "explain", "channels")
    async with read_form(request, limits, known) as found:
        for name in ("start", "end", "transcript_confidence"):
            found.number(name)
        found.flag("explain")
        spoken_words(found.json("words", []))


def manifest(content: bytes) -> None:
    """Read bytes as a manifest: CSV, or JSON Lines if they begin with a brace."""
    from bimodal.data.check import check_manifest, describe
    from bimodal.data.manifest import inspect_manifest
    from bimodal.errors import BimodalError

    file = _scratch() / ("rows.jsonl" if content[:1] == b"{" else "rows.csv")
    file.write_bytes(content)
    with suppress(BimodalError):
        describe(check_manifest(inspect_manifest(file), probe_audio=False))


def settings(content: bytes) -> None:
    """Read bytes as a settings file, a map of labels, and, if they are text, a setting of the command line."""
    from bimodal.config import TrainConfig, read_config
    from bimodal.data.labels import read_emotion_map
    from bimodal.errors import BimodalError

    file = _scratch() / "settings.toml"
    file.write_bytes(content)
    with suppress(BimodalError):
        read_config(TrainConfig(), file)
    with suppress(BimodalError):
        read_emotion_map(file)
    with suppress(BimodalError):
        read_config(TrainConfig(), settings=[content.decode("utf-8", "surrogateescape")])


def scores(content: bytes) -> None:
    """Read bytes as the scores of another model (CSV, or JSON Lines if they begin with a brace), and as costs."""
    from bimodal.errors import BimodalError
    from bimodal.evaluation.abstention import read_costs
    from bimodal.evaluation.external import read_scores
    from bimodal.evaluation.predictions import read_predictions
    from bimodal.records import Manifest, Utterance

    rows = tuple(
        Utterance(id=name, path=f"wav/{name}.wav", emotion=emotion, speaker=name) for name, emotion in ROWS.items()
    )
    manifest = Manifest(path=_scratch() / "m.csv", utterances=rows, columns=("id", "path", "emotion", "speaker"))
    file = _scratch() / ("scores.jsonl" if content[:1] == b"{" else "scores.csv")
    file.write_bytes(content)
    for logits in (False, True):
        with suppress(BimodalError):
            found, _ = read_scores(file, manifest, logits=logits)
            if len(found.ids) != len(rows):
                raise ValueError(f"{len(found.ids)} rows, expected {len(rows)}")
    with suppress(BimodalError):
        read_predictions(file)
    with suppress(BimodalError):
        read_costs(file)


ROWS: Final = {"a": "angry", "b": "happy", "c": "angry"}
"""Rows of the manifest that scores are read for."""


def turns(content: bytes) -> None:
    """Read bytes as reference turns: RTTM, or TextGrid where the name of Praat's files stands in them."""
    from bimodal.data.turns import check_overlaps, read_turns
    from bimodal.errors import BimodalError

    file = _scratch() / ("a.TextGrid" if b"o\0o\0T" in content[:200] or b"ooText" in content[:200] else "a.rttm")
    (_scratch() / "a.wav").touch()
    file.write_bytes(content)
    with suppress(BimodalError):
        check_overlaps(read_turns(file).utterances)


READ_AS: Final = {
    b"e": ("emobox", "rows.jsonl"),
    b"k": ("kaldi", "wav.scp"),
    b"l": ("lhotse", "supervisions.jsonl"),
    b"s": ("speechbrain", "train.json"),
    b"t": ("label_studio", "tasks.json"),
}
"""Formats of other programs, and the file that is fuzzed, by the first byte."""


def exchange(content: bytes) -> None:
    """Read bytes as a file of another program's format, which the first byte chooses."""
    from bimodal.data.exchange import EXCHANGE
    from bimodal.data.exchange.info import ReadOptions
    from bimodal.errors import BimodalError

    name, file = READ_AS.get(content[:1], READ_AS[b"t"])
    folder = _scratch() / name
    folder.mkdir(exist_ok=True)
    (folder / file).write_bytes(content[1:])
    if name == "lhotse":
        sources = [{"type": "file", "channels": [0], "source": "a.wav"}]
        (folder / "recordings.jsonl").write_text(json.dumps({"id": "a", "sources": sources, "duration": 2.0}))
    with suppress(BimodalError):
        EXCHANGE[name].read(folder, ReadOptions(scratch=folder / "scratch"))


SOURCES: Final = {b"c": ".csv", b"j": ".jsonl", b"p": ".parquet", b"t": ".tar"}


def sources(content: bytes) -> None:
    """List bytes as a source of bulk recognition, and fetch what it holds; the first byte chooses the kind."""
    from itertools import islice

    from bimodal.errors import BimodalError
    from bimodal.scale.fetch import fetch
    from bimodal.scale.listing import list_items

    file = _scratch() / f"a{SOURCES.get(content[:1], '.csv')}"
    file.write_bytes(content[1:])
    with suppress(BimodalError):
        for item in islice(list_items([str(file)]), 100):
            found = fetch(item)
            if isinstance(found, BimodalError) and not str(found):
                raise ValueError("an error without a sentence")


@cache
def _scratch() -> Path:
    return Path(tempfile.mkdtemp(prefix="bimodal-fuzz-"))


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "decode": decode,
    "model": model,
    "form": form,
    "manifest": manifest,
    "settings": settings,
    "scores": scores,
    "turns": turns,
    "exchange": exchange,
    "sources": sources,
}


MODULES: Final = {
    "decode": ["bimodal.audio.decode"],
    "model": ["bimodal.inference.model", "bimodal.inference.installed"],
    "form": ["bimodal.service.forms", "bimodal.service.jobs"],
    "manifest": ["bimodal.data.check", "bimodal.data.manifest"],
    "settings": ["bimodal.config", "bimodal.data.labels"],
    "scores": ["bimodal.evaluation.external", "bimodal.evaluation.abstention", "bimodal.evaluation.predictions"],
    "turns": ["bimodal.data.turns"],
    "exchange": ["bimodal.data.exchange"],
    "sources": ["bimodal.scale.listing", "bimodal.scale.fetch"],
}
"""What coverage is measured in."""


def seeds(target: str) -> Iterator[bytes]:
    """Small sound inputs of a target."""
    made = {
        "decode": _recordings,
        "model": _model_files,
        "form": _forms,
        "manifest": _manifests,
        "settings": _settings,
        "scores": _scores,
        "turns": _turns,
        "exchange": _exchange,
        "sources": _sources,
    }
    yield from made[target]()


def _recordings() -> Iterator[bytes]:
    import av
    import soundfile

    signal = 0.3 * np.sin(np.arange(3200) / 5)
    for name in ("WAV", "FLAC", "AIFF", "AU", "CAF", "W64", "RF64", "OGG", "MP3"):
        for subtype in [next(iter(soundfile.available_subtypes(name))), soundfile.default_subtype(name)]:
            with suppress(soundfile.LibsndfileError, ValueError):
                soundfile.write(out := io.BytesIO(), signal, 16_000, format=name, subtype=subtype)
                yield from (kind + out.getvalue() for kind in (b"w", b"b", b"c"))
    for name, codec, rate in (("mp4", "aac", 16_000), ("webm", "libopus", 48_000), ("matroska", "flac", 16_000)):
        out = io.BytesIO()
        with av.open(out, "w", format=name) as file:
            stream = file.add_stream(codec, rate=rate, layout="mono")
            frame = av.AudioFrame.from_ndarray((signal * 9000).astype(np.int16)[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = rate, 0
            for packet in [*stream.encode(frame), *stream.encode(None)]:
                file.mux(packet)
        yield b"w" + out.getvalue()


def _model_files() -> Iterator[bytes]:
    _, config, held = _model_folder()
    held = held | {"config.json": json.dumps(config).encode()}
    yield from (bytes([number]) + held[name] for number, name in enumerate(MODEL_FILES))


def _forms() -> Iterator[bytes]:
    def part(head: str, body: bytes) -> bytes:
        return b"--" + BOUNDARY + b"\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + body + b"\r\n"

    end = b"--" + BOUNDARY + b"--\r\n"
    audio = part('name="audio"; filename="a.wav"', b"RIFF" + bytes(300))
    words = json.dumps([{"start": 0, "end": 1.5, "transcript": "Hi.", "speaker": "a"}]).encode()
    yield audio + end
    yield audio + part('name="transcript"', "Grüß Gott".encode()) + part('name="start"', b"0.5") + end
    yield audio + part('name="words"', words) + part('name="explain"', b"true") + end
    yield part('name="words"', words) + part('name="transcript_confidence"', b"1e-3") + end


def _manifests() -> Iterator[bytes]:
    yield b"path,transcript,emotion,speaker,split,start,end\na.wav,Hi.,anger,s1,train,0,1\nb.wav,,joy,s2,test,,\n"
    yield '\ufeffsep=;\nfile;text;label\na.wav;"a;b\n";happy\n'.encode()
    yield b'{"path": "a.wav", "emotion": "anger", "start": 0.5, "end": 2}\n{"path": "b.wav", "speaker": "s"}\n'


def _settings() -> Iterator[bytes]:
    yield b'name = "mine"\nseed = 3\nthreads = 1\n[speech]\nepochs = 5\nlayers = [1, 2]\n[fusion]\nkind = "gate"\n'
    yield b'name = "mine"\nversion = 1\nvocabulary = "ekman7"\n[map]\ngrumpy = "anger"\nodd = ""\n'
    yield b"speech.epochs=5"
    yield b'emotions = ["upset", "fine"]\nversion = 1\nname = "x"\n'


def _scores() -> Iterator[bytes]:
    yield b"id,anger,joy\na,0.9,0.1\nb,0.2,0.8\nc,0.5,0.5\n"
    yield b"file;prediction\na.wav;anger\nb.wav;happy\nc.wav;nan\n"
    yield b'{"id": "a", "scores": {"anger": 1, "joy": 0}}\n{"id": "b"}\n{"id": "c"}\n'
    yield b"id,cluster:speaker,truth,fused,fused:anger,fused:joy\na,s,anger,anger,0.9,0.1\nb,s,joy,,,\nc,t,joy,,,\n"
    yield b"abstain = 0.3\n[wrong]\nanger = 5\n"


def _turns() -> Iterator[bytes]:
    yield b";; x\nSPEAKER a 1 0.5 1.25 <NA> <NA> anger 0.7 <NA>\nSPEAKER a.wav 2 1 3 <NA> <NA> joy <NA> <NA>\n"
    tier = '"IntervalTier" "Ann emotion" 0 4 2 0 1.5 "anger" 1.5 4 "so ""what"""'
    grid = f'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0 4 <exists> 2 {tier} "TextTier" "x" 0 4 1 2 "y"'
    yield grid.encode()
    yield grid.encode("utf-16")


def _exchange() -> Iterator[bytes]:
    row = {"key": "a", "wav": "a.wav", "emo": "joy", "start_time": 0.5, "end_time": 1, "spk": "s", "fold": 2}
    yield b"e" + json.dumps(row).encode()
    yield b"ka a.wav\nb sub/b.wav\n"
    said = {"id": "u", "recording_id": "a", "start": 0.25, "duration": 1.0, "text": "Hi", "custom": {"emotion": "joy"}}
    yield b"l" + json.dumps(said).encode()
    yield b"s" + json.dumps({"u": {"wav": {"file": "{data_root}/a.wav", "start": 1, "stop": 9}, "emo": "joy"}}).encode()
    choice = {"type": "choices", "value": {"start": 0.1, "end": 0.5, "choices": ["joy"]}}
    task = {"id": 1, "data": {"audio": "/data/local-files/?d=a%20b.wav", "text": "Hi"}}
    yield b"t" + json.dumps([{**task, "annotations": [{"result": [choice]}]}, {"id": 2, "text": "x"}]).encode()


def _sources() -> Iterator[bytes]:
    import tarfile

    import pyarrow as pa
    from pyarrow import parquet

    yield b"cpath,transcript,speaker,start,end\na.wav,Hi.,s1,0,1\nb.wav,,s2,,\n"
    yield b'j{"path": "a.wav", "start": 0.5, "end": 2}\n{"transcript": "Hi.", "speaker": "s"}\n'
    for table in ({"path": ["a.wav"], "start": [0.5]}, {"audio": [{"bytes": b"RIFF", "path": None}], "text": ["Hi."]}):
        parquet.write_table(pa.Table.from_pydict(table), out := io.BytesIO(), compression="none")
        yield b"p" + out.getvalue()
    with tarfile.open(fileobj=(out := io.BytesIO()), mode="w") as archive:
        for name, content in {"0.wav": b"RIFF", "0.txt": b"Hi.", "0.json": b'{"speaker": "s"}'}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    yield b"t" + out.getvalue()


def noting(target: str, found: Path) -> Callable[[bytes], None]:
    """The target, which goes on after an error that nothing documents: the first input of each kind is stored."""
    seen: set[str] = set()

    def checked(content: bytes) -> None:
        try:
            TARGETS[target](content)
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{target}-{type(error).__name__}-{Path(frame.filename).stem}-{frame.lineno}"
            if kind not in seen:
                seen.add(kind)
                (found / kind).write_bytes(content)
                traceback.print_exc()

    return checked


def run(target: str, runs: int) -> None:
    """Fuzz one target in this process, which ends with it; never returns."""
    import atheris

    with atheris.instrument_imports(include=["bimodal", "starlette", "python_multipart"]):
        for module in MODULES[target]:
            import_module(module)
    warnings.simplefilter("ignore")
    logging.disable()
    corpus, made = PLACE / target, list(seeds(target))
    for folder in (corpus, FOUND):
        folder.mkdir(parents=True, exist_ok=True)
    for seed in made:
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    options = [f"-runs={runs}", "-seed=1", "-timeout=60", "-rss_limit_mb=3000", f"-max_len={2 * max(map(len, made))}"]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={FOUND}/{target}-", str(corpus)], noting(target, FOUND))
    atheris.Fuzz()


def main() -> None:
    """Fuzz the named target, or all, each in a process of its own; exit 1 if one finds something."""
    target, runs, inside = sys.argv[1], int(sys.argv[2]), sys.argv[3:] == ["--inside"]
    if inside:
        run(target, runs)
    before, crashed = set(FOUND.glob("*")), False
    for name in TARGETS if target == "all" else (target,):
        command = [sys.executable, "-m", "scripts.fuzz", name, str(runs), "--inside"]
        crashed |= subprocess.run(command, check=False).returncode != 0
    found = sorted(set(FOUND.glob("*")) - before)
    print(f"{runs} executions of {target}: {len(found)} found", *found, sep="\n  ")
    sys.exit(bool(found) or crashed)


if __name__ == "__main__":
    main()
