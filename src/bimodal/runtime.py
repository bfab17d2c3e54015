"""ONNX sessions, made one way everywhere."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from bimodal.errors import BackboneError
from bimodal.records import printable

Device = Literal["cpu", "cuda"]

MOST_THREADS: Final = 1024
"""More threads of one operator are refused: each costs memory before it does any work."""

Item = TypeVar("Item")
Found = TypeVar("Found")


def count_threads(threads: int) -> int:
    """How many threads are meant; 0 stands for one per core that this process may use.

    Example:
        >>> count_threads(3), count_threads(0) >= 1
        (3, True)
    """
    if threads:
        return threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(work: Callable[[Item], Found], items: Iterable[Item], at_once: int) -> Iterator[Found]:
    """What `work` makes of each item, in the order of the items, with several threads; memory stays flat.

    Args:
        work: Called in a thread for each item; one that raises ends the iteration where its result would have come.
        items: Taken a few ahead of the results.
        at_once: Number of threads; 1 works in the caller's thread.

    Example:
        >>> list(in_order(str.upper, "abc", 2))
        ['A', 'B', 'C']
    """
    if at_once == 1:
        yield from map(work, items)
        return
    from concurrent.futures import Future, ThreadPoolExecutor  # start-up: a single clip needs no threads

    waiting = deque[Future[Found]]()
    with ThreadPoolExecutor(at_once) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * at_once:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def make_session(
    model: str | Path | bytes,
    *,
    threads: int = 0,
    device: Device = "cpu",
    optimise: bool = True,
    weights: Path | None = None,
) -> Any:
    """An `onnxruntime.InferenceSession` whose results do not depend on what else the process does.

    Args:
        model: ONNX file, or its bytes.
        threads: Threads of one operator; 0 for one per physical core.
        device: `cpu`, or `cuda` (needs onnxruntime-gpu).
        optimise: False leaves out what onnxruntime does to most graphs beyond the basic: a small one is loaded sooner.
        weights: Folder of the files that hold the weights, for a model given as bytes.

    Raises:
        BackboneError: The file is missing or no usable ONNX model, or the device is not there.
    """
    import onnxruntime as ort

    if not 0 <= threads <= MOST_THREADS:
        raise BackboneError(f"{threads} threads, expected 0 (one per core) to {MOST_THREADS}")
    if os.environ.get("ORT_DISABLE_TELEMETRY") != "0":
        ort.disable_telemetry_events()  # for Windows, and for a program that imported onnxruntime before bimodal
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # the exception tells errors; the log would write names of the file to the terminal
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    # Weights are stored in 8 or 16 bits: expand them once at load instead of at each call.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    if weights is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(weights))
    provider = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}[device]
    if provider not in ort.get_available_providers():
        raise BackboneError(f"device '{device}' is not available in this onnxruntime; use 'cpu' or install its package")
    if not isinstance(model, bytes) and not Path(model).is_file():
        raise BackboneError(f"{model}: no such file")
    try:
        file = model if isinstance(model, bytes) else str(model)
        # A second attempt would print the error, with text of the file, to stdout.
        return ort.InferenceSession(file, options, providers=[provider], enable_fallback=0)
    except Exception as error:  # onnxruntime raises a dozen unrelated classes here
        where = "model bytes" if isinstance(model, bytes) else str(model)
        raise BackboneError(
            f"{where}: cannot be loaded as an ONNX model ({printable(str(error).splitlines()[0])[:300]})"
        ) from error
