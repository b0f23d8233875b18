# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventory sources through the programs of whatever ansible-core runs the tests."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parents[4]
PROGRAMS = pathlib.Path(sys.executable).parent
PLAY = [{"hosts": "all", "gather_facts": False, "tasks": [{
    "ansible.builtin.copy": {"content": "{{ values | to_json }}", "dest": "{{ file }}", "mode": "0600"}, "delegate_to": "localhost",
    "vars": {"values": "{{ dict(names | zip(names | map('extract', vars))) }}", "ansible_connection": "local",
             "ansible_python_interpreter": sys.executable}}]}]


def run(source, program, arguments, environment):
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "ansible.cfg"
        config.write_text("[inventory]\nany_unparsed_is_failed = true\n")
        # Wide, so that messages are not broken into lines.
        env = dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(REPOSITORY / ".collections"), ANSIBLE_HOME=folder, ANSIBLE_NOCOLOR="1",
                   ANSIBLE_CONFIG=str(config), LC_ALL="C.UTF-8", COLUMNS="500", **environment)
        return subprocess.run([str(PROGRAMS / program), "-i", str(source), *map(str, arguments)], env=env, cwd=folder, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)


def inventory(source, code=0, **environment):
    """What ansible-inventory makes of a source; with another status wanted, what it says."""
    done = run(source, "ansible-inventory", ["--list"], environment)
    if code == 0:
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
    assert done.returncode != 0, done.stdout
    return " ".join(done.stderr.split())


def evaluated(source, host, names):
    """The values of a host's variables as a play uses them."""
    file = source.parent / "values.out"
    play = source.parent / "play.json"
    play.write_text(json.dumps(PLAY))
    done = run(source, "ansible-playbook", ["--limit", host, play, "-e", json.dumps({"names": list(names), "file": str(file)})], {})
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(file.read_text())
