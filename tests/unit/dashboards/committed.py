# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The committed dashboards, and the files outside the collection's Python that make and read them, for the tests of this folder."""

import importlib.util
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[3]


def module(name, *path):
    """A file of the checkout as a module of this name."""
    spec = importlib.util.spec_from_file_location(name, ROOT.joinpath(*path))
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


asked = module("accelmon_asked", "tests", "rules", "dashboards.py")
COMMITTED = asked.boards()
