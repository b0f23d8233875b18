"""The scenario's fleet, for its tests. What they have in common with other scenarios is in molecule/shared/tests."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).absolute().parents[2] / "shared" / "tests"))

import lab_fleet  # noqa: E402  pylint: disable=wrong-import-position,import-error
from lab_fleet import AUTHORITY, CHECKOUT, STACK_PASSWORD, eventually  # noqa: E402,F401  pylint: disable=wrong-import-position,import-error,unused-import


@pytest.fixture(scope="session")
def fleet():
    """The fleet of the scenario."""
    return lab_fleet.of_scenario(pathlib.Path(__file__).absolute())


def pytest_configure(config):
    """`make test` leaves out what has this mark; `make test-all` and molecule by hand run it."""
    config.addinivalue_line("markers", "costly: takes long for what it adds to the other tests")


def pytest_collection_modifyitems(items):
    """Begin with the run that changes nothing: it follows the first one."""
    items.sort(key=lambda item: item.path.name != "test_cost.py")
