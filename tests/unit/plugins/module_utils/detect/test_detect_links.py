# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many links a host has up. Stubbed: a folder in place of the host's files."""
import json

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import links

NOW = 1000000.0


@pytest.fixture
def host(tmp_path):
    def put(path, text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    put.root = str(tmp_path)
    return put


def collected(host, kind, *active, at=NOW - 60):
    host(links.COLLECTED, json.dumps({"links": {"at": at, "devices": [{"kind": kind, "active": count} for count in active]}}))
    return links.find(host.root, NOW)


@pytest.mark.parametrize("active, found", [
    ([18] * 8, {"nvlink": 18}), ([18] * 7 + [0], {"nvlink": 18}), ([18] * 7 + [17], {"nvlink": 18}), ([0], {"nvlink": 0}), ([0] * 4, {"nvlink": 0}),
    # Two bridged and two bare cards: nobody can tell which is right.
    ([12, 12, 0, 0], {}), ([12, 0], {}), ([], {})])
def test_what_most_devices_have_is_what_all_should_have(host, active, found):
    assert collected(host, "nvlink", *active) == found


@pytest.mark.parametrize("at", [NOW - 600, NOW + 60, "x", None])
def test_a_reading_of_the_past_or_the_future_is_none(host, at):
    assert collected(host, "xgmi", 7, at=at) == {}


@pytest.mark.parametrize("text", [
    "", "[]", "{}", '{"links": 5}', '{"links": {"at": 999999, "devices": 7}}', '{"links": {"at": 999999, "devices": [{}]}}', "[" * 5000,
    '{"links": {"at": 999999, "devices": [{"kind": "evil", "active": 7}, {"kind": "nvlink", "active": -1}, {"kind": "nvlink", "active": "x"}]}}'])
def test_a_file_that_is_not_the_collectors_tells_nothing(host, text):
    host(links.COLLECTED, text)
    assert links.find(host.root, NOW) == {}


def test_ports_of_infiniband(host):
    """As the kernel writes it, after a public sysfs of an H100 machine."""
    assert links.find(host.root, NOW) == {}
    for number, state in enumerate(("4: ACTIVE", "4: ACTIVE", "1: DOWN", "2: INIT")):
        host("sys/class/infiniband/mlx5_%d/ports/1/state" % number, state + "\n")
    assert links.find(host.root, NOW) == {"infiniband": 2}
