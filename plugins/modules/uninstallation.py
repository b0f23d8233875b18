#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: uninstallation
short_description: Find what the collection has on a host, and remove what is left when its roles are gone
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection, for its own roles and playbooks. Options and results may change in any release.
  - Roles remove their own services, packages and files with C(state=absent). This module finds out which of them to run, and afterwards
    removes what no role looks after alone. These are users, the group C(accelmon), what programs kept in the collection's directories, files named
    after the collection in directories of the system, and directories that are then empty.
  - Only removes what is named after the collection or lies in directories that are the collection's own. Of C(/etc/accelmon) and C(/opt/accelmon),
    only empty directories go, as every file there has an owner; what is left there is reported.
attributes:
  check_mode:
    support: full
    description: Predicts the change without making it. What roles would have removed before is still there, and is listed too.
  diff_mode:
    support: full
    description: Lists what goes. Shows no contents.
options:
  phase:
    description: V(look) changes nothing and says what is there. V(finish) removes what is left.
    type: str
    choices: [look, finish]
    required: true
  keep:
    description: Names in C(/var/lib/accelmon) that stay. Users of services whose directory stays do too, so that nobody else gets their number.
    type: list
    elements: str
    default: []
  textfile_directory:
    description: Directory of text files that the host's node_exporter reads. Files named C(accelmon_*.prom) go.
    type: path
    default: /var/lib/accelmon/textfile
  root:
    description: Directory that stands for C(/), for tests.
    type: path
    default: /
"""

EXAMPLES = r"""
- name: Find what is installed
  accelmon.fleet.uninstallation:
    phase: look

- name: Remove what is left, but the data of the storage
  accelmon.fleet.uninstallation:
    phase: finish
    keep: [victoriametrics, registry, secrets]
"""

RETURN = r"""
names:
  description: Names of services and sets of files of which something is on the host.
  type: list
  elements: str
  returned: O(phase=look)
images:
  description: Services of which container images are on the host.
  type: list
  elements: str
  returned: O(phase=look)
handover:
  description: Whether a script of the site is disabled because the collection's collector took its place.
  type: bool
  returned: O(phase=look)
removed:
  description: What was removed, or would be.
  type: list
  elements: str
  returned: O(phase=finish)
stays:
  description: What is left and why, a line each. That is what O(keep) names, and what others put into directories of the collection or use.
  type: list
  elements: str
  returned: O(phase=finish)
