# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""fleet_compare_info, its questions and compare_sources.yml.

Stubbed: the storage, by a web server that gives answers recorded from the real one (tests/fixtures/api/compare.json: DCGM's exporter and
all-smi on gpu1, of which all-smi gives the second device another UUID; DCGM's alone on gpu2); and the monitoring host, by
this machine over a local connection.
"""
import contextlib
import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
from urllib.parse import parse_qs

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.signals import source_comparisons
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import compare
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load

ROOT = pathlib.Path(__file__).parents[4]
RECORDED = json.loads((ROOT / "tests/fixtures/api/compare.json").read_text())
QUESTIONS = RECORDED["questions"]
NOTHING = {"resultType": "vector", "result": []}
MODULE = "ansible_collections.accelmon.fleet.plugins.modules.fleet_compare_info"
INVENTORY = """
all:
  vars: {ansible_connection: local, ansible_become: false, ansible_python_interpreter: "%(python)s"}
  children:
    accelerator_nodes: {hosts: {gpu1: , gpu2: }}
    monitoring: {hosts: {mon01: {victoriametrics_port: %(port)d}}}
"""


class Storage:
    """Gives the recorded answers; what was never asked for has no series. `asked` lists the questions."""

    def __init__(self):
        self.asked, self.broken = [], False
        storage = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                query = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())["query"][0]
                storage.asked.append(query)
                self.send_response(500 if storage.broken else 200)
                self.end_headers()
                self.wfile.write(json.dumps({"status": "success", "data": RECORDED["answers"].get(query, NOTHING)}).encode())

            def log_message(self, *_args):
                """Keep the test's output clean."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def run(self, **options):
        """The result of one run of the module."""
        args = dict({"questions": QUESTIONS, "storage_url": "http://127.0.0.1:%d" % self.port, "password_file": "/none", "ca_file": "/none"}, **options)
        done = subprocess.run(
            [sys.executable, "-m", MODULE], input=json.dumps({"ANSIBLE_MODULE_ARGS": args}),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=600, check=False,
            env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)))
        assert done.stderr == "", done.stderr
        return json.loads(done.stdout)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(name="storage")
def _storage():
    with contextlib.closing(Storage()) as storage:
        yield storage


def test_every_series_of_two_sources_is_asked_for_of_each():
    asked = source_comparisons([])
    assert set(asked["jobs"]) == set(asked["present"]) == set(load("sources")["sources"])
    names = [item["name"] for item in asked["series"]]
    assert 'accelerator_temperature_celsius{sensor="core"}' in names and "accelerator_power_watts" in names
    # Identity is no reading, and energy begins to count at another moment with each source.
    assert not [name for name in names if name.startswith(("accelerator_info", "accelerator_energy"))]
    for item in asked["series"]:
        assert len(item["from"]) > 1
        for source, expression in item["from"].items():
            assert 'source="%s"' % source in expression and "@nodes@" in expression and "accelmon_source_elected" not in expression


def test_only_some_sources():
    asked = source_comparisons(["dcgm", "all_smi"])
    assert set(asked["jobs"]) == {"dcgm", "all_smi"}
    assert all(set(item["from"]) == {"dcgm", "all_smi"} for item in asked["series"])
    with pytest.raises(AnsibleFilterError, match="accelmon_compare_sources = nvml: no such source; use some of all_smi, amd_exporter, dcgm, textfile"):
        source_comparisons(["nvml"])


def test_values_stand_side_by_side(storage):
    result = storage.run()
    rows = dict((row["series"], row) for row in result["rows"] if row["uuid"] == "GPU-gpu1-0")
    assert rows["accelerator_utilization_ratio"]["values"] == {"dcgm": 0.4, "all_smi": 0.44}
    assert rows["accelerator_power_watts"]["difference"] == 0.5 and rows["accelerator_power_watts"]["unit"] == "watts"
    assert rows["accelerator_memory_total_bytes"]["difference"] == 0
    assert result["table"].splitlines()[0].split() == ["NODE", "DEVICE", "UUID", "SERIES", "ALL_SMI", "DCGM", "DIFFERENCE"]
    power = next(line for line in result["table"].splitlines() if "GPU-gpu1-0" in line and "accelerator_power_watts" in line)
    assert power.split() == ["gpu1", "nvidia", "0", "GPU-gpu1-0", "accelerator_power_watts", "301", "300.5", "0.5"]
    # gpu2 has one source, so there is nothing to compare.
    assert {row["node"] for row in result["rows"] + result["exporters"]} == {"gpu1"} and result["changed"] is False


