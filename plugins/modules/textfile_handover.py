#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: textfile_handover
short_description: Disable a script's cron entry and text file, or restore them
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection, for its own roles and playbooks. Options and results may change in any release.
  - For hosts on which cron runs a script such as C(get_gpu_metrics.sh) that writes C(node_gpu_*) series to node_exporter's
    textfile directory, before the collection's collector exports the same series.
  - O(state=present) comments out the script's crontab entries, waits for running instances and moves the script's
    text file aside. O(state=absent) reverts both. The script itself is not touched. Other entries and files with
    other series are left unchanged.
attributes:
  check_mode:
    support: full
    description: Predicts the change without making it.
  diff_mode:
    support: full
    description: Shows only the affected entries and files, not the rest of the crontabs.
options:
  state:
    description:
      - V(present) disables the script, V(absent) restores it.
      - V(proven) fails if a device that the script exported is missing from the file of the collection's collector.
    type: str
    choices: [present, absent, proven]
    default: present
  script:
    description: Name of the script as it appears in the cron entry.
    type: str
    default: get_gpu_metrics.sh
  directory:
    description: Textfile directory that the script writes to.
    type: path
    required: true
  crontabs:
    description: Crontabs to check, as shell patterns.
    type: list
    elements: str
    default: [/etc/crontab, /etc/cron.d/*, /var/spool/cron/crontabs/*, /var/spool/cron/*]
  keep:
    description: Directory in which the script's text file is kept.
    type: path
    default: /var/lib/accelmon/handover
  wait:
    description: Seconds to wait for running instances of the script.
    type: int
    default: 90
"""

EXAMPLES = r"""
- name: Disable the script
  accelmon.fleet.textfile_handover:
    directory: /var/lib/prometheus/node-exporter

- name: Put it back
  accelmon.fleet.textfile_handover:
    directory: /var/lib/prometheus/node-exporter
    state: absent
"""

RETURN = r"""
crontabs:
  description: Crontabs whose entries were changed.
  type: list
  elements: str
  returned: O(state=present) and O(state=absent)
files:
  description: Text files that were moved aside or restored.
  type: list
  elements: str
  returned: O(state=present) and O(state=absent)
missing:
  description: Series of the script that the collection's collector does not export, such as values the device does not have.
  type: list
  elements: str
  returned: O(state=proven)
"""

import glob
import json
import os
import stat
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils import atomic
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure, failing
from ansible_collections.accelmon.fleet.plugins.module_utils.host import textfiles
from ansible_collections.accelmon.fleet.plugins.module_utils.paths import STATE

# In front of an entry that was taken out of use.
MARK = "# accelmon.fleet replaced this: "
OURS = "accelmon_accelerators.prom"


def taken_out(text, script):
    """A crontab's text without its entries for the script."""
    return "".join(MARK + line if script in line and not line.lstrip().startswith("#") else line for line in text.splitlines(True))


def put_back(text, script):
    """A crontab's text with the entries that were taken out."""
    return "".join(line[len(MARK):] if line.startswith(MARK) and script in line else line for line in text.splitlines(True))


def differing(before, after):
    """The lines of two texts of equal length that are not alike, as two texts."""
    pairs = [pair for pair in zip(before.splitlines(True), after.splitlines(True)) if pair[0] != pair[1]]
    return "".join(pair[0] for pair in pairs), "".join(pair[1] for pair in pairs)


def devices(known):
    """{(metric, gpu)} of samples about accelerators."""
    return set((name, labels.get("gpu", "")) for name, labels, _value in known if name.startswith("node_gpu_"))


def runs(script, proc="/proc"):
    """Whether a process has the script in its command line, beside this one and those above it."""
    for name in os.listdir(proc):
        if name.isdigit() and int(name) not in (os.getpid(), os.getppid()):
            if any(os.path.basename(part) == script or part.endswith("/" + script) for argument in textfiles.command_line(name, proc)
                   for part in argument.replace(";", " ").split()):
                return True
    return False


class Handover(object):
    """The script's entries and files on this host."""

    def __init__(self, module):
        self.module = module
        self.params = module.params
        self.script = module.params["script"]
        self.relabel = atomic.relabeler(module)
        self.diff = []
        self.state_file = os.path.join(self.params["keep"], "state.json")

    def read(self, path):
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as stream:
                return stream.read()
        except OSError:
            return ""

    def crontabs(self, change):
        """[(path, text before, text after)] of the crontabs that a change alters."""
        found = []
        for path in sorted(set(path for pattern in self.params["crontabs"] for path in glob.glob(pattern) if os.path.isfile(path))):
            before = self.read(path)
            after = change(before, self.script)
            if after != before:
                found.append((path, before, after))
        return found

    def write_crontab(self, path, text):
        found = os.stat(path)
        atomic.write(path, text.encode("utf-8", "surrogateescape"), stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, self.relabel)

    def change_crontabs(self, changes):
        for path, before, after in changes:
            gone, come = differing(before, after)
            self.diff.append({"before_header": path, "after_header": path, "before": gone, "after": come})
            if not self.module.check_mode:
                self.write_crontab(path, after)

    def textfiles(self):
        """Files of the directory with series about accelerators that are not ours. Raises Failure for one that has others too."""
        found = []
        for path in sorted(glob.glob(os.path.join(self.params["directory"], "*.prom"))):
            known = textfiles.samples(self.read(path))
            if os.path.basename(path) == OURS or not textfiles.foreign_devices(known):
                continue
            other = sorted(set(name for name, _labels, _value in known if not name.startswith("node_gpu_")))
            if other:
                raise Failure("script = %s: %s also contains %s; make the script write them to a separate file"
                              % (self.script, path, other[0]))
            found.append(path)
        return found

    def kept(self):
        """{path of a textfile: where it is kept}."""
        try:
            return json.loads(self.read(self.state_file))["files"]
        except (ValueError, KeyError):
            return {}

    def keep(self, files):
        if files:
            atomic.make_folders(self.params["keep"], relabel=self.relabel)
            atomic.write(self.state_file, (json.dumps({"files": files}, sort_keys=True) + "\n").encode("utf-8"), relabel=self.relabel)
        elif os.path.exists(self.state_file):
            os.remove(self.state_file)

    def moved(self, source, target):
        self.diff.append({"before_header": source, "after_header": target, "before": source + "\n", "after": target + "\n"})

    def take_out(self):
        paths = self.textfiles()
        changes = self.crontabs(taken_out)
        self.change_crontabs(changes)
        files = self.kept()
        try:
            if not self.module.check_mode:
                self.wait()
                paths = self.textfiles()
            for path in paths:
                target = os.path.join(self.params["keep"], os.path.basename(path))
                self.moved(path, target)
                if not self.module.check_mode:
                    files[path] = target
                    self.keep(files)  # first, so that a run that is killed here leaves nothing that nobody knows of
                    atomic.replace(path, target, self.relabel)
        except Failure:
            for path, before, _after in changes:
                self.write_crontab(path, before)
            raise
        return {"crontabs": [path for path, _before, _after in changes], "files": paths}

    def wait(self):
        deadline = time.time() + self.params["wait"]
        while runs(self.script):
            if time.time() > deadline:
                raise Failure("script = %s: it has been running for more than %d seconds; find out what blocks it and stop it"
                              % (self.script, self.params["wait"]))
            time.sleep(0.2)

    def bring_back(self):
        ours = os.path.join(self.params["directory"], OURS)
        if os.path.exists(ours) and not self.module.check_mode:
            raise Failure("script = %s: %s is still exported; remove the collection's collector first, with "
                          "textfile_collector_state: absent" % (self.script, ours))
        files = self.kept()
        for path, target in sorted(files.items()):
            if os.path.exists(path):
                self.module.warn("%s exists again; the saved copy stays in %s" % (path, target))
            elif os.path.exists(target):
                self.moved(target, path)
                if not self.module.check_mode:
                    atomic.replace(target, path, self.relabel)
        changes = self.crontabs(put_back)
        self.change_crontabs(changes)
        if not self.module.check_mode:
            self.keep({})
        return {"crontabs": [path for path, _before, _after in changes], "files": sorted(files)}

    def prove(self):
        before = set()
        for target in self.kept().values():
            before |= devices(textfiles.samples(self.read(target)))
        after = devices(textfiles.samples(self.read(os.path.join(self.params["directory"], OURS))))
        # What the kernel's log said of a device outlives it, and is no reading.
        lost = sorted(set(gpu for _name, gpu in before) - set(gpu for name, gpu in after if not name.startswith("node_gpu_error")))
        if lost and not self.module.check_mode:
            raise Failure("script = %s: it exported the device %s, but the collection's collector does not; check the journal of "
                          "accelmon-textfile-collector.service"
                          % (self.script, ", ".join(lost)))
        missing = sorted('%s{gpu="%s"}' % pair for pair in before - after)
        if missing and not self.module.check_mode:
            self.module.warn("%d series of %s are not exported by the collection's collector, for example %s" % (len(missing), self.script, missing[0]))
        return {"missing": missing}


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent", "proven"], "default": "present"},
            "script": {"type": "str", "default": "get_gpu_metrics.sh"},
            "directory": {"type": "path", "required": True},
            "crontabs": {"type": "list", "elements": "str", "default": [
                "/etc/crontab", "/etc/cron.d/*", "/var/spool/cron/crontabs/*", "/var/spool/cron/*"]},
            "keep": {"type": "path", "default": STATE + "/handover"},
            "wait": {"type": "int", "default": 90},
        },
        supports_check_mode=True,
    )
    handover = Handover(module)
    act = {"present": handover.take_out, "absent": handover.bring_back, "proven": handover.prove}[module.params["state"]]
    with failing(module):
        result = act()
    module.exit_json(changed=bool(handover.diff), diff=handover.diff, **result)


if __name__ == "__main__":
    main()
