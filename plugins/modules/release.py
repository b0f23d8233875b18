#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: release
short_description: Install one version of a program from a release archive
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection, for its own roles and playbooks. Options and results may change in any release.
  - Downloads an archive or plain program, verifies its SHA-256 on the host that will run it, and extracts the named programs.
  - They are installed in C(ROOT/NAME/VERSION-SHA/bin/), owned by root with mode V(0755), where C(SHA) is the first 12 digits of the
    checksum. The link C(ROOT/NAME/current) is switched atomically once that directory is complete. If anything fails before,
    the running version stays unchanged. Previous versions are kept for rollback, see O(keep).
  - If the release is installed and intact, nothing is downloaded or transferred. Programs count as intact if their size, mtime and
    ctime are unchanged; they are only read and compared again if one of these differs.
    A change made by a program is therefore detected even if it resets the mtime; one made to the raw disk is not.
  - The request carries no credentials except O(token), and a redirect from https to http is rejected.
    Proxies are taken from the usual environment variables.
attributes:
  check_mode:
    support: full
    description: Predicts the change; downloads, transfers and changes nothing. A file already on the host is verified.
  diff_mode:
    support: full
    description: Shows the version before and after.
options:
  name:
    description: Name of the product, and of its directory below O(root).
    type: str
    required: true
  state:
    description: V(absent) removes all versions of O(name) that this module installed.
    type: str
    choices: [present, absent]
    default: present
  version:
    description: The version. Required with O(state=present).
    type: str
  sha256:
    description: SHA-256 of the file as published. Required with O(state=present).
    type: str
  url:
    description: URL to download it from, http or https. Either this or O(src) is required with O(state=present).
    type: str
  token:
    description:
      - Sent as a bearer token, only to the scheme, host and port of O(token_url). If O(url) points or redirects elsewhere, that
        request does not carry it.
    type: str
  token_url:
    description: URL that O(token) is for.
    type: str
    default: https://github.com
  src:
    description: The file on the control node, or on the host itself with O(remote_src=true).
    type: path
  remote_src:
    description: Whether O(src) is on the host itself.
    type: bool
    default: false
  programs:
    description:
      - The programs to install. Each key is the program's name on the host; the value is its path in the archive, or just the
        last part of it if that is unique. For a plain program, the value is not used.
      - Archives may be tar, tar.gz, tar.xz or zip, whatever their name. Required with O(state=present).
    type: dict
    default: {}
  tree:
    description:
      - Install all files of the archive in C(ROOT/NAME/VERSION-SHA/), for a product that is more than its programs. A directory that all
        files are in is left out. Each of O(programs) must then be C(bin/NAME).
      - Links and devices are not installed, and a warning names them. A file that is changed, added or missing afterwards, or has another
        mode or owner, makes the tree damaged, and it is installed again.
    type: bool
    default: false
  root:
    description: Directory of all products.
    type: path
    default: /opt/accelmon
  keep:
    description: Number of versions to keep besides the current one, at least 1.
    type: int
    default: 1
  timeout:
    description: Seconds within which the whole download must finish. It also fails if no data arrives for 30 seconds.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: Install node_exporter from upstream
  accelmon.fleet.release:
    name: node_exporter
    version: 1.9.1
    url: https://github.com/prometheus/node_exporter/releases/download/v1.9.1/node_exporter-1.9.1.linux-amd64.tar.gz
    sha256: becb950ee80daa8ae7331d77966d94a611af79ad0d3307380907e0ec08f5b4e8
    programs:
      node_exporter: node_exporter

- name: Install it from a bundle on the control node
  accelmon.fleet.release:
    name: node_exporter
    version: "{{ artifact.version }}"
    src: "{{ artifact.src }}"
    sha256: "{{ artifact.sha256 }}"
    programs:
      node_exporter: node_exporter
  vars:
    artifact: "{{ {} | accelmon.fleet._release_artifact('node_exporter', 'bundle', 'amd64', accelmon_bundle) }}"

- name: Remove it
  accelmon.fleet.release:
    name: node_exporter
    state: absent
"""

RETURN = r"""
path:
  description: The link to the current version, which is the same for all versions.
  type: str
  returned: O(state=present)
  sample: /opt/accelmon/node_exporter/current
directory:
  description: The directory of this version.
  type: str
  returned: O(state=present)
version:
  description: The version that is current now, or would be.
  type: str
  returned: O(state=present)
previous:
  description: The previous version; empty if there is none.
  type: str
  returned: O(state=present)
pruned:
  description: Directories of older versions that were removed, or would be.
  type: list
  elements: str
  returned: O(state=present)
removed:
  description: Directories of versions that were removed, or would be.
  type: list
  elements: str
  returned: O(state=absent)
left:
  description: Other contents of the product's directory, which were left there.
  type: list
  elements: str
  returned: O(state=absent)
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils import atomic, paths
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure, failing
from ansible_collections.accelmon.fleet.plugins.module_utils.programs.release import UPSTREAM, Release


def source_of(params):
    """The source for Release.present; None for a file of the control node, which the action plugin brings if it is needed."""
    if params["url"]:
        return {"url": params["url"], "token": params["token"] or "", "token_url": params["token_url"]}
    return {"src": params["src"]} if params["remote_src"] else None


def main():
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "version": {"type": "str"},
            "sha256": {"type": "str"},
            "url": {"type": "str"},
            "token": {"type": "str", "no_log": True},
            "token_url": {"type": "str", "default": UPSTREAM, "no_log": False},
            "src": {"type": "path"},
            "remote_src": {"type": "bool", "default": False},
            "programs": {"type": "dict", "default": {}},
            "tree": {"type": "bool", "default": False},
            "root": {"type": "path", "default": paths.PROGRAMS},
            "keep": {"type": "int", "default": 1},
            "timeout": {"type": "int", "default": 300},
        },
        mutually_exclusive=[("url", "src")],
        required_if=[("state", "present", ("version", "sha256")), ("state", "present", ("url", "src"), True)],
        supports_check_mode=True,
    )
    params = module.params
    with failing(module, name=params["name"]):
        if params["timeout"] < 1:
            raise Failure("timeout = %d: not a valid timeout; use a positive number of seconds" % params["timeout"])
        release = Release(
            params["name"], params["root"], params["version"], params["sha256"],
            dict((str(name), str(member)) for name, member in params["programs"].items()), params["keep"], atomic.relabeler(module),
            params["tree"])
        if params["state"] == "absent":
            result = release.absent(module.check_mode, params["timeout"])
        else:
            result = release.present(source_of(params), module.check_mode, params["timeout"])
    for warning in release.warnings:
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
