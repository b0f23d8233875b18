# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The built collection, as Galaxy would get it and a user would install it."""
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import run  # pylint: disable=wrong-import-position

# A network of its own, which has only a loopback that is down.
OFFLINE = ["unshare", "--map-root-user", "--net"]
# No program takes longer, on a busy machine either.
LIMIT_SECONDS = 3600


def pytest_configure(config):
    """Make the mark known that `make test` leaves out."""
    config.addinivalue_line("markers", "costly: left out of `make test`")


class Site:
    """A folder in which somebody has the built collection, and nothing else of it: no clone, no configuration, a home that is empty."""

    def __init__(self, folder, artifact):
        self.folder, self.artifact = folder, artifact

    @property
    def installed(self):
        """The folder of the installed collection."""
        return self.folder / "home" / ".ansible" / "collections" / "ansible_collections" / "accelmon" / "fleet"

    def run(self, *argv, folder=None, fails=False, offline=True, **more):
        """What a command writes, without a network unless offline is False.

        folder: where it runs, if not in the site's; more: variables of its environment
        """
        env = {"PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]), "HOME": str(self.folder / "home"),
               "LANG": "C.UTF-8", "ANSIBLE_NOCOLOR": "1", **more}
        done = subprocess.run([*(OFFLINE if offline else ()), *argv], cwd=folder or self.folder, env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT_SECONDS, check=False)
        said = done.stdout.decode()
        assert (done.returncode != 0) is fails, said
        return said


def built(folder, version=None):
    """Build the collection from the tracked files. Return the path of the artifact. version: another than that of galaxy.yml"""
    source = pathlib.Path(run.copy_tracked(str(folder / "source")))
    if version:
        galaxy = source / "galaxy.yml"
        galaxy.write_text(re.sub(r"(?m)^version: .*", f"version: {version}", galaxy.read_text()))
    subprocess.run([os.path.join(os.path.dirname(sys.executable), "ansible-galaxy"), "collection", "build", "--output-path", str(folder)], cwd=source,
                   env=run.environment(ANSIBLE_HOME=str(folder / "home")), stdout=subprocess.DEVNULL, timeout=LIMIT_SECONDS, check=True)
    return next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="session")
def artifact(tmp_path_factory):
    """The path of the built collection."""
    return built(tmp_path_factory.mktemp("built"))


@pytest.fixture
def empty(tmp_path, artifact):
    """A site that has the artifact and has not installed it."""
    (tmp_path / "home").mkdir()
    return Site(tmp_path, artifact)


@pytest.fixture(scope="session")
def site(tmp_path_factory, artifact):
    """A site where the collection is installed. Tests leave it as it is."""
    place = Site(tmp_path_factory.mktemp("site"), artifact)
    (place.folder / "home").mkdir()
    place.run("ansible-galaxy", "collection", "install", "--offline", str(artifact))
    return place
