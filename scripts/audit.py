"""Audit the dependencies: known vulnerabilities of the locked versions (pip-audit, by network), and licences."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from scripts import licences

ROOT = Path(__file__).parents[1]


def ask(constraints: Path = ROOT / "constraints.txt") -> tuple[dict[str, Any] | None, str]:
    """What pip-audit found about locked versions, and its last complaint; None if the service gave no answer."""
    command = [sys.executable, "-m", "pip_audit", "-r", str(constraints), "--no-deps", "--disable-pip"]
    command += ["--progress-spinner", "off", "--format", "json", "--timeout", "15"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout), ""
    except json.JSONDecodeError:
        return None, (done.stderr.strip().splitlines() or ["no answer"])[-1]


def describe(answer: dict[str, Any] | None, complaint: str) -> tuple[str, bool]:
    """One sentence for what pip-audit found, and whether it is in order.

    A package unknown to the service was not audited, though pip-audit calls that "no known vulnerabilities".

    Example:
        >>> describe({"dependencies": [{"name": "a", "skip_reason": "not found"}]}, "")
        ('vulnerabilities: skipped, the service knows none of 1 packages (a mirror of the index has none)', True)
        >>> describe({"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "CVE-1"}]}]}, "")
        ('vulnerabilities: 1 of 1 packages audited; a 1: CVE-1', False)
    """
    if answer is None:
        return f"vulnerabilities: skipped, the service cannot be reached ({complaint})", True
    packages = answer["dependencies"]
    audited = [package for package in packages if "skip_reason" not in package]
    if not audited:
        unknown = f"the service knows none of {len(packages)} packages (a mirror of the index has none)"
        return f"vulnerabilities: skipped, {unknown}", True
    bad = [f"{p['name']} {p['version']}: {', '.join(v['id'] for v in p['vulns'])}" for p in audited if p["vulns"]]
    begin = f"vulnerabilities: {len(audited)} of {len(packages)} packages audited"
    return "; ".join([begin, *(bad or ["none known"])]), not bad


def main() -> None:
    """Print both checks; exit 1 if one fails."""
    sentence, fine = describe(*ask())
    print(sentence)
    licences.main()
    sys.exit(not fine)


if __name__ == "__main__":
    main()
