"""SECURITY.md: each promise names a test that exists; and what no single module promises."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROMISES = [
    line.split("|")[1:3]
    for line in (ROOT / "SECURITY.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("|") and "`test" in line
]


def test_each_promise_names_tests_that_exist():
    assert len(PROMISES) >= 15
    functions = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        functions |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for promise, named in PROMISES:
        for name in re.findall("`([^`]+)`", named):
            assert name in functions or (ROOT / name).is_file(), f"{promise.strip()}: no test {name}"


FORBIDDEN = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal"}


@pytest.mark.parametrize("file", sorted((ROOT / "src").rglob("*.py")), ids=lambda file: file.stem)
def test_nothing_reads_a_pickle(file: Path):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not FORBIDDEN & {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in FORBIDDEN
        elif isinstance(node, ast.Call):
            named = ast.unparse(node.func)
            options = {option.arg: ast.unparse(option.value) for option in node.keywords}
            assert named not in ("eval", "exec", "torch.load") or options.get("weights_only") == "True", named
            assert options.get("allow_pickle", "False") == "False"
