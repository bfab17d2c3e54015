"""The connection to a Ray cluster. It needs no package but Ray, as it serves bulk runs and the training of folds."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from bimodal.errors import BimodalError

LOCAL: Final = "local"
"""Address of a cluster on this machine that lives as long as the run."""

_PATIENCE: Final = "RAY_raylet_start_wait_time_s"  # a variable of Ray: seconds in which it must have started
_ANSWERS_WITHIN: Final = 10.0  # seconds


def import_ray() -> Any:
    """The package `ray`.

    Raises:
        BimodalError: It is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would tell its makers about the cluster
    try:
        import ray
        import ray.exceptions
    except ModuleNotFoundError as error:
        raise BimodalError("--engine ray needs Ray: pip install 'bimodal-emotion[scale]'") from error
    return ray


@contextmanager
def connected(ray: Any, address: str, workers: int) -> Iterator[None]:
    """A connection to the cluster; one that the program has already is used and kept.

    Args:
        ray: From `import_ray`.
        address: As in `run_ray`.
        workers: Cores of a cluster that is started for the run; 0 for those of this machine.

    Raises:
        BimodalError: The cluster does not answer, or cannot be started.
    """
    if ray.is_initialized():
        yield
        return
    _check_answers(address)
    own = {"num_cpus": workers or os.cpu_count(), "include_dashboard": False} if address == LOCAL else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error", configure_logging=False, **own)
    except Exception as error:  # Ray raises classes of several libraries here
        raise BimodalError(_why_not(address, error)) from error
    try:
        yield
    finally:
        ray.shutdown()


def _why_not(address: str, error: Exception) -> str:
    """Why there is no connection, and what to do.

    Example:
        >>> _why_not("auto", ConnectionError("Could not find any running Ray instance. Please specify ..."))
        "the Ray cluster 'auto' cannot be reached (Could not find any running Ray instance)"
        >>> _why_not(LOCAL, RuntimeError("Timed out waiting for file /tmp/x/metrics_agent_port"))[:64]
        'Ray did not start in time on this machine, which may be too busy'
    """
    if "timed out" in str(error).lower() and address == LOCAL:
        return (
            f"Ray did not start in time on this machine, which may be too busy ({first_line(error)}); try again later, "
            f"set {_PATIENCE}=120, or use --engine local"
        )
    return f"the Ray cluster '{address}' cannot be reached ({first_line(error)})"


def _check_answers(address: str) -> None:
    """Refuse a head that nobody listens at; Ray would try for many minutes.

    Raises:
        BimodalError: Nobody listens there.
    """
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWERS_WITHIN).close()
    except (OSError, OverflowError) as error:
        raise BimodalError(f"the Ray cluster '{address}' cannot be reached ({error}); is its head running?") from error


def first_line(error: BaseException) -> str:
    """The first sentence of an error; what Ray says after it is advice about Ray."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].partition(". ")[0][:200] if lines else type(error).__name__
