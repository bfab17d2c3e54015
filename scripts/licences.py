"""Check the licence of each installed dependency against `licences.toml`; needs no network.

Each dependency of the package and of all its extras must be permissive, or be named with a reason. What is not
permissive is printed with the extras that bring it.
"""

import re
import sys
import tomllib
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
OURS = "bimodal-emotion"


def read_rules(file: Path = ROOT / "scripts" / "licences.toml") -> dict[str, Any]:
    """What is allowed, as the TOML file says it."""
    return tomllib.loads(file.read_text(encoding="utf-8"))


def declared(metadata: Any, spoken: Mapping[str, str]) -> str:
    """The licence that a package's metadata declare, as an SPDX expression; empty if they declare none.

    Example:
        >>> from email.message import Message
        >>> old = Message()
        >>> old["Classifier"] = "License :: OSI Approved :: MIT License"
        >>> declared(old, {"MIT License": "MIT"})
        'MIT'
    """
    if expression := metadata.get("License-Expression"):  # not `[...]`: `importlib_metadata` raises where it is missing
        return str(expression)
    classifiers = metadata.get_all("Classifier") or []
    names = [name.rsplit(" :: ", 1)[-1] for name in classifiers if name.startswith("License ::")]
    first_line = (metadata.get("License") or "").strip().partition("\n")[0]
    return " AND ".join(spoken.get(name, name) for name in names or [first_line] if name)


def is_permissive(expression: str, permissive: Iterable[str]) -> bool:
    """Whether each part of an SPDX expression is allowed; of alternatives, one is enough.

    Example:
        >>> is_permissive("MIT AND (Apache-2.0 OR GPL-3.0-only)", ["MIT", "Apache-2.0"]), is_permissive("", ["MIT"])
        (True, False)
    """
    allowed = set(permissive)
    parts = [part.strip(" ()") for part in re.split(r"\bAND\b", expression)]
    return all(bool(allowed & {name.strip(" ()") for name in re.split(r"\bOR\b", part)}) for part in parts)


def dependencies() -> dict[str, set[str]]:
    """Extras that bring each dependency; `base` is the installation without extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: dict[str, set[str]] = defaultdict(set)
    for extra, wanted in {"base": project["dependencies"], **project["optional-dependencies"]}.items():
        for name in _closure(wanted, project["optional-dependencies"]):
            found[name].add(extra)
    return {name: extras for name, extras in found.items() if not name.startswith("bimodal-")}


def _closure(wanted: Iterable[str], extras: Mapping[str, list[str]]) -> set[str]:
    waiting, seen = deque(map(Requirement, wanted)), set()
    while waiting:
        requirement = waiting.popleft()
        name, asked = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, asked) in seen or not _applies(requirement, {""}):
            continue
        seen.add((name, asked))
        if name == OURS:
            waiting += [Requirement(line) for extra in asked for line in extras[extra]]
        elif (package := _installed(name)) is not None:
            waiting += [one for one in map(Requirement, package.requires or []) if _applies(one, {"", *asked})]
    return {name for name, _ in seen}


def _applies(requirement: Requirement, extras: set[str]) -> bool:
    marker = requirement.marker
    if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
        requirement.marker = None
        return True
    return False


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def carried(package: Distribution, libraries: Mapping[str, str]) -> dict[str, str]:
    """Shared libraries in a package's files whose licence is not permissive: file name to licence."""
    names = [Path(str(file)).name for file in package.files or [] if re.search(r"\.(so|dylib|dll)\b", str(file))]
    return {name: licence for name in names for start, licence in libraries.items() if name.startswith(start)}


def check_package(name: str, package: Distribution, rules: Mapping[str, Any]) -> str:
    """What is wrong with the licence of a package; empty if nothing is."""
    found, named = declared(package.metadata, rules["spoken"]), rules["named"].get(name)
    if named is None:
        wanted = [found] if not is_permissive(found, rules["permissive"]) else []
        allowed = set()
    else:
        allowed = {part.strip() for part in named["licence"].split(" AND ")}
        wanted = [part.strip() for part in found.split(" AND ") if found]
    inside = [
        f"{library}: {licence}"
        for library, licence in carried(package, rules["libraries"]).items()
        if licence not in allowed
    ]
    missing = [part or "no licence declared" for part in wanted if part not in allowed] + inside
    return f"{name}: {', '.join(missing)}; expected in scripts/licences.toml, with a reason" if missing else ""


def check_licences() -> tuple[list[str], list[str]]:
    """Notes on what is allowed by name, and problems: one line each."""
    rules, notes, problems = read_rules(), [], []
    for name, extras in sorted(dependencies().items()):
        package, named = _installed(name), rules["named"].get(name)
        if package is None:
            continue
        if named is not None:
            brought = "base" if "base" in extras else ", ".join(sorted(extras))
            notes.append(f"{name} ({brought}): {named['licence']}. {named['reason']}")
        problems.append(check_package(name, package, rules))
    return notes, [problem for problem in problems if problem]


def main() -> None:
    """Print what is not permissive; exit 1 if it is not named with a reason."""
    notes, problems = check_licences()
    installed = sum(_installed(name) is not None for name in dependencies())
    print(f"licences of {installed} installed dependencies; all are permissive, except:")
    print("\n".join(f"  {note}" for note in notes))
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
