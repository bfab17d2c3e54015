"""`bimodal`, and `python -m bimodal`."""

import gc
import sys
from pathlib import Path


def main() -> None:
    """Run the command line."""
    gc.set_threshold(100_000)  # a start makes much that stays
    command, *rest = sys.argv[1:] or [""]
    if command == "recognize" and any(Path(word).exists() or word == "-" for word in rest):
        from bimodal.ahead import open_ahead

        open_ahead(sys.argv[1:])
    from bimodal.cli import main as run

    run()


if __name__ == "__main__":
    main()
