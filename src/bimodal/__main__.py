"""`bimodal`, and `python -m bimodal`."""

import gc
import sys


def main() -> None:
    """Run the command line."""
    gc.set_threshold(100_000)  # a start makes much that stays
    if sys.argv[1:2] == ["recognize"]:
        from bimodal.inference.preload import preload

        preload(sys.argv[2:])
    from bimodal.cli import main as run

    run()


if __name__ == "__main__":
    main()
