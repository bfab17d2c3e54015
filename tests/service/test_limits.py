"""Limits that would refuse every request, or that no machine can keep, are refused themselves."""

import pytest

from bimodal.config import read_config
from bimodal.errors import ConfigError
from bimodal.service.limits import Limits


@pytest.mark.parametrize("setting", ["clip_seconds=0", "clip_seconds=nan", "waiting=-1"])
def test_a_limit_that_refuses_everything_is_refused(setting):
    with pytest.raises(ConfigError, match="expected a positive number"):
        read_config(Limits(), settings=[setting])


@pytest.mark.parametrize("setting", ["running=1000000000", "streams=1000000000", "clip_seconds=inf", "job_bytes=1e30"])
def test_a_limit_without_bound_is_refused(setting):
    with pytest.raises(ConfigError):
        read_config(Limits(), settings=[setting])
    assert read_config(Limits(), settings=["running=1024"]).workers == 1024
