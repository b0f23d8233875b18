# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of names and addresses, good and hostile ones, parsed and through Ansible's own inventory. Nothing is stubbed."""
import os
import time

import pytest
import yaml
from ansible_collections.accelmon.fleet.plugins.inventory import hosts_txt as plugin
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.inventory import hosts_txt, lists
from ansible_collections.accelmon.fleet.tests.unit.plugins.inventory.through_ansible import evaluated, inventory

ALLOWED = ["accelmon_*"]


def parse(text, **options):
    hosts, problems = hosts_txt.parse(text, variables=ALLOWED, **options)
    assert problems == []
    return hosts


def addresses(text, **options):
    return {name: host.get("address") for name, host in parse(text, **options).items()}


def problem(text, **options):
    hosts, problems = hosts_txt.parse(text, variables=ALLOWED, **options)
    assert hosts == {} and len(problems) == 1, (hosts, problems)
    return problems[0]


@pytest.mark.parametrize("text, found", [
    ("gpu1 10.0.0.1\ngpu2 10.0.0.2\n", {"gpu1": "10.0.0.1", "gpu2": "10.0.0.2"}),
    ("gpu1\t\t10.0.0.1  \r\n\r\n  gpu2   gpu2.example.org\r\n", {"gpu1": "10.0.0.1", "gpu2": "gpu2.example.org"}),
    ("gpu1 10.0.0.1\rgpu2 10.0.0.2", {"gpu1": "10.0.0.1", "gpu2": "10.0.0.2"}),
    ("# all of room b\ngpu1 10.0.0.1 # new board\n\t#gpu2 10.0.0.2\n", {"gpu1": "10.0.0.1"}),
    ("gpu1 FD00:0:0::1\ngpu2 [fd00::2]\n", {"gpu1": "fd00::1", "gpu2": "fd00::2"}),
    ("gpu1\n10.0.0.2\n", {"gpu1": None, "10.0.0.2": None}),
    ("Hostname\tIP\ngpu1\t10.0.0.1\n", {"gpu1": "10.0.0.1"}),
    ("gpu1 10.0.0.1\n\ngpu1 10.0.0.1\n", {"gpu1": "10.0.0.1"}),
    ("gpu1 10.0.0.1#2\n".replace("#2", ""), {"gpu1": "10.0.0.1"}),
    ("", {}),
])
def test_lists_as_people_keep_them(text, found):
    assert addresses(text) == found


def test_variables_of_a_line():
    assert parse("gpu1 10.0.0.1 accelmon_rack=r1 accelmon_state=\n")["gpu1"]["variables"] == {"accelmon_rack": "r1", "accelmon_state": ""}


def test_the_order_of_etc_hosts():
    text = "127.0.0.1 localhost\n::1 ip6-localhost\nff02::1 ip6-allnodes\n10.0.0.1 gpu1.example.org gpu1\n255.255.255.255 broadcasthost\n"
    assert addresses(text, order="address_first") == {"gpu1.example.org": "10.0.0.1"}
    assert "swap" in problem("10.0.0.1 gpu1\n")
    assert "name_first" in problem("gpu1 10.0.0.1\n", order="address_first")


@pytest.mark.parametrize("line, word", [
    ("-oProxyCommand=touch 10.0.0.1", "not a host name"),
    ("--help 10.0.0.1", "not a host name"),
    ("{{lookup('pipe')}} 10.0.0.1", "not a host name"),
    ("gpu1 {{lookup('pipe','id')}}", "neither a host name"),
    ("gpu1 -oProxyCommand", "neither a host name"),
    ("../../etc/passwd 10.0.0.1", "not a host name"),
    ("gpu1;reboot 10.0.0.1", "not a host name"),
    ("gpu\x1b[31m1 10.0.0.1", "not a host name"),
    ("g\u202epu1 10.0.0.1", "not a host name"),
    ("gpü1 10.0.0.1", "not a host name"),
    ("gpu\u20281 10.0.0.1", "one word too many"),
    ("all 10.0.0.1", "rename the host"),
    ("gpu[001:064] 10.0.0.1", "ranges"),
    ("gpu[1-4]", "ranges"),
    ("[monitoring]", "a group header"),
    ("gpu1,10.0.0.1", "comma"),
    ("fd00::1", "without a name"),
    ("gpu1 10.0.0.1:9100", "port"),
    ("gpu1 fe80::1%eth0", "zone"),
    ("gpu1 10.0.0.300", "neither a host name"),
    ("gpu1 10.0.0.1 rack1", "one word too many"),
    ("gpu1 ansible_connection=local", "option variables"),
    ("gpu1 10.0.0.1 accelmon_rack=r1 accelmon_rack=r2", "twice"),
    ("gpu1 10.0.0.1 accelmon_rack='r1'", "quotes"),
    ("gpu1 10.0.0.1 accelmon_rack=r1 10.0.0.2", "come first"),
    ("accelmon_rack=r1", "come first"),
    ("a" * 300 + " 10.0.0.1", "not a host name"),
])
def test_a_bad_line_is_named_and_gives_no_host(line, word):
    said = problem(line + "\n")
    assert said.startswith("line 1: ") and word in said
    assert "{{" not in said and said.isprintable() and said.isascii() and len(said) < 250


