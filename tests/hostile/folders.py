"""Model folders that are damaged, or made to harm."""

import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import bimodal_models
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bimodal import Recognizer
from bimodal.inference.model_folder import CONFIG, _config_digest, file_digest
from bimodal.records import Recognition
from tests.hostile.attempts import Attempt, World, command
from tests.hostile.recordings import WAV

Change = Callable[[Path], object]


def _config(change: Callable[[dict[str, Any]], object]) -> Change:
    """An edit of `config.json` by somebody who writes its digest anew."""

    def edit(folder: Path) -> None:
        content = json.loads((folder / CONFIG).read_text())
        change(content)
        content["digest"] = _config_digest(content)
        _put(folder / CONFIG, json.dumps(content).encode())

    return edit


def _raw(content: bytes) -> Change:
    return lambda folder: _put(folder / CONFIG, content)


def _file(name: str, content: bytes | Callable[[bytes], bytes]) -> Change:
    """Another content of a file, with its digest and that of `config.json` written anew."""

    def edit(folder: Path) -> None:
        before = (folder / name).read_bytes()
        _put(folder / name, content(before) if callable(content) else content)
        _seal(folder, name)

    return edit


def _seal(folder: Path, name: str) -> None:
    _config(lambda content: content["files"].update({name: file_digest(folder / name)}))(folder)


def _put(file: Path, content: bytes) -> None:
    file.unlink()  # it may be linked to the file of the packaged model
    file.write_bytes(content)


