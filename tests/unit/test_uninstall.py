# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which hosts playbooks/uninstall.yml takes, by ansible-playbook in check mode on this machine.

Stubbed: all hosts are this machine, but one that does not answer, and one that is not to be asked.
"""
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
INVENTORY = f"""
[accelerator_nodes]
gpu1 accelmon_address=10.0.0.1
gpu2 accelmon_address=10.0.0.2 accelmon_cluster=two
gone1 accelmon_address=10.0.0.3 ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=9
k8s1 accelmon_scrape_only=true ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=9
wrong1 accelmon_address=10.0.0.4 accelmon_textfile_directory=relative
[monitoring]
mon1 accelmon_address=10.0.0.9
[all:vars]
ansible_connection=local
ansible_become=false
ansible_python_interpreter={sys.executable}
"""


def uninstalled(folder, arguments):
    """The ended run of the playbook in check mode, with these arguments and the inventory in the folder."""
    return subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "--check", "-i", "hosts.ini", str(ROOT / "playbooks/uninstall.yml"), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=600, check=False, cwd=str(folder),
        env=dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".collections"), ANSIBLE_HOME=str(folder / "home"), ANSIBLE_NOCOLOR="1",
                 ANSIBLE_HOST_KEY_CHECKING="false"))


@pytest.mark.parametrize("arguments,code,words,absent", [
    ([], 2, ["--limit is missing: this would uninstall the whole fleet; name the nodes, for example --limit gpu7, or set accelmon_uninstall=all"],
     ["TASK [Inspect the host]"]),
    (["--limit", "gpu1:mon1"], 2, ["--limit = gpu1:mon1: it includes the monitoring host mon1; leave monitoring hosts out"], ["TASK [Inspect the host]"]),
    (["-e", "accelmon_uninstall=everything"], 2, ["accelmon_uninstall = everything: not a choice; use nodes or all"], ["TASK [Inspect the host]"]),
    (["--limit", "gpu1,gpu2,gone1,k8s1,wrong1"], 4, [
        "wrong1: accelmon_textfile_directory = relative", "(item=mon1)", "not uninstalled: gone1, wrong1; run again"],
     ["PLAY [Stop alerts where monitoring hosts go"]),
    (["-e", "accelmon_uninstall=all", "--limit", "all:!wrong1"], 4, ["PLAY [Uninstall monitoring hosts", "not uninstalled: gone1; run again"], ["(item=mon1)"]),
])
def test_hosts_that_go_and_hosts_that_do_not(tmp_path, arguments, code, words, absent):
    (tmp_path / "hosts.ini").write_text(INVENTORY)
    done = uninstalled(tmp_path, arguments)
    assert done.returncode == code, done.stdout
    assert [text for text in words if text not in done.stdout] == [], done.stdout
    # What no host is left for is listed, and skipped.
    plays = [play for play in done.stdout.split("\nPLAY [") if "skipping: no hosts matched" not in play]
    assert [text for text in absent if any(text in "PLAY [" + play for play in plays)] == [], done.stdout


def test_of_two_monitoring_hosts_the_one_that_stays_has_to_learn_of_it(tmp_path):
    (tmp_path / "hosts.ini").write_text(INVENTORY.replace("[all:vars]", "mon2 accelmon_address=10.0.0.8\n[all:vars]"))
    done = uninstalled(tmp_path, ["-e", "accelmon_uninstall=all", "--limit", "mon2"])
    assert "mon1 still writes to mon2 and sends alerts there, so AlertmanagerUnreachable and AlertmanagersSplit will fire" in done.stdout, done.stdout
    done = uninstalled(tmp_path, ["-e", "accelmon_uninstall=all", "--limit", "mon1,mon2"])
    assert "still writes to" not in done.stdout and "PLAY [Say who is left]" in done.stdout, done.stdout
