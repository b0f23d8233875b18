#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: container_image
short_description: Install a container image on the host
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection, for its own roles and playbooks. Options and results may change in any release.
  - Loads an image from an archive, or pulls it by its digest, and tells what a unit needs
    to run it without ever pulling, podman where there is one, else docker.
  - An image is known by its id, which is a hash of what is in it. What was installed is remembered in C(/var/lib/accelmon/images), with the
    image before it, which stays for the way back. Older images of the collection are removed.
  - No network is used, and nothing is transferred, when the image is there.
attributes:
  check_mode:
    support: full
    description: Predicts the change; loads, pulls and removes nothing.
  diff_mode:
    support: full
    description: Shows the image before and after.
options:
  name:
    description: Name of the service.
    type: str
    required: true
  state:
    description: Whether the image should exist. V(absent) removes the images installed for O(name), unless something else uses them.
    type: str
    choices: [present, absent]
    default: present
  image:
    description: The image with its digest, C(REGISTRY/NAME@sha256:…). An image without one is rejected.
    type: str
  src:
    description: Archive of the image on the control node, as written by C(podman save) or C(docker save). If unset, the image is pulled.
    type: path
  sha256:
    description: SHA-256 of O(src), in hexadecimal digits.
    type: str
  remote_src:
    description: Whether O(src) is on the host.
    type: bool
    default: false
  user:
    description: User on the host that the program runs as; its user and group IDs are returned.
    type: str
    default: ""
  groups:
    description: Groups on the host that the program runs with; their IDs are returned. Groups that do not exist are skipped.
    type: list
    elements: str
    default: []
  gpus:
    description:
      - Kind of devices to pass to the container through the Container Device Interface, such as V(nvidia.com/gpu).
        Docker gets C(--gpus all) instead.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Install the image
  accelmon.fleet.container_image:
    name: dcgm_exporter
    image: nvcr.io/nvidia/k8s/dcgm-exporter@sha256:613ab03c11d442fd960ff515f547e9921537454a712d08160bc8f677f89f1c35
    gpus: nvidia.com/gpu
    user: accelmon-dcgm-exporter
"""

RETURN = r"""
runtime:
  description: Container runtime of this host, V(podman) or V(docker).
  type: str
  returned: O(state=present)
program:
  description: Path of O(ignore:runtime).
  type: str
  returned: O(state=present)
id:
  description: ID of the image; in check mode O(image), if it is not present yet.
  type: str
  returned: O(state=present)
user:
  description: User and group IDs, C(UID:GID). Empty if the user does not exist yet or none was given.
  type: str
  returned: O(state=present)
groups:
  description: Group IDs of O(groups).
  type: list
  elements: str
  returned: O(state=present)
devices:
  description: Arguments that pass the devices of O(gpus) to the container.
  type: list
  elements: str
  returned: O(state=present)
"""

import glob
import grp
import json
import os
import pwd
import re

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils import atomic, command, paths
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure, failing

STATE = paths.STATE + "/images"
CDI = ("/etc/cdi", "/var/run/cdi")
RUNTIMES = ("podman", "docker")
REFERENCE = re.compile(r"[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}\Z")
LOADED = re.compile(r"^Loaded image(?:\(s\)| ID)?: *(\S+)", re.MULTILINE)


def loaded(text):
    """What `load` says that it loaded; None if it says nothing of the kind, or more than one image."""
    found = [name for line in LOADED.findall(text) for name in line.split(",") if name]
    return found[0] if len(found) == 1 else None


def specified(kind, folders=CDI):
    """Whether one of the host's specifications of the Container Device Interface is of a kind of devices."""
    wanted = re.compile(r"""^\s*["']?kind["']?\s*:\s*["']?%s["']?\s*,?\s*$""" % re.escape(kind), re.MULTILINE)
    for folder in folders:
        for path in sorted(glob.glob(os.path.join(folder, "*.yaml")) + glob.glob(os.path.join(folder, "*.json"))):
            try:
                with open(path) as stream:
                    text = stream.read()
            except (OSError, ValueError):
                continue
            if wanted.search(text) or '"kind":"%s"' % kind in text.replace(" ", ""):
                return True
    return False


