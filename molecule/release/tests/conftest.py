"""The scenario's fleet, for its tests. What they have in common with other scenarios is in molecule/shared/tests."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).absolute().parents[2] / "shared" / "tests"))

import lab_fleet  # noqa: E402  pylint: disable=wrong-import-position,import-error
from lab_fleet import eventually  # noqa: E402,F401  pylint: disable=wrong-import-position,import-error,unused-import


@pytest.fixture(scope="session")
def fleet():
    """The fleet of the scenario."""
    return lab_fleet.of_scenario(pathlib.Path(__file__).absolute())