"""

import glob
import grp
import os
import pwd
import re
import shutil

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils import command, paths
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure, failing
from ansible_collections.accelmon.fleet.plugins.module_utils.host import systemd
from ansible_collections.accelmon.fleet.plugins.module_utils.programs.release import Release

UNITS = "/etc/systemd/system"
HEADER = "# Managed by accelmon.fleet"
LAUNCHD = "/Library/LaunchDaemons/dev.accelmon.all-smi.plist"
GROUP = "accelmon"
# Whose files all are ours, whatever they are called.
OWN = (paths.RUNTIME, paths.CACHE, "/var/log/accelmon")
# Of repositories that a role added under an earlier setting.
NAMED = ("/etc/apt/sources.list.d/accelmon-*.sources", "/etc/apt/keyrings/accelmon-*", "/etc/yum.repos.d/accelmon-*.repo",
         "/etc/zypp/repos.d/accelmon-*.repo")


class Uninstallation(object):
    """What is on this host. `removed` and `stays` grow while things go."""

    def __init__(self, module):
        self.module = module
        self.keep = set(module.params["keep"])
        self.removed, self.stays = [], []

    def at(self, path):
        """A path below the directory that stands for /."""
        return os.path.join(self.module.params["root"], path.lstrip("/"))

    def names(self, path):
        """What is in a directory, sorted; nothing if there is none."""
        folder = self.at(path)
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []

    def units(self):
        """Our unit files."""
        found = []
        for path in sorted(glob.glob(self.at(UNITS) + "/accelmon-*")):
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, errors="replace") as stream:
                    if stream.readline().startswith(HEADER):
                        found.append(os.path.basename(path))
        return found

    def records(self, name):
        """Names of the services that have a file in a directory of the state."""
        return [one[:-len(".json")] for one in self.names("%s/%s" % (paths.STATE, name)) if one.endswith(".json") and not one.startswith(".")]

    def look(self):
        """What is on the host."""
        found = [re.sub(r"^accelmon-(.*)\.[a-z]+$", r"\1", unit).replace("-", "_") for unit in self.units()]
        found += self.records("manifests") + self.records("services") + self.names(paths.PROGRAMS)
        found += ["access"] * bool(self.names(paths.TLS)) + ["all_smi"] * os.path.lexists(self.at(LAUNCHD))
        return {"changed": False, "names": sorted(set(found)), "images": self.records("images"),
                "handover": bool(self.names(paths.STATE + "/handover"))}

    def finish(self):
        """Remove what is left."""
        if not self.module.check_mode:
            self.refuse_services()
        for pattern in NAMED + (self.module.params["textfile_directory"] + "/accelmon_*.prom",):
            for path in sorted(glob.glob(self.at(pattern))):
                self.drop(path)
        for path in OWN:
            self.drop(self.at(path))
        self.empty_state()
        self.empty_programs()
        self.prune(self.at(paths.CONFIGURATION))
        self.drop_users()
        if self.removed and not self.module.check_mode and os.path.isdir(self.at("/run/systemd/system")):
            self.module.run_command(["systemctl", "reset-failed", "accelmon-*"])  # of a unit that is gone, only its failure would be listed
        return {"changed": bool(self.removed), "removed": self.removed, "stays": self.stays,
                "diff": {"before": "".join(path + "\n" for path in self.removed), "after": ""}}

    def refuse_services(self):
        """Users and state of a service that is still there are not taken away from under it."""
        there = self.units() + ["the files of " + name for name in self.records("manifests")]
        if there:
            raise Failure("%s: still on this host, and no role of this version of the collection removes it; run the version that installed it"
                          % ", ".join(there))

    def drop(self, path):
        """Remove a file, or a directory with all that is in it."""
        if not os.path.lexists(path):
            return
        folder, link = os.path.isdir(path), os.path.islink(path)
        if link and folder:
            self.stays.append("left: %s, which %s pointed to" % (os.path.realpath(path), path))
        elif folder and os.path.ismount(path):
            for name in sorted(os.listdir(path)):
                self.drop(os.path.join(path, name))
            self.stays.append("left: %s, where something is mounted" % path)
            return
        self.removed.append(path)
        if not self.module.check_mode:
            (shutil.rmtree if folder and not link else os.remove)(path)

    def prune(self, path):
        """Remove empty directories, from the inside; what is in the way is left."""
        if not os.path.isdir(path):
            return
        for folder, inner, files in os.walk(path, topdown=False):
            # In check mode nobody knows what roles would have left.
            links = [name for name in inner if os.path.islink(os.path.join(folder, name))]
            if not self.module.check_mode:
                self.stays += ["left: %s, which accelmon.fleet did not write" % os.path.join(folder, name) for name in sorted(files + links)]
            if all(os.path.join(folder, name) in self.removed for name in os.listdir(folder)):
                self.removed.append(folder)
                if not self.module.check_mode:
                    os.rmdir(folder)

    def kept(self):
        """Names in the state directory that stay, those included that restore.yml put aside."""
        return [name for name in self.names(paths.STATE) if name.partition(".before-")[0] in self.keep]

    def empty_state(self):
        """Remove what we and our services keep, but what stays; a site may have text files of its own among ours."""
        state, own, kept = self.at(paths.STATE), os.path.basename(paths.TEXTFILE), self.kept()
        for name in self.names(paths.STATE):
            if name == own:
                for path in sorted(glob.glob(os.path.join(state, own, "accelmon_*.prom"))):
                    if path not in self.removed:
                        self.drop(path)
                self.prune(os.path.join(state, own))
            elif name in kept:
                self.stays.append("kept: %s; accelmon_uninstall_data=true removes it" % os.path.join(state, name))
            else:
                self.drop(os.path.join(state, name))
        if os.path.isdir(state) and not os.path.islink(state) and all(os.path.join(state, name) in self.removed for name in os.listdir(state)):
            self.removed.append(state)
            if not self.module.check_mode:
                os.rmdir(state)

    def empty_programs(self):
        """Remove releases that were installed before the service had another source, then empty directories."""
        for name in self.names(paths.PROGRAMS):
            if os.path.islink(os.path.join(self.at(paths.PROGRAMS), name, "current")):
                self.removed += Release(name, self.at(paths.PROGRAMS)).absent(self.module.check_mode)["removed"]
        self.prune(self.at(paths.PROGRAMS))

    def drop_users(self):
        """Remove the users of services whose data are gone, and the group that may read certificates."""
        for user in sorted(pwd.getpwall()):
            if user.pw_name.startswith(GROUP + "-") and user.pw_dir == "/nonexistent" and not self.owns(user.pw_name):
                self.account("userdel", user.pw_name, "user " + user.pw_name)
                # Where a user's own group does not go with it.
                if not self.module.check_mode and self.has_group(user.pw_name):
                    self.account("groupdel", user.pw_name, "group " + user.pw_name)
        if self.has_group(GROUP):
            members = grp.getgrnam(GROUP).gr_mem
            if members:
                self.stays.append("left: group %s, because of its members: %s" % (GROUP, ", ".join(members)))
            else:
                self.account("groupdel", GROUP, "group " + GROUP)

    def owns(self, user):
        """Whether data of the service with this user stay."""
        return any(systemd.user_name(name.partition(".before-")[0]) == user for name in self.kept())

    @staticmethod
    def has_group(name):
        """Whether there is a group of this name."""
        try:
            grp.getgrnam(name)
        except KeyError:
            return False
        return True

    def account(self, program, name, what):
        """Remove a user or group."""
        self.removed.append(what)
        if not self.module.check_mode:
            status, output, errors = self.module.run_command([program, name])
            if status:
                raise Failure("%s: cannot be removed (%s); end what uses it, then run again" % (what, " ".join((errors or output).split())))


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "phase": {"type": "str", "choices": ["look", "finish"], "required": True},
            "keep": {"type": "list", "elements": "str", "default": []},
            "textfile_directory": {"type": "path", "default": paths.TEXTFILE},
            "root": {"type": "path", "default": "/"},
        },
        supports_check_mode=True,
    )
    module.run_command = command.of_module(module)
    with failing(module):
        uninstallation = Uninstallation(module)
        result = uninstallation.look() if module.params["phase"] == "look" else uninstallation.finish()
    module.exit_json(**result)


if __name__ == "__main__":
    main()