def test_contradictions_name_both_lines():
    dummy, problems = hosts_txt.parse("gpu1 10.0.0.1\n\ngpu1 10.0.0.2\n")
    assert problems == ["line 3: gpu1: already in line 1 with different values; keep one of them"]
    dummy, problems = hosts_txt.parse("gpu1 fd00::1\ngpu2 fd00:0::1\n")
    assert len(problems) == 1 and "line 2" in problems[0] and "gpu1 in line 1" in problems[0]


def test_a_hundred_thousand_lines_take_seconds():
    text = "".join(f"gpu{number} 10.{number >> 16}.{number >> 8 & 255}.{number & 255}\n" for number in range(100000))
    begin = time.process_time()
    assert len(parse(text)) == 100000
    assert time.process_time() - begin < 30


@pytest.mark.parametrize("data, word", [
    (b"gpu1\0 10.0.0.1\n", "binary"),
    ("gpu1 10.0.0.1\n".encode("utf-16"), "UTF-16"),
    (b"x" * (lists.MAX_BYTES + 1), "larger"),
])
def test_what_is_no_text_is_refused(tmp_path, data, word):
    path = tmp_path / "hosts.txt"
    path.write_bytes(data)
    with pytest.raises(Problem, match=word):
        lists.read_list(str(path))


def test_what_is_no_file_is_refused_at_once(tmp_path):
    pipe, loop = tmp_path / "pipe", tmp_path / "loop"
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    for path in (pipe, loop, tmp_path, tmp_path / "none", "/dev/zero", "a\0b"):
        with pytest.raises(Problem):
            lists.read_list(str(path))


def test_a_remark_in_another_encoding_harms_nobody(tmp_path):
    path = tmp_path / "hosts.txt"
    path.write_bytes(b"\xef\xbb\xbfgpu1 10.0.0.1 # B\xfcro\n")
    assert addresses(lists.read_list(str(path))) == {"gpu1": "10.0.0.1"}


def source(folder, text, options="", config="fleet.hosts_txt.yml"):
    (folder / "hosts.txt").write_text(text)
    (folder / config).write_text("plugin: accelmon.fleet.hosts_txt\n" + options)
    return folder / config


def test_through_ansible(tmp_path):
    path = source(tmp_path, "gpu1 10.0.0.1 accelmon_rack=r1\ngpu2 fd00::2\nmon1\n", "groups: {monitoring: inventory_hostname == 'mon1'}\n"
                  "keyed_groups: [{key: accelmon_rack, prefix: rack}]\n")
    found = inventory(path)
    assert found["_meta"]["hostvars"] == {"gpu1": {"ansible_host": "10.0.0.1", "accelmon_rack": "r1"}, "gpu2": {"ansible_host": "fd00::2"}}
    assert found["accelerator_nodes"]["hosts"] == ["gpu1", "gpu2", "mon1"]
    assert found["monitoring"]["hosts"] == ["mon1"] and found["rack_r1"]["hosts"] == ["gpu1"]


def test_values_are_never_evaluated(tmp_path):
    path = source(tmp_path, "gpu1 10.0.0.1 accelmon_rack={{1+1}} accelmon_cluster={%set_x=1%}\n")
    assert evaluated(path, "gpu1", ("accelmon_rack", "accelmon_cluster")) == {"accelmon_rack": "{{1+1}}", "accelmon_cluster": "{%set_x=1%}"}


@pytest.mark.parametrize("name, host", [
    ("gpu1-bmc", "gpu1"), ("gpu1-BMC", "gpu1"), ("gpu1_ipmi", "gpu1"), ("ib-gpu1", "gpu1"), ("ib0-gpu1", "gpu1"), ("gpu1-ib0", "gpu1"), ("gpu1.ipmi", "gpu1"),
    ("gpu1.bmc.example.org", "gpu1"), ("gpu1-idrac.example.org", "gpu1"), ("a-gpu2-hsn3", "a-gpu2.example.org"), ("gpu3-bmc", None), ("gpu1-rib", None),
    ("gpu1", None), ("gpu10", None), ("bmc", None), ("gpu1-ib0x", None), ("gpu1.example.org", None), ("mon1-oob", "mon1"),
])
def test_further_addresses_of_a_machine(name, host):
    words = ["bmc", "ipmi", "idrac", "ib", "ibp<n>s", "hsn", "oob"]
    assert hosts_txt.further(dict.fromkeys(["gpu1", "a-gpu2.example.org", "mon1", name], {"aliases": []}), words).get(name) == host
    assert hosts_txt.further(dict.fromkeys(["gpu1", name], {"aliases": []}), []) == {}


