#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: adopted_exporter
short_description: Check that an existing exporter can be used
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection, for its own roles and playbooks. Options and results may change in any release.
  - Queries an exporter that the collection did not install (run by a package's unit, a unit of the site or a container) and checks
    that its page is the expected one. Its unit, flags and container are left unchanged.
  - For node_exporter, checks that files in O(directory) appear on its page. The only change is one file,
    C(accelmon_adopted.prom) in O(directory), which is used for this check; O(state=absent) removes it. Its place is noted in
    C(/var/lib/accelmon/services), so that it goes when O(directory) changes.
  - For any other exporter, checks that its page has O(series), and changes nothing.
attributes:
  check_mode:
    support: full
    description: Queries the exporter and predicts the change. Checks that need the file run only if the file exists.
  diff_mode:
    support: full
    description: Shows the file before and after.
options:
  name:
    description: Name of the exporter's role.
    type: str
    choices: [node_exporter, all_smi, dcgm_exporter, amd_exporter]
    default: node_exporter
  state:
    description: Whether the collection relies on it.
    type: str
    choices: [present, absent]
    default: present
  port:
    description: Port that it listens on.
    type: int
    default: 9100
  path:
    description: Path of its page.
    type: str
    default: /metrics
  address:
    description: Address to try if no listening socket of this host reveals one.
    type: str
    default: 127.0.0.1
  directory:
    description: Directory on this host whose text files it exports.
    type: path
    default: /var/lib/accelmon/textfile
  collector:
    description: Whether the collection's accelerator collector writes its file there. If so, no other collector may export the same series.
    type: bool
    default: false
  series:
    description:
      - Names of series that the page must have, for exporters other than node_exporter. One of several names separated by V(|) is enough.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds to wait for the file or the series to appear on the page.
    type: int
    default: 10
"""

EXAMPLES = r"""
- name: Check that the distribution's node_exporter can be used
  accelmon.fleet.adopted_exporter:
    directory: /var/lib/prometheus/node-exporter
    collector: true

- name: Check that a site's DCGM exporter has what the rules need
  accelmon.fleet.adopted_exporter:
    name: dcgm_exporter
    port: 9400
    series: [DCGM_FI_DEV_FB_USED, DCGM_FI_DEV_FB_TOTAL|DCGM_FI_DEV_FB_FREE]
"""

RETURN = r"""
url:
  description: URL at which it answered.
  type: str
  returned: O(state=present)
version:
  description: Version that a node_exporter reports; empty if it reports none.
  type: str
  returned: O(state=present)
"""

import json
import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils import atomic, paths
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure, failing
from ansible_collections.accelmon.fleet.plugins.module_utils.host import ports, probe, systemd, textfiles

UNITS = "/etc/systemd/system"
OURS = paths.STATE + "/"
OWNED = paths.SERVICES
MARKER = "accelmon_adopted.prom"
MARKER_TEXT = """\
# HELP accelmon_adopted_info Exporter managed by the site that accelmon.fleet relies on.
# TYPE accelmon_adopted_info gauge
accelmon_adopted_info{directory="%s",exporter="%s"} 1
"""


class Adoption(object):
    """One exporter of somebody else on this host."""

    def __init__(self, module):
        self.module = module
        self.params = module.params
        self.name = module.params["name"]
        self.marker = os.path.join(module.params["directory"], MARKER)
        self.owned = os.path.join(OWNED, self.name + ".json")
        self.text = MARKER_TEXT % (module.params["directory"].replace("\\", "\\\\").replace('"', '\\"'), self.name)

    def current(self):
        """Text of the marker file; empty if there is none."""
        try:
            with open(self.marker) as stream:
                return stream.read()
        except OSError:
            return ""

    def diff(self, before, after):
        return {"before_header": self.marker, "after_header": self.marker, "before": before, "after": after}

    def record(self):
        """What is remembered of the exporter: the record of the role's service, which removes the file when it takes over."""
        try:
            with open(self.owned) as stream:
                return json.load(stream)
        except (OSError, ValueError):
            return {}

    def remember(self, leaves):
        """Note where the file is, and remove it from where it was; whether it was elsewhere."""
        known = self.record()
        before = known.pop("leaves", [])
        old = [path for path in before if path not in leaves and os.path.exists(path)]
        if before == leaves or self.module.check_mode:
            return bool(old)
        for path in old:
            os.remove(path)
        known.update({"leaves": leaves} if leaves else {})
        if known:
            atomic.make_folders(OWNED)
            atomic.write(self.owned, (json.dumps(known, sort_keys=True) + "\n").encode("utf-8"), relabel=atomic.relabeler(self.module))
        else:
            os.remove(self.owned)
        return bool(old)

    def remove(self):
        before = self.current()
        if before and not self.module.check_mode:
            os.remove(self.marker)
        moved = self.remember([])
        return {"changed": bool(before) or moved, "diff": self.diff(before, "")}

    def places(self):
        """(addresses to try, pid of the listening process or None)."""
        sockets = ports.listeners()
        taken = [address for address, port, _inode in sockets if port == self.params["port"]]
        owner = ports.owner(ports.conflicts(sockets, "", self.params["port"]), self.params["port"]) if taken else None
        known = [probe.local(address) for address in taken] + ["127.0.0.1", "::1", self.params["address"]]
        return list(dict.fromkeys(known)), owner and owner["pid"]

    def page(self, addresses):
        """(address, samples) of the first address that has the exporter's page."""
        seen = []
        for address in addresses:
            status, _kind, what, text = probe.fetch(address, self.params["port"], self.params["path"], timeout=10)
            if status == 200:
                return address, textfiles.samples(text)
            seen.append(what)
        raise Failure("%s_port = %d: no %s answers on this host (%s); start it, or correct %s_port or %s_metrics_path, or set %s_managed to install"
                      % (self.name, self.params["port"], self.name, "; ".join(seen[:2]), self.name, self.name, self.name))

    def prove_kind(self, known, url):
        """It must be what it is taken for."""
        if not any(name in ("node_exporter_build_info", "node_scrape_collector_success") for name, _labels, _value in known):
            raise Failure("%s_port = %d: the page %s is not from %s; correct %s_port, or list it in accelmon_custom_exporters"
                          % (self.name, self.params["port"], url, self.name, self.name))

    def missing(self, known):
        """What the page lacks of `series`."""
        names = set(name for name, _labels, _value in known)
        return [wanted for wanted in self.params["series"] if not names.intersection(wanted.split("|"))]

    def adopt_series(self):
        """Of an exporter with devices: it must answer with the series that our rules read. Nothing is changed."""
        self.refuse_own()
        address, known = self.page(self.places()[0])
        deadline = time.time() + self.params["timeout"]
        while self.missing(known) and time.time() < deadline:
            time.sleep(0.5)  # it may have started just now, and not have collected yet
            known = self.page([address])[1]
        url = probe.url("http", address, self.params["port"], self.params["path"])
        lacking = [wanted.replace("|", " or ") for wanted in self.missing(known)]
        if lacking:
            named = ", ".join(lacking[:3]) + (" and %d more" % (len(lacking) - 3) if len(lacking) > 3 else "")
            raise Failure("%s_port = %d: the page %s lacks %s; configure that exporter to export them, correct %s_port, "
                          "or set %s_managed to install to run the collection's own instead"
                          % (self.name, self.params["port"], url, named, self.name, self.name))
        return {"changed": False, "url": url, "version": ""}

    def prove_alone(self, known):
        """No other collector may export what ours exports: everything about accelerators would count twice."""
        others = textfiles.foreign_devices(known)
        if self.params["collector"] and others:
            names = ", ".join(sorted(set(name for name, _labels, _value in others))[:2])
            raise Failure("accelmon_exporters = auto: another collector on this host already exports %s; replace it with "
                          "adopt_textfile_gpu.yml, or list only node_exporter in accelmon_exporters" % names)

    def refuse_own(self):
        unit = systemd.unit_name(self.name)
        if os.path.exists(os.path.join(UNITS, unit)):
            raise Failure("%s_managed = adopt: the collection's %s is still on this host; run once with %s_managed: install and %s_state: absent"
                          % (self.name, unit, self.name, self.name))

    def shows(self, known):
        return any(name == "accelmon_adopted_info" and labels.get("directory") == self.params["directory"] for name, labels, _value in known)

    def where(self, pid, known):
        """What to do about a textfile directory that is not the exporter's."""
        directory = self.params["directory"]
        collectors = [labels.get("collector") for name, labels, _value in known if name == "node_scrape_collector_success"]
        if collectors and "textfile" not in collectors:
            return "its textfile collector is disabled; start it with %s=%s" % (textfiles.FLAG, directory)
        inside = textfiles.directory_of(textfiles.command_line(pid)) if pid else ""
        if not inside:
            return "start it with %s=%s, or set accelmon_textfile_directory to the directory on this host that it reads" % (textfiles.FLAG, directory)
        outside = textfiles.on_host(pid, inside)
        if not outside:
            return ("it reads %s in its own container or mount namespace; mount a directory of this host there, "
                    "and set accelmon_textfile_directory to it" % inside)
        if textfiles.same(outside, directory):
            return "it reads that directory but does not export its contents; check its log"
        named = "" if outside == inside else " (which it sees as %s)" % inside
        return "it reads %s%s; set accelmon_textfile_directory to that" % (outside, named)

    def write(self):
        if self.params["directory"].startswith(OURS):
            atomic.make_folders(self.params["directory"])
        atomic.write(self.marker, self.text.encode("utf-8"), relabel=atomic.relabeler(self.module))

    def adopt(self):
        self.refuse_own()
        addresses, pid = self.places()
        address, known = self.page(addresses)
        url = probe.url("http", address, self.params["port"], self.params["path"])
        self.prove_kind(known, url)
        self.prove_alone(known)
        before = self.current()
        changed = before != self.text
        directory = self.params["directory"]
        if changed and not os.path.isdir(directory) and not directory.startswith(OURS):
            raise Failure("accelmon_textfile_directory = %s: this host has no such directory; %s" % (directory, self.where(pid, known)))
        if not (changed and self.module.check_mode):
            if changed:
                self.write()
            deadline = time.time() + self.params["timeout"]
            while not self.shows(known) and time.time() < deadline:
                time.sleep(0.5)
                known = self.page([address])[1]
            if not self.shows(known):
                if changed:
                    os.remove(self.marker)
                raise Failure("accelmon_textfile_directory = %s: files written there do not appear on %s; %s"
                              % (directory, url, self.where(pid, known)))
        changed = self.remember([self.marker]) or changed
        if any(name == "node_textfile_scrape_error" and float(value) for name, _labels, value in known):
            self.module.warn("%s reports node_textfile_scrape_error 1: a file in its textfile directory is invalid" % url)
        version = next((labels.get("version", "") for name, labels, _value in known if name == "node_exporter_build_info"), "")
        return {"changed": changed, "url": url, "version": version, "diff": self.diff(before, self.text)}


def argument_spec():
    return {
        "name": {"type": "str", "choices": ["node_exporter", "all_smi", "dcgm_exporter", "amd_exporter"], "default": "node_exporter"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "port": {"type": "int", "default": 9100},
        "path": {"type": "str", "default": "/metrics"},
        "address": {"type": "str", "default": "127.0.0.1"},
        "directory": {"type": "path", "default": paths.TEXTFILE},
        "collector": {"type": "bool", "default": False},
        "series": {"type": "list", "elements": "str", "default": []},
        "timeout": {"type": "int", "default": 10},
    }


def main():
    module = AnsibleModule(
        argument_spec=argument_spec(),
        supports_check_mode=True,
    )
    adoption = Adoption(module)
    with failing(module):
        if module.params["name"] == "node_exporter":
            result = adoption.remove() if module.params["state"] == "absent" else adoption.adopt()
        else:
            result = {"changed": False} if module.params["state"] == "absent" else adoption.adopt_series()
    module.exit_json(**result)


if __name__ == "__main__":
    main()
