"""`bimodal`, and `python -m bimodal`."""

import gc
import sys
import warnings
from typing import Any

from bimodal.errors import ModelFolderWarning
from bimodal.records import printable


def main() -> None:
    """Run the command line."""
    gc.set_threshold(100_000)  # a start makes much that stays
    warnings.showwarning = _show_warning
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
