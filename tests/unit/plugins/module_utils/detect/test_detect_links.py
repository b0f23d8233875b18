# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many links a host has up. Stubbed: a folder in place of the host's files."""
import os
import pathlib

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


def collected(host, kind, *active, age=60, more=""):
    """With the unit and the rows as the role and its collector write them."""
    host(links.UNIT, "[Service]\nExecStart=/usr/bin/python3 -IS /opt/c --output=/srv/textfile/a.prom --state=/var/lib/s.json --vendors=none\n")
    rows = ['node_gpu_links{gpu="%d",uuid="u%d",vendor="nvidia",model="a \\"b\\", c",kind="%s",state="%s"} %d\n' % (gpu, gpu, kind, state, count)
            for gpu, count in enumerate(active) for state, count in (("active", count), ("inactive", 5))]
    host("srv/textfile/a.prom", "# TYPE node_gpu_links gauge\n" + "".join(rows) + more)
    os.utime(os.path.join(host.root, "srv/textfile/a.prom"), (NOW - age, NOW - age))
    return links.find(host.root, NOW)


@pytest.mark.parametrize("active, found", [
    ([18] * 8, {"nvlink": 18}), ([18] * 7 + [0], {"nvlink": 18}), ([18] * 7 + [17], {"nvlink": 18}), ([0], {"nvlink": 0}), ([0] * 4, {"nvlink": 0}),
    # Two bridged and two bare cards: nobody can tell which is right.
    ([12, 12, 0, 0], {}), ([12, 0], {}), ([], {})])
def test_what_most_devices_have_is_what_all_should_have(host, active, found):
    assert collected(host, "nvlink", *active) == found


@pytest.mark.parametrize("age", [600, -60])
def test_a_reading_of_the_past_or_the_future_is_none(host, age):
    assert collected(host, "xgmi", 7, age=age) == {}


@pytest.mark.parametrize("more", [
    'node_gpu_links{kind="evil",state="active"} 7\n', 'node_gpu_links{gpu="9",kind="nvlink",state="active"} -1\n', "\0\xff\n",
    'node_gpu_links{gpu="9",kind="nvlink",state="active"} 99999\n', 'node_gpu_links{gpu="9",kind="nvlink",state="active"} x\n'])
def test_rows_that_are_not_the_collectors_tell_nothing(host, more):
    assert collected(host, "nvlink", 18, more=more) == {"nvlink": 18}


def test_no_collector_and_no_file_tell_nothing(host):
    assert links.find(host.root, NOW) == {}
    host(links.UNIT, "[Service]\nExecStart=/bin/true\n")
    assert links.find(host.root, NOW) == {}
    host(links.UNIT, "[Service]\nExecStart=/opt/c --output=/srv/a.prom\n")
    assert links.find(host.root, NOW) == {}


def test_the_unit_says_where_the_file_is():
    role = (pathlib.Path(__file__).resolve().parents[5] / "roles/textfile_collector/vars/main.yml").read_text(encoding="utf-8")
    assert "'--output=' ~ textfile_collector_output" in role and "accelmon-textfile-collector" in role


def test_ports_of_infiniband(host):
    """As the kernel writes it, after a public sysfs of an H100 machine."""
    assert links.find(host.root, NOW) == {}
    for number, state in enumerate(("4: ACTIVE", "4: ACTIVE", "1: DOWN", "2: INIT")):
        host("sys/class/infiniband/mlx5_%d/ports/1/state" % number, state + "\n")
    assert links.find(host.root, NOW) == {"infiniband": 2}
