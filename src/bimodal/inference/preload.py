"""Load a model in a thread while the rest of the program is imported, so that the command starts faster."""

import os
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Final

from bimodal.errors import BimodalError

if TYPE_CHECKING:
    from bimodal.inference.model import Model


OPENED: Final[dict[tuple[Path, int], "Model"]] = {}
"""Models by folder and threads."""


def open_model(folder: Path, threads: int, *, several: bool = False) -> "Model":
    """A model whose speech parts load in a thread. The same folder and threads give the same model.

    Args:
        folder: Model folder.
        threads: Threads of one operator; 0 for one per core.
        several: Load what encodes several clips at once; for the first call alone.

    Raises:
        ModelFolderError: A file is missing, altered, or of an unknown schema.
    """
    if (folder, threads) in OPENED:
        return OPENED[folder, threads]
    import onnxruntime  # noqa: F401 - imported before the thread starts; the thread would wait for it

    from bimodal.inference.model import Model

    model = Model(folder, threads=threads)
    Thread(
        target=_load, args=(model.one_thread if several else model,)
    ).start()  # not a daemon: stopping it while it makes a session would crash the process
    OPENED[folder, threads] = model
    return model


def preload(arguments: Sequence[str]) -> None:
    """Guess from the command line which model it needs, and open it early. A wrong guess only costs time.

    Args:
        arguments: Arguments of `bimodal recognize`; without a recording among them, nothing is opened.
    """
    if not any(os.path.exists(word) or word == "-" for word in arguments):  # noqa: PTH110 - a Path may refuse long words
        return
    from bimodal.inference.installed import find_model
    from bimodal.inference.model_folder import CONFIG

    values = dict(pairwise(arguments))
    with suppress(BimodalError, ValueError, OSError):  # reported when the command line is parsed
        first = arguments[0] if (Path(arguments[0]) / CONFIG).is_file() else None
        name = values.get("--model") or values.get("-m") or first
        open_model(find_model(name), int(values.get("--threads", 0)), several=_several(arguments, first))


def _several(arguments: Sequence[str], model: str | None) -> bool:
    """Whether the command line names a folder of recordings, or several recordings; words after an option count not."""
    named = [word for before, word in pairwise(["", *arguments]) if not before.startswith("-") and word != model]
    found = [word for word in named if os.path.exists(word)]  # noqa: PTH110 - as above
    return len(found) > 1 or any(map(os.path.isdir, found))


def _load(model: "Model") -> None:
    with suppress(BimodalError):  # reported where the model is used
        model.warm_up()
