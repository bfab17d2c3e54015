"""Manifests and settings that are wrong, strange, or huge."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from bimodal.config import TrainConfig, read_config
from bimodal.data.manifest import read_manifest
from bimodal.records import Manifest
from tests.hostile.attempts import Attempt, World, command

HEAD = "path,transcript,emotion,speaker,split\n"
ROW = "a.wav,Hello.,joy,s1,train\n"
FIRST = (("path", "a.wav"), ("transcript", "Hello."), ("emotion", "joy"), ("speaker", "s1"), ("split", "train"))
MANY = 100_000

MANIFESTS: dict[str, tuple[bytes | str | Callable[[], bytes | str], int | str]] = {
    "plain.csv": (HEAD + ROW, 1), "bom.csv": ("\ufeff" + HEAD + ROW, 1),
    "bom-thrice.csv": ("\ufeff\ufeff\ufeff" + HEAD + ROW, 1), "utf-16.csv": ((HEAD + ROW).encode("utf-16"), "UTF-16"),
    "utf-16-le.csv": ((HEAD + ROW).encode("utf-16-le"), "UTF-16"),
    "utf-32.csv": ((HEAD + ROW).encode("utf-32"), "UTF-16|UTF-32|UTF-8"),
    "latin-1.csv": ((HEAD + "a.wav,Café.,joy,s1,train\n").encode("latin-1"), "0xe9 at position 10"),
    "cp1252.csv": ((HEAD + "a.wav,“Hm”,joy,s1,train\n").encode("cp1252"), "not UTF-8"),
    "gb18030.csv": ((HEAD + "a.wav,你好,joy,s1,train\n").encode("gb18030"), "not UTF-8"),
    "overlong-utf-8.csv": (HEAD.encode() + b"a\xc0\xaf.wav,,,,\n", "not UTF-8"),
    "surrogate-utf-8.csv": (HEAD.encode() + b"a.wav,\xed\xa0\x80,,,\n", "not UTF-8"), "empty.csv": ("", "empty"),
    "blank.csv": ("\n\n \n", "empty"), "only-bom.csv": ("\ufeff", "empty"), "head-alone.csv": (HEAD, "no utterance"),
    "no-newline.csv": (HEAD + ROW.rstrip(), 1), "mac-lines.csv": ((HEAD + ROW).replace("\n", "\r"), 1),
    "mixed-lines.csv": (HEAD.replace("\n", "\r\n") + ROW + ROW.replace("a.wav", "b.wav").replace("\n", "\r"), 2),
    "nul.csv": (HEAD + "a.wav,He\0llo,joy,s1,train\n", "NUL"),
    "nul-name.csv": (HEAD.replace("speaker", "spea\0ker") + ROW, "UTF-16"), "all-nul.csv": (b"\0" * 5000, "UTF-16"),
    "semicolon.csv": ((HEAD + ROW).replace(",", ";"), 1), "tabs.tsv": ((HEAD + ROW).replace(",", "\t"), 1),
    "pipes.csv": ((HEAD + ROW).replace(",", "|"), "none of path"),
    "excel.csv": ("sep=;\n" + (HEAD + ROW).replace(",", ";"), 1),
    "excel-wrong.csv": ("sep=x\n" + HEAD + ROW, "none of path|cells"),
    "quotes.csv": (HEAD + '"a.wav","He said ""no"", twice",joy,s1,train\n', 1),
    "quote-open.csv": (HEAD + '"a.wav,Hello.,joy,s1,train\n', "quotation mark"),
    "quote-inside.csv": (HEAD + 'a.wav,"He"llo,joy,s1,train\n', "quotation mark"),
    "quote-newline.csv": (HEAD + 'a.wav,"two\nlines",joy,s1,train\n', 1),
    "cells-more.csv": (HEAD + ROW.rstrip() + ",x,y\n", "7 cells, the header has 5"),
    "cells-fewer.csv": (HEAD + "a.wav,Hello.\n", "2 cells, the header has 5"),
    "commas.csv": (HEAD + "," * 4 + "\n", "neither a path nor a transcript"),
    "twice-column.csv": ("path,path,transcript\na.wav,b.wav,x\n", "'path' stands 2 times"),
    "no-name.csv": ("path,,transcript\na.wav,x,y\n", "a column has no name"),
    "spaces.csv": (" path , transcript \n a.wav , Hello. \n", 1), "upper.csv": ("PATH,TRANSCRIPT\na.wav,x\n", 1),
    "id-twice.csv": ("id,path\nx,a.wav\nx,b.wav\n", "id 'x' again"), "same-row.csv": (HEAD + ROW + ROW, "again"),
    "unknown-split.csv": (HEAD + ROW.replace("train", "later"), "unknown split 'later'"),
    "wide.csv": (lambda: ",".join(["path", *(f"c{n}" for n in range(MANY))]) + "\n", "100001 columns"),
    "wide.jsonl": (lambda: json.dumps({f"c{n}": n for n in range(MANY)}), "100000 values"),
    "wide-row.csv": (lambda: HEAD + "," * 1_000_000 + "\n", "1000001 cells"),
    "long-cell.csv": (lambda: HEAD + ROW.replace("Hello.", "x" * 200_000), "131072|limit"),
    "long-name.csv": (lambda: "path," + "x" * 100_000 + "\na.wav,1\n", 1),
    "long-path.csv": (lambda: HEAD + ROW.replace("a.wav", "d/" * 60_000 + "a.wav"), "|"),
    "many-rows.csv": (lambda: HEAD + "".join(f"{n}.wav,Hm.,joy,s{n % 9},train\n" for n in range(20_000)), 20_000),
    "quotes-alone.csv": (lambda: HEAD + '"' * 100_001, "quotation mark"),
    "commas-alone.csv": (lambda: "," * 100_000, "columns|no name"),
    "columns-of-rows.jsonl": (lambda: "\n".join(json.dumps({"path": f"{n}.wav", f"c{n}": 1}) for n in range(30_000)),
        "columns|values"),
    "formula.csv": (HEAD + ROW.replace("Hello.", "=cmd|' /C calc'!A0"), 1),
    "control.csv": (HEAD + ROW.replace("Hello.", "\x1b[31mred\x07"), 1),
    "control-in-split.csv": (HEAD + ROW.replace("train", "\x1b[31mred"), "unknown split"),
    "right-to-left.csv": (HEAD + ROW.replace("Hello.", "\u202eمرحبا\u202c"), 1),
    "emoji.csv": (HEAD + ROW.replace("Hello.", "👩‍👩‍👧‍👦" * 500), 1),
    "zalgo.csv": (HEAD + ROW.replace("Hello.", "h" + "\u0335\u0321" * 3000), 1),
    "line-separators.csv": (HEAD + ROW.replace("Hello.", "a\u2028b\u2029c\x0bd\x0ce\x85f"), 1),
    "parent.csv": (HEAD + ROW.replace("a.wav", "../../etc/passwd"), "outside|leaves|below"),
    "absolute.csv": (HEAD + ROW.replace("a.wav", "/etc/passwd"), "absolute|outside|below|--root"),
    "home.csv": (HEAD + ROW.replace("a.wav", "~/a.wav"), "--root|outside|home|~"),
    "backslash.csv": (HEAD + ROW.replace("a.wav", "..\\..\\a.wav"), "|"),
    "drive.csv": (HEAD + ROW.replace("a.wav", "C:\\a.wav"), "|"),
    "url.csv": (HEAD + ROW.replace("a.wav", "http://example.org/a.wav"), "|"),
    "dots.csv": (HEAD + ROW.replace("a.wav", "."), "|"),
    "html.csv": ("<!doctype html><html>\n<body>404</body></html>\n", "none of path"),
    "zip.csv": (b"PK\3\4" + bytes(range(256)) * 9, "UTF-8|NUL"), "json.csv": ('{"path": "a.wav"}\n', "none of path"),
    "csv.jsonl": (HEAD + ROW, "JSON"), "array.jsonl": ('[{"path": "a.wav"}]', "object|JSON"),
    "number.jsonl": ("5\n", "object|JSON"), "null.jsonl": ("null\n", "object|JSON"),
    "nested.jsonl": ('{"path": {"a": 1}}\n', "'path' holds a dict"),
    "deep.jsonl": ("[" * 100_000, "deep|JSON|nested"), "deep-object.jsonl": ('{"a":' * 50_000, "deep|JSON|nested"),
    "nan.jsonl": ('{"path": "a.wav", "start": NaN}', "NaN is not a number in JSON"),
    "infinity.jsonl": ('{"path": "a.wav", "start": -Infinity}', "-Infinity is not a number"),
    "big-number.jsonl": (lambda: '{"path": "a.wav", "start": ' + "9" * 10_000 + "}", "start|digits|JSON"),
    "big-exponent.jsonl": ('{"path": "a.wav", "start": 1e999}', "start is"),
    "surrogate.jsonl": ('{"path": "a.wav", "transcript": "\\ud800"}', "half of a surrogate pair"),
    "key-twice.jsonl": ('{"path": "a.wav", "path": "b.wav"}', "twice"),
    "comma-left.jsonl": ('{"path": "a.wav",}', "JSON"),
    "two-in-line.jsonl": ('{"path": "a.wav"} {"path": "b.wav"}', "JSON"),
    "comment.jsonl": ('// hm\n{"path": "a.wav"}', "JSON"),
    "blank-lines.jsonl": ('\n{"path": "a.wav"}\n\n{"path": "b.wav"}\n\n', 2),
    "bool.jsonl": ('{"path": "a.wav", "start": true}', "start is"),
    "numbers.jsonl": ('{"path": "a.wav", "transcript": 5, "speaker": 1}', 1),
    "empty-key.jsonl": ('{"": 1, "path": "a.wav"}', "no name"), "name.txt": (HEAD + ROW, "ends in .csv"),
    "name.xlsx": (b"PK\3\4", "ends in .csv"), "name.CSV": (HEAD + ROW, 1),
}  # fmt: skip
"""Manifests: what stands in them, and how many rows are read or the words of the sentence."""

TIMES = {
    "0": 0.0, "1.5": 1.5, "1e2": 100.0, "0 days 00:00:01.5": 1.5, "00:01:00": 60.0, "": None, "-1": "start is '-1'",
    "nan": "start is 'nan'", "inf": "start is", "1,5": "start is|cells", "1_000": "start is", "0x10": "start is",
    "１": "start is", "1e400": "start is", "abc": "start is", "1.5s": "start is", "25:99:99": "start is", "-0": 0.0,
    " 2 ": 2.0, "+3": 3.0, "٣": "start is", "1 000": "start is", "00:00": "start is", "1e-400": 0.0,
    "9" * 400: "start is",
}  # fmt: skip
"""Cells of the column start, and what they mean."""

SETTINGS: dict[str, tuple[bytes | str, str]] = {
    "empty": ("", ""), "comment": ("# nothing\n", ""), "bom": ("\ufeffseed = 1\n", "|"), "right": ("seed = 3\n", ""),
    "utf-16": ("seed = 1".encode("utf-16"), "UTF-8|TOML"), "latin-1": ("name = 'é'".encode("latin-1"), "UTF-8|TOML"),
    "nul": ("name = 'a\0b'", "TOML"), "binary": (bytes(range(256)), "UTF-8|TOML"), "yaml": ("seed: 1\n", "TOML"),
    "json": ('{"seed": 1}', "TOML"), "open-string": ("name = 'a", "TOML"), "twice": ("seed = 1\nseed = 2", "TOML"),
    "table-twice": ("[speech]\n[speech]\n", "TOML"), "unknown": ("colour = 1", "unknown key 'colour'"),
    "unknown-table": ("[video]\nepochs = 1", "unknown key 'video'"), "seed-negative": ("seed = -1", "seed"),
    "seed-float": ("seed = 1.5", "seed"), "seed-huge": ("seed = 99999999999999999999999999", "seed|TOML"),
    "seed-text": ("seed = 'x'", "seed"), "seed-date": ("seed = 2020-01-01", "seed"),
    "seed-list": ("seed = [1]", "seed"), "epochs-huge": ("[speech]\nepochs = 1000000000", "epochs"),
    "epochs-nan": ("[speech]\nepochs = nan", "epochs"),
    "rate-nan": ("[speech]\nlearning_rate = nan", "learning_rate"),
    "rate-inf": ("[speech]\nlearning_rate = inf", "learning_rate"),
    "rate-0": ("[speech]\nlearning_rate = 0", "learning_rate"),
    "rate-bool": ("[speech]\nlearning_rate = true", "learning_rate"),
    "dropout-1": ("[speech]\ndropout = 1.0", "dropout"), "dropout-nan": ("[speech]\ndropout = -nan", "dropout"),
    "batch-0": ("[speech]\nbatch_size = 0", "batch_size"),
    "width-huge": ("[speech]\nhidden_width = 1000000000000", "hidden_width"),
    "table-as-value": ("speech = 5", "is a table"), "value-as-table": ("[seed]\na = 1", "seed"),
    "dotted": ("speech.epochs = 3", ""), "inline": ("speech = {epochs = 3}", ""), "quoted-key": ('"seed" = 3', ""),
    "empty-key": ('"" = 3', "unknown key ''"), "control-key": ('"\\u001b[31m" = 3', "unknown key"),
    "emoji-key": ('"😀" = 3', "unknown key"), "deep": ("a = " + "[" * 10_000, "TOML|deep"),
    "deep-tables": ("[" + ".".join("a" * 5000) + "]", "unknown key|deep|TOML"),
    "long-key": ("x" * 100_000 + " = 1", "unknown key|longer|TOML"),
    "long-value": (f"name = '{'x' * 1_000_000}'", "name|expected at most|long"),
    "name-control": ("name = \"\\u001b[31mred\"", "name"), "name-newline": ("name = \"a\\nb\"", "name"),
    "licence-control": ("licence = \"\\u202e\"", "licence|control"),
    "old-name": ("[speech]\nheads = 3", "ensemble_size"), "loss": ("[text.loss]\naffinity = 'triplet'", "affinity"),
    "threads": ("threads = 100000", "threads"),
}  # fmt: skip
"""Files of settings, and the words of the sentence; empty where they are read."""

SETS = (
    "speech.epochs", "=", "=5", "speech.=5", ".epochs=5", "speech..epochs=5", "speech.epochs=", "speech.epochs=1e400",
    "speech.epochs=5; import os", "seed=0x10000000000000000", "name=\"\\u001b[31m\"", "speech.epochs=[",
    "a" * 100_000 + "=1", "speech.loss.gamma=inf", "\x1b[31m=1", "speech.epochs=5\nseed=7\nx=1", "speech={}=1",
    "[speech]", "speech.loss.gamma.x=1",
)  # fmt: skip
"""Values of `--set` that are refused."""


def attempts() -> Iterator[Attempt]:
    """All attempts with manifests and settings."""
    for name, (content, expected) in MANIFESTS.items():
        refused = expected if isinstance(expected, str) else ""
        wrong = partial(_wrong_rows, expected)
        yield Attempt(door="manifest", name=name, ask=partial(_read, name, content), refused=refused, wrong=wrong)
    for cell, expected in TIMES.items():
        content = json.dumps({"path": "a.wav", "start": cell})
        refused = expected if isinstance(expected, str) else ""
        ask = partial(_read, "times.jsonl", content)
        yield Attempt(
            door="manifest", name=f"start-{cell:.20}", ask=ask, refused=refused, wrong=partial(_wrong_start, expected)
        )
    for number, name in enumerate(MANIFESTS):
        if number % 3 == 0:
            ask = partial(_check, name, MANIFESTS[name][0])
            yield Attempt(door="command line", name=f"check-{name}", ask=ask, refused=".")
    for name, (content, refused) in SETTINGS.items():
        yield Attempt(door="settings", name=name, ask=partial(_settings, content), refused=refused)
    for setting in SETS:
        yield Attempt(door="settings", name=f"set-{setting:.20}", ask=partial(_set, setting), refused="--set")


def _bytes(content: Any) -> bytes:
    made = content() if callable(content) else content
    return made if isinstance(made, bytes) else made.encode()


def _read(name: str, content: Any, world: World) -> Manifest:
    path = world.place(name)
    path.write_bytes(_bytes(content))
    return read_manifest(path)


def _check(name: str, content: Any, world: World) -> str:
    """The recordings are missing, so `check` never says that all is well."""
    path = world.place(name)
    path.write_bytes(_bytes(content))
    return command("check", path)


def _wrong_rows(expected: Any, manifest: Manifest) -> str:
    if expected == "|":
        return ""
    if len(manifest.utterances) != expected:
        return f"{len(manifest.utterances)} rows, expected {expected}"
    first = manifest.utterances[0].path
    return "" if first and first.endswith(".wav") else f"the first recording is {first!r}"


def _wrong_start(expected: Any, manifest: Manifest) -> str:
    found = manifest.utterances[0].start
    return "" if found == expected else f"start {found}, expected {expected}"


def _settings(content: Any, world: World) -> TrainConfig:
    path = world.place("train.toml")
    path.write_bytes(_bytes(content))
    return read_config(TrainConfig(), path)


def _set(setting: str, world: World) -> TrainConfig:
    return read_config(TrainConfig(), None, [setting])
