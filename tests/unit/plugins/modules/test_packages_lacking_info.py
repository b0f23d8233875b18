# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of a bundle's packages a host lacks. Stubbed: dpkg-query, by a table of versions; dpkg compares them as it does."""

import shutil

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils import command
from ansible_collections.accelmon.fleet.plugins.modules.packages_lacking_info import lacks

HOST = {"same": "installed 2.0-1", "older": "installed 1:1.9-1", "newer": "installed 1:2.0-1", "gone": "config-files 2.0-1",
        "two": "installed 2.0-1\ninstalled 2.0-1"}


def run_command(argv):
    if argv[0] == "dpkg-query":
        return (0, HOST[argv[-1]] + "\n", "") if argv[-1] in HOST else (1, "", "no packages found")
    return command.run(argv, 30)


@pytest.mark.skipif(not shutil.which("dpkg"), reason="dpkg is missing")
@pytest.mark.parametrize("name, version, lacking", [
    ("same", "2.0-1", False), ("newer", "2.0-1", False), ("two", "2.0-1", False), ("same", "2.0~rc1-1", False),
    ("older", "1:1.10-1", True), ("same", "2.0-1+deb12u1", True), ("gone", "2.0-1", True), ("other", "1", True)])
def test_what_is_not_installed_or_older(name, version, lacking):
    assert lacks(run_command, name, version) is lacking
