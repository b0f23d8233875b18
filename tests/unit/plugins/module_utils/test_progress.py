# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sizes and progress for people. Stubbed: the clock."""
import time

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.progress import Progress, size


@pytest.mark.parametrize("count,text", [
    (0, "0.0 kB"), (999, "1.0 kB"), (949999, "950.0 kB"), (999960, "1.0 MB"), (5e6, "5.0 MB"), (999999999, "1.0 GB"), (1.25e9, "1.2 GB"),
    (3e12, "3.0 TB"), (12345e12, "12345.0 TB")])
def test_sizes(count, text):
    assert size(count) == text


def test_a_long_work_says_now_and_then_how_far_it_is(monkeypatch):
    now, lines = [0], []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    work = Progress(lines.append, "copying", 4000)
    for moment, count in ((1, 500), (40, 500), (60, 1000), (80, 1000), (110, 1500)):
        now[0] = moment
        work.add(count)
    assert lines == ["copying: 1.0 kB done, 3.0 kB left, about 120 s", "copying: 3.0 kB done, 1.0 kB left, about 26 s",
                     "copying: 4.5 kB done, 0.0 kB left, about 0 s"]
