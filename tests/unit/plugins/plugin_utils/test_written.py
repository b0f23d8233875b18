# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Numbers that are written otherwise than they read. Nothing is stubbed."""
import time

import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import variables, written

KNOWN = set(variables.all_variables())
# derived: from what people write, and what YAML 1.1 makes of it
HOSTS = """
all:
  vars: {hosts: {1: not a host}, other: 012, ansible_host: 10.1.0.1}
  children:
    accelerator_nodes:
      hosts:
        "001": {accelmon_rack: 012, node_exporter_port: 9100}
        gpu2: {accelmon_rack: 1:20, accelmon_labels: {row: 010, asset: "012"}}
        gpu3: {accelmon_rack: 08, accelmon_expected: {nvidia: 8}}
        gpu4: {accelmon_rack: 0x1f, accelmon_labels: {asset: 1_000}}
        gpu5: {accelmon_rack: 7, accelmon_custom_exporters: [{job: a, port: 0100}]}
"""


def test_where_and_how():
    assert [(line, problem.partition(":  ")[0].partition(": YAML")[0]) for line, problem in written.of_text(HOSTS, KNOWN)] == [
        (7, "accelmon_rack = 012"), (8, "accelmon_labels.row = 010"), (8, "accelmon_rack = 1:20"), (10, "accelmon_labels.asset = 1_000"),
        (10, "accelmon_rack = 0x1f"), (11, "accelmon_custom_exporters.port = 0100")]


@pytest.mark.parametrize("written_as,read_as", [
    ("012", 10), ("1:20", 80), ("1_000", 1000), ("0x1f", 31), ("+5", 5), ("0b11", 3), ("-010", -8), ("007", 7), ("-0", 0)])
def test_what_to_write(written_as, read_as):
    problem = f'accelmon_rack = {written_as}: YAML reads it as the number {read_as}; put it in quotes, as "{written_as}", or as {read_as}'
    assert written.of_text(f"x: 01\naccelmon_rack: {written_as}\n", KNOWN) == [(2, problem)]


@pytest.mark.parametrize("text", ["accelmon_stack_password: 0123456701", "accelmon_stack_password=0x123456701",
                                  "grafana_settings: {smtp: {password: 0123456701}}",
                                  "alertmanager_receivers: [{bot_token: 0123456701}]", "all:\n  vars:\n    grafana_settings: {a: {b: 0123456701}}"])
def test_a_secret_number_is_not_shown(text):
    ((_line, problem),) = written.of_text(f"{text}\n", {*KNOWN, "accelmon_stack_password", "grafana_settings", "alertmanager_receivers"})
    assert " = (not shown): " in problem and "123456701" not in problem and "21913025" not in problem and "\n" not in problem


@pytest.mark.parametrize("text", [
    'accelmon_rack: "012"', "accelmon_rack: '1:20'", "accelmon_rack: 7", "accelmon_rack: 12", "accelmon_rack: 0", "accelmon_rack: 08", "accelmon_rack: r012",
    "accelmon_rack: 12a", "mine: 012", "accelmon_rack: {{ not yaml", "accelmon_address: 10.0.0.7", "accelmon_rack: 1:99", "accelmon_labels: {a: 2026-01-05}",
    "#!/bin/sh\naccelmon_rack=0x1f"])
def test_what_is_as_it_is_written(text):
    assert written.of_text(f"{text}\n", KNOWN) == []


@pytest.mark.parametrize("name", ["001", "17", "1.5", "0x1f", "no", "On", "~", "2026-01-05", "1:20", "1_0"])
def test_names_of_hosts_and_groups(name):
    for kind, what in written.NAMES.items():
        for text in (f"all:\n  {kind}:\n    a: {{}}\n    {name}: {{}}\n", f"all: {{{kind}: {{a: {{}}, {name}: {{}}}}}}\n"):
            ((_line, problem),) = written.of_text(text, KNOWN)
            assert problem == f'{what} {name}: YAML does not read this name as a string; put it in quotes, as "{name}"'
    assert written.of_text(f'all:\n  hosts:\n    "{name}": {{}}\n', KNOWN) == []


def test_ini_inventories():
    text = "[accelerator_nodes]\ngpu1 accelmon_rack=012\ngpu2 accelmon_rack=0x1f\n# accelmon_rack=1_000\n[all:vars]\naccelmon_rack = 1_000\n"
    assert [(line, problem.partition(":")[0]) for line, problem in written.of_text(text, KNOWN)] == [(3, "accelmon_rack = 0x1f"), (6, "accelmon_rack = 1_000")]


def test_sources_and_the_variables_beside_them(tmp_path):
    (tmp_path / "group_vars" / "rack").mkdir(parents=True)
    (tmp_path / "host_vars").mkdir()
    (tmp_path / "hosts.ini").write_text("[all]\ngpu1\n")
    (tmp_path / "group_vars" / "all").write_text("accelmon_rack: 012\n")
    (tmp_path / "group_vars" / "rack" / "a.yml").write_text("accelmon_cluster: 0x1f\nsecret: !vault |\n  00\n")
    (tmp_path / "host_vars" / "gpu1.yml").write_text("accelmon_labels: {row: 1:20}\n")
    (tmp_path / "host_vars" / "notes.md").write_text("accelmon_rack: 012\n")
    for sources in ([tmp_path / "hosts.ini"], [str(tmp_path)], [tmp_path, tmp_path / "hosts.ini", "gpu8,", "/no/such"]):
        assert [text.split(": ")[0].removeprefix(f"{tmp_path}/") for text in written.findings(sources, KNOWN)] == [
            "group_vars/all, line 1", "group_vars/rack/a.yml, line 1", "host_vars/gpu1.yml, line 1"]


def test_a_large_inventory_is_read_in_moments(tmp_path):
    hosts = "".join(f"        gpu{number}: {{ansible_host: 10.{number // 250}.0.{number % 250}, accelmon_rack: r{number % 99}}}\n" for number in range(10_000))
    (tmp_path / "hosts.yml").write_text(f"all:\n  children:\n    accelerator_nodes:\n      hosts:\n{hosts}")
    began = time.process_time()
    assert written.findings([tmp_path / "hosts.yml"], KNOWN) == []
    assert time.process_time() - began < 2


@pytest.mark.parametrize("word,read_as", [("+5", 5), ("-0", 0), ("+012", 10)])
def test_a_sign_alone_is_enough_for_a_closer_look(word, read_as):
    ((line, problem),) = written.of_text(f"all:\n  vars:\n    accelmon_rack: {word}\n", KNOWN)
    assert line == 3 and f"accelmon_rack = {word}: YAML reads it as the number {read_as};" in problem
