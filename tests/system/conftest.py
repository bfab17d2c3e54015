"""Fixtures of the server, for tests of the whole that ask one."""

from tests.service.conftest import *  # noqa: F403
