"""All hostile inputs."""

from typing import Final

from tests.hostile import sound_attempts
from tests.hostile.attempts import Attempt

ATTEMPTS: Final[list[Attempt]] = [attempt for table in (sound_attempts,) for attempt in table.attempts()]
"""Everything that the tests and the command carry out."""
