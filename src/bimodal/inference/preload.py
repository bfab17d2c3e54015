"""Load a model while the rest of the program is imported: both take as long."""

import os
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from bimodal.errors import BimodalError

if TYPE_CHECKING:
    from bimodal.inference.model import Model


@cache
def open_model(folder: Path, threads: int) -> "Model":
    """A model whose speech parts are loading in a thread; the same one when asked again.

    Args:
        folder: Model folder.
        threads: Threads of one operator; 0 for one per core.

    Raises:
        ModelFolderError: A file is missing, altered, or of an unknown schema.
    """
    import onnxruntime  # noqa: F401 - before the thread, which would wait for the imports of this one

    from bimodal.inference.model import Model

    model = Model(folder, threads=threads)
    Thread(target=_load, args=(model,)).start()  # no daemon: a session torn down half made ends the process
    return model


def preload(arguments: Sequence[str]) -> None:
    """Open the model that a command line seems to ask for, before it is read; a wrong guess costs a little time.

    Args:
        arguments: Of `bimodal recognize`; nothing is opened where none of them is a recording.
    """
    if not any(os.path.exists(word) or word == "-" for word in arguments):  # noqa: PTH110 - a Path may refuse long words
        return
    from bimodal.inference.installed import find_model
    from bimodal.inference.model_folder import CONFIG

    values = dict(pairwise(arguments))
    with suppress(BimodalError, ValueError, OSError):  # told when the command line is read
        first = arguments[0] if (Path(arguments[0]) / CONFIG).is_file() else None
        name = values.get("--model") or values.get("-m") or first
        open_model(find_model(name), int(values.get("--threads", 0)))


def _load(model: "Model") -> None:
    with suppress(BimodalError):  # told where it is needed
        model.warm_up()