class Image(object):
    """The image of one service on this host."""

    def __init__(self, module):
        self.module, self.params = module, module.params
        self.name = self.params["name"]
        self.path = os.path.join(STATE, self.name + ".json")

    def runtime(self):
        """(name, path) of what runs containers here."""
        for name in RUNTIMES:
            path = self.module.get_bin_path(name)
            if path:
                return name, path
        raise Failure("%s_source = container: this host has neither podman nor docker; install one of them, or choose another %s_source"
                      % (self.name, self.name))

    def record(self):
        """What was installed before: {image, sha256, id, runtime, previous}; {} if nothing was."""
        try:
            with open(self.path) as stream:
                found = json.load(stream)
            return found if isinstance(found, dict) else {}
        except (OSError, ValueError):
            return {}

    def inspect(self, program, image):
        """Id of an image that is there, else ""."""
        code, out, _err = self.module.run_command([program, "image", "inspect", "--format", "{{.Id}}", image])
        found = out.strip()
        if code or not found:
            return ""
        return found if found.startswith("sha256:") else "sha256:" + found

    def here(self, program, runtime, before):
        """Id of the wanted image if this host has it, else ""."""
        if before.get("id") and (before.get("image"), before.get("sha256"), before.get("runtime")) == (self.params["image"], self.digest(), runtime):
            return self.inspect(program, before["id"])
        return "" if self.params["src"] else self.inspect(program, self.params["image"])

    def digest(self):
        return (self.params["sha256"] or "").lower() if self.params["src"] else ""

    def pull(self, program):
        code, out, err = self.module.run_command([program, "pull", self.params["image"]])
        if code:
            raise Failure("image = %s: cannot be pulled (%s); give this host access to the registry, or add an archive of the image to the bundle"
                          % (self.params["image"], " ".join((err or out).split())[-300:]))
        return self.inspect(program, self.params["image"])

    def load(self, program):
        if atomic.sha256_file(self.params["src"]) != self.digest():
            raise Failure("src = %s: its SHA-256 is not %s; copy the bundle again" % (self.params["src"], self.digest() or "none"))
        code, out, err = self.module.run_command([program, "load", "--input", self.params["src"]])
        name = loaded(out + "\n" + err)
        if code or not name:
            raise Failure("src = %s: cannot be loaded as one image (%s); recreate the archive with podman save or docker save"
                          % (self.params["src"], " ".join((err or out).split())[-300:]))
        return self.inspect(program, name)

    def used_elsewhere(self, image):
        """Whether another service of the collection has this image."""
        for path in glob.glob(os.path.join(STATE, "*.json")):
            if path != self.path:
                try:
                    with open(path) as stream:
                        if image in json.load(stream).values():
                            return True
                except (OSError, ValueError, AttributeError):
                    continue
        return False

    def drop(self, program, image):
        """Remove an image of the collection. One that a container still uses stays; nothing depends on it."""
        if image and not self.used_elsewhere(image):
            self.module.run_command([program, "image", "rm", image])

    def numbers(self):
        """("UID:GID", [GID]) of the user and the groups that there are."""
        user = ""
        if self.params["user"]:
            try:
                found = pwd.getpwnam(self.params["user"])
                user = "%d:%d" % (found.pw_uid, found.pw_gid)
            except KeyError:
                pass  # check mode on a new host
        groups = []
        for name in self.params["groups"]:
            try:
                groups.append(str(grp.getgrnam(name).gr_gid))
            except KeyError:
                continue
        return user, groups

    def devices(self, runtime):
        """The arguments that hand devices over."""
        kind = self.params["gpus"]
        if not kind:
            return []
        if runtime == "docker":
            return ["--gpus", "all"]
        if not specified(kind):
            raise Failure("%s_source = container: podman knows no devices %s on this host; generate their specification with "
                          "nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml (NVIDIA Container Toolkit), or choose another %s_source"
                          % (self.name, kind, self.name))
        return ["--device", kind + "=all"]

    def present(self):
        if not REFERENCE.match(self.params["image"] or ""):
            raise Failure("%s_image = %s: it has no digest, so it could change at any time; write it as REGISTRY/NAME@sha256:DIGEST"
                          % (self.name, self.params["image"]))
        runtime, program = self.runtime()
        devices = self.devices(runtime)
        user, groups = self.numbers()
        result = {"runtime": runtime, "program": program, "user": user, "groups": groups, "devices": devices}
        before = self.record()
        found = self.here(program, runtime, before)
        if not found and self.params["src"] and not self.params["remote_src"]:
            return dict(result, changed=True, needs_source=True, id=self.params["image"], diff=self.diff(before, self.params["image"]))
        if not found and self.module.check_mode:
            return dict(result, changed=True, id=self.params["image"], diff=self.diff(before, self.params["image"]))
        changed = not found
        if not found:
            found = self.load(program) if self.params["src"] else self.pull(program)
            if not found:
                raise Failure("image = %s: %s reported success but does not have it; check %s images" % (self.params["image"], runtime, runtime))
        after = {"image": self.params["image"], "sha256": self.digest(), "id": found, "runtime": runtime, "previous": before.get("previous", "")}
        if before.get("runtime") == runtime and before.get("id") not in (None, found):
            after["previous"] = before["id"]
        if after != before and not self.module.check_mode:
            atomic.make_folders(STATE)
            atomic.write(self.path, (json.dumps(after, sort_keys=True) + "\n").encode("utf-8"), relabel=atomic.relabeler(self.module))
            if before.get("previous") not in (None, after["previous"], found):
                self.drop(program, before["previous"])
        return dict(result, changed=changed, id=found, diff=self.diff(before, found))

    def diff(self, before, after):
        old = before.get("id", "")
        return {"before_header": "image of " + self.name, "after_header": "image of " + self.name,
                "before": old + "\n" if old else "", "after": after + "\n" if after else ""}

    def absent(self):
        before = self.record()
        if before and not self.module.check_mode:
            program = self.module.get_bin_path(str(before.get("runtime")))
            for image in (before.get("id"), before.get("previous")):
                if program:
                    self.drop(program, image)
            os.remove(self.path)
        return {"changed": bool(before), "diff": self.diff(before, "")}


def main():
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "image": {"type": "str"},
            "src": {"type": "path"},
            "sha256": {"type": "str"},
            "remote_src": {"type": "bool", "default": False},
            "user": {"type": "str", "default": ""},
            "groups": {"type": "list", "elements": "str", "default": []},
            "gpus": {"type": "str", "default": ""},
        },
        required_if=[("state", "present", ("image",))],
        required_by={"src": ("sha256",)},
        supports_check_mode=True,
    )
    module.run_command = command.of_module(module)
    image = Image(module)
    with failing(module):
        result = image.absent() if module.params["state"] == "absent" else image.present()
    module.exit_json(**result)


if __name__ == "__main__":
    main()