def _link(name: str, target: str) -> Change:
    def edit(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to(target)

    return edit


def _pipe(name: str) -> Change:
    def edit(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return edit


def _directory(name: str) -> Change:
    def edit(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return edit


def _weights_at(location: str, **more: str) -> Change:
    """The external weights of the speech network at another place."""

    def edit(content: bytes) -> bytes:
        network = onnx.load_from_string(content)
        for one in network.graph.initializer:
            for entry in one.external_data:
                if entry.key in {"location": location} | more:
                    entry.value = ({"location": location} | more)[entry.key]
        return network.SerializeToString()

    return _file("speech.onnx", edit)


def _nan_weights(content: bytes) -> bytes:
    network = onnx.load_from_string(content)
    one = next(one for one in network.graph.initializer if one.data_type == TensorProto.FLOAT and one.dims)
    shape = numpy_helper.to_array(one).shape
    one.CopyFrom(numpy_helper.from_array(np.full(shape, np.nan, np.float32), one.name))
    return network.SerializeToString()


def _custom(domain: str) -> bytes:
    told = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Run", ["x"], ["y"], domain=domain)], "g", told[:1], told[1:])
    sets = [helper.make_opsetid("", 18), helper.make_opsetid(domain, 1)]
    return helper.make_model(graph, opset_imports=sets, ir_version=9).SerializeToString()


def _giant() -> bytes:
    """A network that asks for petabytes."""
    told = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in ("pooled", "logits")]
    shape = numpy_helper.from_array(np.array([2**20, 2**20, 2**10], np.int64), "shape")
    node = helper.make_node("Expand", ["pooled", "shape"], ["logits"])
    graph = helper.make_graph([node], "g", told[:1], told[1:], [shape])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()


def _tensors(header: Any, data: bytes = b"") -> bytes:
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(content)) + content + data


ANYTHING = "."
STATS = "ood_stats.safetensors"
_ONE = {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}

FOLDERS: dict[str, tuple[Change, str]] = {
    "config-empty": (_raw(b""), "damaged"), "config-text": (_raw(b"hello"), "damaged"),
    "config-binary": (_raw(bytes(range(256))), "damaged"), "config-array": (_raw(b"[]"), "damaged"),
    "config-null": (_raw(b"null"), "damaged"), "config-deep": (_raw(b'{"a":' * 50_000), "damaged"),
    "config-utf-16": (_raw("{}".encode("utf-16")), "damaged"), "config-bom": (_raw(b"\xef\xbb\xbf{}"), "damaged"),
    "config-object": (_raw(b"{}"), "damaged"),
    "config-giant": (_raw(b'{"name": "' + b"a" * 20_000_000 + b'"}'), "expected at most|characters|damaged"),
    "config-nul": (_raw(b'{"name": "a\\u0000b"}'), "damaged|control"),
    "config-surrogate": (_raw(b'{"name": "\\ud800"}'), "damaged|control"),
    "config-folder": (_directory(CONFIG), "no model folder"), "config-pipe": (_pipe(CONFIG), "no model folder"),
    "config-loop": (_link(CONFIG, CONFIG), "no model folder"),
    "config-passwd": (_link(CONFIG, "/etc/passwd"), "damaged"),
    "config-zero": (_link(CONFIG, "/dev/zero"), "no model folder"),
    "schema-text": (_config(lambda c: c.update(schema="\x1b[31m")), "schema"),
    "schema-huge": (_config(lambda c: c.update(schema=10**30)), "schema|damaged"),
    "emotions-empty": (_config(lambda c: c.update(emotions=[], priors=[])), "0 emotions"),
    "emotions-many": (_config(lambda c: c.update(emotions=[f"e{n}" for n in range(5000)], priors=[1 / 5000] * 5000)),
        "5000 emotions"),
    "emotions-number": (_config(lambda c: c.update(emotions=5)), "damaged"),
    "emotions-more": (_config(lambda c: c.update(emotions=[*c["emotions"], "joy"], priors=[*c["priors"], 0.0])),
        "does not fit|has the shape"),
    "emotions-newline": (_config(lambda c: c["emotions"].__setitem__(0, "a\nb")), "control"),
    "emotions-long": (_config(lambda c: c["emotions"].__setitem__(0, "a" * 9999)), "9999 characters"),
    "priors-negative": (_config(lambda c: c["priors"].__setitem__(0, -0.5)), "priors"),
    "priors-text": (_config(lambda c: c.update(priors="abc")), "damaged"),
    "temperature-huge": (_config(lambda c: c["speech"].update(temperature=1e300)), "temperature"),
    "temperature-0": (_config(lambda c: c["text"].update(temperature=0.0)), "temperature"),
    "width-wrong": (_config(lambda c: c["speech"].update(embedding_width=3)), "shape|fit"),
    "width-float": (_config(lambda c: c["speech"].update(embedding_width=2.5)), "damaged"),
    "backbone-path": (_config(lambda c: c["speech"].update(backbone="../../etc")), ANYTHING),
    "backbone-url": (_config(lambda c: c["speech"].update(backbone="http://example.org/x")), ANYTHING),
    "backbone-absolute": (_config(lambda c: c["text"].update(backbone="/etc")), ANYTHING),
    "backbone-digest": (_config(lambda c: c["text"].update(backbone_digest="0" * 64)), "another version"),
    "pooling-unknown": (_config(lambda c: c["speech"]["pooling"].update(statistics=["mode"])), "damaged"),
    "pooling-less": (_config(lambda c: c["speech"]["pooling"].update(statistics=["p10"])), "shape|fit|fails"),
    "files-parent": (_config(lambda c: c["files"].update({"../x": "0" * 64})), "outside its folder"),
    "files-absolute": (_config(lambda c: c["files"].update({"/etc/passwd": "0" * 64})), "outside its folder"),
    "files-missing": (_config(lambda c: c["files"].update({"none.bin": "0" * 64})), "missing"),
    "files-empty-name": (_config(lambda c: c["files"].update({"": "0" * 64})), ANYTHING),
    "files-many": (_config(lambda c: c["files"].update({f"f{n}": "0" * 64 for n in range(20_000)})), ANYTHING),
    "files-nul": (_config(lambda c: c["files"].update({"a\0b": "0" * 64})), ANYTHING),
    "files-none": (_config(lambda c: c.update(files={})), "no digest of"),
    "context-huge": (_config(lambda c: c["text"].update(context=10**9)), "context"),
    "tta-unknown": (_config(lambda c: c["speech"].update(tta=["explode"])), ANYTHING),
    "columns-huge": (_config(lambda c: c["speech"].update(columns=[f"c{n}" for n in range(100_000)])), ANYTHING),
    "fusion-temperatures": (_config(lambda c: c.update(fusion_temperatures=[1.0, 1.0, float("1e-9")])), "|"),
    "unknown-key": (_config(lambda c: c.update(evil="x")), "|"),
    "speech-empty": (_file("speech.onnx", b""), "cannot be loaded"),
    "speech-zeros": (_file("speech.onnx", bytes(5000)), "cannot be loaded"),
    "speech-random": (_file("speech.onnx", np.random.default_rng(0).bytes(5000)), "cannot be loaded"),
    "speech-half": (_file("speech.onnx", lambda old: old[: len(old) // 2]), "cannot be loaded"),
    "speech-last-byte": (_file("speech.onnx", lambda old: old[:-1]), "cannot be loaded"),
    "speech-text-network": (lambda folder: _swap(folder, "text.onnx", "speech.onnx"),
        "is no speech network|does not fit|cannot be"),
    "text-fusion-network": (lambda folder: _swap(folder, "fusion.onnx", "text.onnx"),
        "is no text network|does not fit"),
    "text-nan": (_file("text.onnx", _nan_weights), "NaN or infinity|cannot be loaded"),
    "fusion-nan": (_file("fusion.onnx", _nan_weights), "NaN or infinity|cannot be loaded"),
    "text-custom": (_file("text.onnx", _custom("evil")), "cannot be loaded"),
    "text-python": (_file("text.onnx", _custom("ai.onnx.contrib")), "cannot be loaded"),
    "text-giant": (_file("text.onnx", _giant()), ANYTHING),
    "weights-parent": (_weights_at("../../../../etc/passwd"), "cannot be loaded"),
    "weights-absolute": (_weights_at("/etc/passwd"), "cannot be loaded"),
    "weights-device": (_weights_at("/dev/zero"), "cannot be loaded"), "weights-nul": (_weights_at("a\0b"), ANYTHING),
    "weights-url": (_weights_at("http://example.org/w"), "cannot be loaded"),
    "weights-missing": (_weights_at("none.bin"), "cannot be loaded"),
    "weights-offset": (_weights_at("speech.weights", offset=str(2**62)), "cannot be loaded"),
    "weights-negative": (_weights_at("speech.weights", offset="-1"), "cannot be loaded"),
    "weights-length": (_weights_at("speech.weights", length=str(2**62)), "cannot be loaded"),
    "weights-short": (_file("speech.weights", lambda old: old[:1000]), "cannot be loaded"),
    "weights-empty": (_file("speech.weights", b""), "cannot be loaded"),
    "weights-link": (lambda folder: _relink(folder, "speech.weights"), "cannot be loaded|altered|outside|link"),
    "weights-pipe": (_pipe("speech.weights"), "missing|cannot"),
    "weights-folder": (_directory("speech.weights"), "missing"),
    "text-link": (_link("text.onnx", "/etc/passwd"), "altered"), "text-pipe": (_pipe("text.onnx"), "missing"),
    "stats-empty": (_file(STATS, b""), "damaged|ood_stats"),
    "stats-header-giant": (_file(STATS, struct.pack("<Q", 2**62) + b"{}"), "damaged"),
    "stats-header-1": (_file(STATS, struct.pack("<Q", 1) + b"{"), "damaged"),
    "stats-not-json": (_file(STATS, _tensors(b"hello")), "damaged"),
    "stats-deep": (_file(STATS, _tensors(b'{"a":' * 10_000)), "damaged"),
    "stats-overlap": (_file(STATS, _tensors({"a": _ONE, "b": _ONE}, bytes(12))), "damaged"),
    "stats-beyond": (_file(STATS, _tensors({"a": _ONE}, b"")), "damaged"),
    "stats-dtype": (_file(STATS, _tensors({"a": _ONE | {"dtype": "X"}}, bytes(12))), "damaged"),
    "stats-shape": (_file(STATS, _tensors({"a": _ONE | {"shape": [2**40, 2**40]}}, bytes(12))), "damaged"),
    "stats-negative": (_file(STATS, _tensors({"a": _ONE | {"data_offsets": [12, 0]}}, bytes(12))), "damaged"),
    "stats-names": (_file(STATS, _tensors({"\x1b[31m": _ONE}, bytes(12))), "ood_stats"),
    "stats-none": (_file(STATS, _tensors({})), "|"),
    "stats-pickle": (_file(STATS, b"\x80\x04\x95" + bytes(90)), "damaged"),
    "folder-empty": (lambda folder: [file.unlink() for file in folder.iterdir()], "no model folder"),
    "readme-binary": (_file("README.md", bytes(range(256))), "|"),
    "report-array": (lambda folder: _put(folder / "report.json", b"[]"), "|"),
    "extra-file": (lambda folder: (folder / "evil.py").write_text("raise SystemExit"), ""),
    "backbone-inside": (lambda folder: (folder / "backbones" / "text").mkdir(parents=True), ANYTHING),
}  # fmt: skip
"""What is done to a packaged model, and the words of the sentence that refuses it; empty where it is used."""


def _swap(folder: Path, source: str, target: str) -> None:
    content = (folder / source).read_bytes()
    _put(folder / target, content)
    _seal(folder, target)


def _relink(folder: Path, name: str) -> None:
    """The file itself outside of the folder, and a link to it."""
    outside = folder.parent / "outside"
    shutil.copy(folder / name, outside)
    _link(name, "../outside")(folder)


def attempts() -> Iterator[Attempt]:
    """All attempts with model folders."""
    for number, (name, (change, refused)) in enumerate(FOLDERS.items()):
        yield Attempt(door="model folder", name=name, ask=partial(_use, change), refused=refused)
        if number % 8 == 0:
            yield Attempt(door="command line", name=f"models-{name}", ask=partial(_describe, change), refused="|")


def _changed(change: Change, world: World) -> Path:
    folder = world.place("model")
    shutil.copytree(Path(bimodal_models.__file__).parent / "permissive", folder, copy_function=_link_or_copy)
    change(folder)
    return folder


def _link_or_copy(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)
    return target


def _use(change: Change, world: World) -> Recognition:
    recognizer = Recognizer(_changed(change, world), threads=1)
    for stage in ("speech", "text", "fusion"):
        recognizer.model.session(stage)
    return recognizer.recognize(WAV, transcript="Stop that!")


def _describe(change: Change, world: World) -> str:
    return command("models", _changed(change, world))