def test_a_device_that_sources_name_differently_is_told(storage):
    result = storage.run()
    assert result["problems"] == [
        "gpu1: device 1 (GPU-gpu1-1) is known by this index and UUID only to dcgm",
        "gpu1: device 1 (GPU-other) is known by this index and UUID only to all_smi"]
    assert {row["difference"] for row in result["rows"] if row["index"] == "1"} == {None}


def test_costs_are_listed_as_far_as_exporters_tell(storage):
    rows = dict((row["source"], row) for row in storage.run()["exporters"])
    assert rows["dcgm"]["elected"] is True and rows["all_smi"]["elected"] is False
    assert rows["dcgm"]["samples"] == 304 and rows["dcgm"]["cpu"] is None and rows["dcgm"]["memory"] is None
    assert rows["all_smi"]["cpu"] == pytest.approx(0.02) and rows["all_smi"]["memory"] == 30e6


def test_tolerance_leaves_out_what_is_close(storage):
    close = [row["series"] for row in storage.run(tolerance=5)["rows"] if row["index"] == "0"]
    assert close == ["accelerator_utilization_ratio", "accelerator_memory_used_bytes"]
    # What a source lacks is listed at any tolerance.
    assert [row for row in storage.run(tolerance=100)["rows"] if row["index"] == "1"]


def test_check_mode_is_the_same(storage):
    assert storage.run(_ansible_check_mode=True) == dict(storage.run(), **{})


def test_without_two_sources_or_storage(storage):
    assert storage.run(hosts=["gpu9"])["problems"] == [
        "no node has accelerators that are read by two sources; list two exporters in accelmon_exporters and run site.yml"]
    assert all('node=~"gpu9"' in query for query in storage.asked)
    storage.broken = True
    result = storage.run()
    assert result["rows"] == [] and "answers HTTP 500" in result["problems"][0]


@pytest.mark.parametrize("value, words", [(None, "-"), (85520809984.0, "85520809984"), (0.44, "0.44"), (0.00004, "0"), (300.5, "300.5")])
def test_words(value, words):
    assert compare.words(value) == words


def playbook(folder, *arguments):
    """(exit status, output) of compare_sources.yml, which asks what was recorded: it was of two sources."""
    text = (ROOT / "playbooks/compare_sources.yml").read_text()
    question = '"{{ _accelmon_compare_sources | accelmon.fleet._source_comparisons }}"'
    assert text.count(question) == 1
    (folder / "compare_sources.yml").write_text(text.replace(question, json.dumps(QUESTIONS)))
    if not (folder / "parts").exists():
        (folder / "parts").symlink_to(ROOT / "playbooks" / "parts")
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", str(folder / "inventory.yml"), str(folder / "compare_sources.yml")] + list(arguments),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=600, check=False, cwd=str(folder),
        env=dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".collections"), ANSIBLE_HOME=str(folder / "home"),
                 ANSIBLE_LOCALHOST_WARNING="0", ANSIBLE_FORCE_COLOR="0", ANSIBLE_NOCOWS="1"))
    return done.returncode, done.stdout


def test_the_playbook_shows_tables_also_in_check_mode(storage, tmp_path):
    (tmp_path / "inventory.yml").write_text(INVENTORY % {"python": sys.executable, "port": storage.port})
    for mode in ([], ["--check"]):
        code, out = playbook(tmp_path, *mode)
        assert code == 0, out
        assert "accelerator_power_watts" in out and "IN CHARGE" in out and "mon01: gpu1: device 1 (GPU-other)" in out
        assert "changed=0" in out and "changed=1" not in out


def test_the_playbook_prints_json(storage, tmp_path):
    (tmp_path / "inventory.yml").write_text(INVENTORY % {"python": sys.executable, "port": storage.port})
    code, out = playbook(tmp_path, "-e", "accelmon_output=json")
    assert code == 0, out
    start = out.index("{\n", out.index("TASK [Show "))
    shown = json.JSONDecoder().raw_decode(out[start:])[0]["msg"]
    assert shown["monitoring_host"] == "mon01" and len(shown["rows"]) == 21 and len(shown["exporters"]) == 2
