# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reader of Slurm's node output, which the inventory plugin and the collector on a controller share. Nothing is stubbed."""
import pytest

from ansible_collections.accelmon.fleet.plugins.module_utils import slurm


@pytest.mark.parametrize("text, found", [
    ("IDLE", ("IDLE", [])), ("DOWN*+DRAIN", ("DOWN", ["DRAIN", "NOT_RESPONDING"])), ("MIXED+PLANNED", ("MIXED", ["PLANNED"])),
    ("IDLE+CLOUD+POWERED_DOWN", ("IDLE", ["CLOUD", "POWERED_DOWN"])), ("FAIL", ("UNKNOWN", ["FAIL"])), ("UNKNOWN*", ("UNKNOWN", ["NOT_RESPONDING"])),
])
def test_a_state_and_its_flags(text, found):
    assert slurm.state(text) == found


@pytest.mark.parametrize("text", ["{{1}}", "IDLE DOWN", "7"])
def test_what_is_no_state(text):
    with pytest.raises(ValueError):
        slurm.state(text)


@pytest.mark.parametrize("text, found", [
    ("xid 79 [root@2026-11-28T08:30:31]", ("xid 79", "root", "2026-11-28T08:30:31")),
    ("a [b] c@d [x@y] [ops.1@2026-11-28T08:30:31]", ("a [b] c@d [x@y]", "ops.1", "2026-11-28T08:30:31")),
    ("first [root@2026-11-28T08:30:31]         second [me@2020-01-01T00:00:00]", ("first", "root", "2026-11-28T08:30:31")),
    ("no time", ("no time", "", "")), ("(null)", ("", "", "")), ("", ("", "", "")), ("[root@2026-11-28T08:30:31]", ("", "root", "2026-11-28T08:30:31")),
])
def test_a_reason(text, found):
    assert slurm.reason(text) == found


@pytest.mark.parametrize("text, found", [
    ("gpu:h100:3(IDX:0-1,3),shard:h100:3(0/4,0/4,3/4,0/4)", [("gpu", "h100", 3), ("shard", "h100", 3)]), ("gpu:(null):2(IDX:0-1)", [("gpu", "", 2)]),
    ("gpu:h100:0(IDX:N/A)", [("gpu", "h100", 0)]), ("mps:25(25/100,0/100)", [("mps", "", 25)]),
])
def test_resources_in_use(text, found):
    assert slurm.gres(text) == found


def test_the_first_of_a_key_counts_and_the_rest_of_a_line_is_free():
    assert list(slurm.records("noise\nNodeName=a State=IDLE State=DOWN OS=x y Reason=b State=MIXED Comment=c\n")) == [
        {"NodeName": "a", "State": "IDLE", "OS": "x y", "Reason": "b State=MIXED Comment=c"}]
    assert list(slurm.records("NodeName=a A=1\n   OS=Linux State=DOWN \n   State=IDLE\n   Reason=x A=2\n   A=3\n\nNodeName=b\n")) == [
        {"NodeName": "a", "A": "1", "OS": "Linux State=DOWN", "State": "IDLE", "Reason": "x A=2"}, {"NodeName": "b"}]
