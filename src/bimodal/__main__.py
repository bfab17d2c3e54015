"""`bimodal`, and `python -m bimodal`."""

import gc
import os
import sys


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
    sys.argv[1:] = map(expand_home, sys.argv[1:])
    if sys.argv[1:2] == ["recognize"]:
        from bimodal.inference.preload import preload

        preload(sys.argv[2:])
    from bimodal.cli import main as run

    run()


if __name__ == "__main__":
    main()
