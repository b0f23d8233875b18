# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module uninstallation on a tree of its own.

Stubbed: AnsibleModule, users and groups, and the programs that remove these.
"""
import pwd
import types

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.modules import uninstallation
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import removal

UNIT = "# Managed by accelmon.fleet: change it through the role's variables, or add a drop-in.\n[Service]\n"


class Host:
    """What stands for AnsibleModule, and a host with a few files. users: {name: home}; members: of the group accelmon, None without it"""

    def __init__(self, root):
        self.root, self.check_mode, self.params = root, False, {"root": str(root), "keep": [], "textfile_directory": "/srv/text"}
        self.users = {"root": "/root", "accelmon-vmagent": "/nonexistent", "accelmon-all-smi": "/nonexistent", "accelmon-ada": "/home/ada"}
        self.members, self.calls, self.failing = [], [], ""

    def add(self, *names):
        """Make files, or directories where a name ends so."""
        for name in names:
            path = self.root / name
            (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
            if not name.endswith("/"):
                path.write_text(UNIT if "/systemd/" in name else "{}")

    def run_command(self, argv):
        """Remove a user or the group."""
        self.calls.append(" ".join(argv))
        if argv[0] == self.failing:
            return 8, "", "user accelmon-vmagent is currently used by process 1\n"
        if argv[0] == "userdel":
            del self.users[argv[1]]
        elif argv[1] == "accelmon":
            self.members = None
        return 0, "", ""

    def finish(self, *keep, check=False):
        """What the module returns, with paths from the root."""
        self.check_mode, self.params["keep"] = check, list(keep)
        found = uninstallation.Uninstallation(self).finish()
        return {name: [str(one).replace(str(self.root), "") for one in value] if isinstance(value, list) else value for name, value in found.items()}

    def there(self):
        """All files and empty directories."""
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_symlink() or not path.is_dir() or not any(path.iterdir()))


@pytest.fixture(name="host")
def a_host(tmp_path, monkeypatch):
    made = Host(tmp_path)

    def group(name):
        if name != "accelmon" or made.members is None:
            raise KeyError(name)
        return types.SimpleNamespace(gr_mem=made.members)
    monkeypatch.setattr(uninstallation.pwd, "getpwall", lambda: [
        pwd.struct_passwd((name, "x", 990, 990, "", home, "/bin/false")) for name, home in sorted(made.users.items())])
    monkeypatch.setattr(uninstallation.grp, "getgrnam", group)
    return made


def look(host):
    return uninstallation.Uninstallation(host).look()


def test_nothing_is_found_where_nothing_is(host):
    assert look(host) == {"changed": False, "names": [], "images": [], "handover": False}


def test_a_service_is_found_by_whatever_is_left_of_it(host):
    host.add("etc/systemd/system/accelmon-node-exporter.service", "etc/systemd/system/accelmon-all-smi-front.socket",
             "var/lib/accelmon/manifests/rules.json", "var/lib/accelmon/manifests/.lock", "var/lib/accelmon/services/vmalert.json",
             "opt/accelmon/vmagent/current", "etc/accelmon/tls/ca.crt", "var/lib/accelmon/images/dcgm_exporter.json", "var/lib/accelmon/handover/state.json")
    (host.root / "etc/systemd/system/accelmon-theirs.service").write_text("[Service]\n")
    assert look(host) == {"changed": False, "names": ["access", "all_smi_front", "node_exporter", "rules", "vmagent", "vmalert"],
                          "images": ["dcgm_exporter"], "handover": True}


def test_what_is_left_goes_and_data_stay_with_their_user(host):
    host.add("var/lib/accelmon/manifests/.lock", "var/lib/accelmon/watch/x.json", "var/lib/accelmon/vmagent/queue/1", "var/lib/accelmon/all_smi/wal",
             "var/lib/accelmon/registry/c.json", "var/lib/accelmon/targets/node_exporter/c.json", "var/lib/accelmon/textfile/accelmon_fleet_c.prom",
             "run/accelmon/loaded/vmagent", "run/accelmon/jobs/7.json", "var/log/accelmon/amd_exporter/x.log", "etc/accelmon/tls/", "opt/accelmon/x/",
             "srv/text/accelmon_adopted.prom", "srv/text/site.prom", "etc/apt/sources.list.d/accelmon-nvidia.sources", "etc/apt/keyrings/site.asc")
    before = host.there()
    check = host.finish(*removal.DATA, check=True)
    assert check["changed"] and host.there() == before and not host.calls
    done = host.finish(*removal.DATA)
    assert sorted(done["removed"]) == sorted(check["removed"]), "check mode tells the same"
    assert host.there() == ["etc/apt/keyrings/site.asc", "etc/apt/sources.list.d", "opt", "run", "srv/text/site.prom",
                            "var/lib/accelmon/registry/c.json", "var/lib/accelmon/vmagent/queue/1", "var/log"]
    assert host.calls == ["userdel accelmon-all-smi", "groupdel accelmon"] and "accelmon-vmagent" in host.users and "accelmon-ada" in host.users
    assert done["stays"] == [f"kept: /var/lib/accelmon/{name}; accelmon_uninstall_data=true removes it" for name in ("registry", "vmagent")]
    again = host.finish(*removal.DATA)
    assert not again["changed"] and again["stays"] == done["stays"]


def test_what_a_restore_put_aside_is_data_too(host):
    host.add("var/lib/accelmon/vmagent.before-20260101T000000Z/1", "var/lib/accelmon/secrets.before-20260101T000000Z/secrets.json",
             "var/lib/accelmon/backup/last.json")
    done = host.finish(*removal.DATA)
    assert [path for path in host.there() if path.startswith("var/lib/accelmon/")] == [
        "var/lib/accelmon/secrets.before-20260101T000000Z/secrets.json", "var/lib/accelmon/vmagent.before-20260101T000000Z/1"]
    assert len(done["stays"]) == 2 and "accelmon-vmagent" in host.users
    host.finish()
    assert not [path for path in host.there() if "accelmon" in path] and "accelmon-vmagent" not in host.users


def test_all_goes_if_all_is_asked_for(host):
    host.add("var/lib/accelmon/vmagent/queue/1", "var/lib/accelmon/secrets/secrets.json", "var/lib/accelmon/kept/etc/x", "etc/accelmon/web/")
    done = host.finish()
    assert host.there() == ["etc", "var/lib"] and not done["stays"]
    assert host.calls == ["userdel accelmon-all-smi", "userdel accelmon-vmagent", "groupdel accelmon"]
    assert done["diff"]["before"].count("\n") == len(done["removed"])


def test_what_others_put_there_is_left_and_named(host):
    host.add("etc/accelmon/site.yml", "opt/accelmon/tool", "var/lib/accelmon/textfile/site.prom", "var/lib/accelmon/textfile/accelmon_x.prom", "disk/vm/1")
    (host.root / "var/lib/accelmon/victoriametrics").symlink_to(host.root / "disk/vm")
    host.members = ["ada"]
    done = host.finish()
    assert host.there() == ["disk/vm/1", "etc/accelmon/site.yml", "opt/accelmon/tool", "var/lib/accelmon/textfile/site.prom"]
    assert sorted(done["stays"]) == [
        "left: /disk/vm, which /var/lib/accelmon/victoriametrics pointed to", "left: /etc/accelmon/site.yml, which accelmon.fleet did not write",
        "left: /opt/accelmon/tool, which accelmon.fleet did not write", "left: /var/lib/accelmon/textfile/site.prom, which accelmon.fleet did not write",
        "left: group accelmon, because of its members: ada"]
    assert not host.finish()["changed"]


def test_nothing_goes_while_a_service_is_there_that_no_role_removed(host):
    host.add("etc/systemd/system/accelmon-older.service", "var/lib/accelmon/manifests/older.json", "var/lib/accelmon/x/y")
    before = host.there()
    with pytest.raises(Failure, match="^accelmon-older.service, the files of older: still on this host, and no role"):
        host.finish()
    assert host.there() == before and not host.calls


def test_a_user_that_is_in_use_is_named(host):
    host.failing = "userdel"
    with pytest.raises(Failure, match=r"^user accelmon-all-smi: cannot be removed \(user .*\); end what uses it, then run again$"):
        host.finish()
