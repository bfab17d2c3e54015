"""All hostile inputs."""

from typing import Final

from tests.hostile import calls, folders, requests, sound_attempts, tables
from tests.hostile.attempts import Attempt

ATTEMPTS: Final[list[Attempt]] = [
    attempt for table in (sound_attempts, tables, calls, folders, requests) for attempt in table.attempts()
]
"""Everything that the tests and the command carry out."""
