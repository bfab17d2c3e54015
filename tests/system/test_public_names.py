"""What `import bimodal` offers: few names, each where tab completion finds it, none loaded before it is used."""

import subprocess
import sys

import pytest

import bimodal


@pytest.mark.parametrize("name", bimodal.__all__)
def test_every_public_name_is_there_and_described(name):
    value = getattr(bimodal, name)
    assert name == "__version__" or (value.__name__ == name and value.__doc__)


def test_completion_shows_the_public_names_alone():
    assert set(dir(bimodal)) == set(bimodal.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Recogniser'"):
        _ = bimodal.Recogniser


def test_importing_the_package_loads_none_of_it():
    code = "import sys, bimodal; print(*(name for name in sys.modules if name.startswith(('bimodal', 'numpy'))))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["bimodal"]