@pytest.mark.parametrize("text, left", [
    # A machine under its own name as an alias, of the line that comes first.
    ("10.0.0.1 gpu1-mgmt gpu1\n10.1.0.1 gpu1-ib gpu1-fast\n", ["gpu1-mgmt"]), ("10.0.0.1 gpu1-eth0 gpu1\n10.1.0.1 gpu1-bmc\n", ["gpu1-eth0"]),
    ("10.0.0.1 a\n10.0.0.1 a gpu1\n10.1.0.1 bmc-gpu1\n", ["a"]), ("10.0.0.1 gpu1-eth gpu1\n10.1.0.1 gpu1-ib gpu1\n", ["gpu1-eth"]),
    ("10.0.0.1 gpu1-eth0\n10.1.0.1 gpu1-bmc\n", ["gpu1-eth0", "gpu1-bmc"]),
    # As Ubuntu writes it.
    ("127.0.1.1 gpu1\n::1 ip6-localhost\nfe00::0 ip6-localnet\nff00::0 ip6-mcastprefix\nff02::1 ip6-allnodes\n10.0.0.1 gpu1\n", ["gpu1"]),
] + [(f"10.0.0.1 gpu1\n10.1.0.1 {name}\n", ["gpu1"]) for name in (
    "bmc.gpu1 gpu1-bmc0 gpu1-ipmi1 gpu1-ilo5 gpu1-cimc gpu1-mgmt gpu1-sp gpu1-eth1 gpu1-rail7 gpu1-rdma0 gpu1-mlx5_0 gpu1-dpu0 gpu1-bf3 gpu1-ibp1s0 "
    "gpu1-ib-0 gpu1-IB0 bmc0-gpu1").split()]
    + [(f"10.0.0.1 gpu1\n10.1.0.1 {name}\n", ["gpu1", name]) for name in ("gpu1-login", "gpu1-a", "gpu1-2", "gpu12", "ib", "gpu2-bmc")])
def test_lists_of_machines_with_several_addresses(text, left):
    hosts, problems = hosts_txt.parse(text, "address_first")
    options = yaml.safe_load(plugin.DOCUMENTATION)["options"]
    assert not problems and [name for name in hosts if name not in hosts_txt.further(hosts, options["further_names"]["default"])] == left


def test_management_controllers_and_fast_networks_are_no_hosts(tmp_path):
    text = ("127.0.0.1 localhost\n10.0.0.1 gpu1.example.org gpu1\n10.1.0.1 gpu1-bmc.example.org gpu1-bmc\n10.2.0.1 gpu1-ib0\n10.0.0.2 gpu2\n"
            "10.2.0.2 ib0-gpu2\n10.1.0.3 gpu3-bmc\n")
    (tmp_path / "one").mkdir()
    found = inventory(source(tmp_path / "one", text, "order: address_first\n"))
    # Of gpu3 nothing else is there: whatever it is, somebody has to decide.
    assert found["accelerator_nodes"]["hosts"] == ["gpu1.example.org", "gpu2", "gpu3-bmc"]
    (tmp_path / "all").mkdir()
    found = inventory(source(tmp_path / "all", text, "order: address_first\nfurther_names: []\n"))
    assert len(found["accelerator_nodes"]["hosts"]) == 6


def test_a_bad_line_stops_the_source_or_is_left_out(tmp_path):
    text = "gpu1 10.0.0.1\n--evil 10.0.0.2\n"
    said = inventory(source(tmp_path, text), code=None)
    assert "line 2" in said and "--evil" in said
    found = inventory(source(tmp_path, text, "bad_lines: warn\n"))
    assert found["accelerator_nodes"]["hosts"] == ["gpu1"]


def test_the_list_itself_is_a_source_where_the_plugin_is_enabled(tmp_path):
    source(tmp_path, "gpu1 10.0.0.1\n")
    found = inventory(tmp_path / "hosts.txt", ANSIBLE_INVENTORY_ENABLED="accelmon.fleet.hosts_txt,auto,ini")
    assert found["_meta"]["hostvars"] == {"gpu1": {"ansible_host": "10.0.0.1"}}


def test_a_folder_of_sources_does_not_read_the_list_by_another_plugin(tmp_path):
    source(tmp_path, "gpu1 10.0.0.1\n")
    assert inventory(tmp_path)["_meta"]["hostvars"] == {"gpu1": {"ansible_host": "10.0.0.1"}}


def test_another_name_of_the_source_is_not_ours(tmp_path):
    said = inventory(source(tmp_path, "gpu1 10.0.0.1\n", config="fleet.yml"), code=None)
    assert "could not be verified" in said or "hosts_txt" in said
