"""`bimodal`, and `python -m bimodal`."""

import gc
import os
import sys
import warnings
from typing import Any

from bimodal.errors import ModelFolderWarning
from bimodal.records import printable


def expand_home(argument: str) -> str:
    """An argument whose path begins with `~`, which a shell leaves as it is in `--out=~/x` and `--set a=~/x`.

    Example:
        >>> expand_home("--out=~/x").endswith("~/x"), expand_home("hi ~/x")
        (False, 'hi ~/x')
    """
    option, sign, path = argument.rpartition("=")
    words = any(character.isspace() for character in option) or option == "--transcript"
    if words or not path.startswith("~/"):
        return argument
    return option + sign + os.path.expanduser(path)  # noqa: PTH111 (Path raises an error where there is no home)


def main() -> None:
    """Run the command line."""
    gc.set_threshold(100_000)  # a start makes much that stays
    warnings.showwarning = _show_warning
    sys.argv[1:] = map(expand_home, sys.argv[1:])
    if sys.argv[1:2] == ["recognize"]:
        from bimodal.inference.preload import preload

        preload(sys.argv[2:])
    from bimodal.cli import main as run

    run()


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any
) -> None:
    """A warning of ours as a line; those of libraries as Python shows them."""
    ours = issubclass(category, ModelFolderWarning)
    line = f"warning: {message}\n" if ours else warnings.formatwarning(message, category, filename, lineno)
    sys.stderr.write(printable(line))


if __name__ == "__main__":
    main()
