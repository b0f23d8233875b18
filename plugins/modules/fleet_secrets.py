#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: fleet_secrets
short_description: Create, keep and rotate the fleet's passwords and CA
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection, for its own roles and playbooks. Options and results may change in any release.
  - Runs on the first monitoring host, which keeps them in a directory that only root can read, under a lock.
  - A password that is not given is generated once. Its bcrypt hash is stored with its salt, so that it stays the same.
  - The CA is created once. It is replaced in three steps, so that both CAs are trusted everywhere in between.
  - Use it with C(no_log), as it returns the secrets. They are returned as one base64 string, because Ansible would otherwise mask
    the passwords passed to it.
  - Hashes are made with libcrypt or perl, the CA with openssl. Nothing is installed.
attributes:
  check_mode:
    support: full
    description: Predicts the change without making it. If there are no secrets yet, it returns placeholders.
  diff_mode:
    support: none
    description: Secrets are not shown.
options:
  passwords:
    description: The passwords by name. An empty one is kept, or generated if there is none.
    type: dict
    required: true
  channels:
    description: Secrets of receivers of notifications by receiver and key, to be kept; an empty dictionary of a receiver forgets them.
    type: dict
    default: {}
  rotate:
    description: Names of passwords to replace.
    type: list
    elements: str
    default: []
  authority:
    description:
      - V(keep) creates the CA if there is none.
      - V(prepare) creates another CA that is trusted but does not sign yet. V(switch) makes it sign and trusts both.
        V(finish) stops trusting the previous one, if no host of the registry has one of its certificates that are still valid.
    type: str
    choices: [keep, prepare, switch, finish]
    default: keep
  force:
    description: With O(authority=finish), leave hosts behind that have a certificate from the previous CA.
    type: bool
    default: false
  create:
    description: With V(false), nothing is created if there are no secrets yet.
    type: bool
    default: true
  state_dir:
    description: Directory in which they are kept.
    type: path
    default: /var/lib/accelmon/secrets
  registry_dir:
    description: Directory of the registry. Hosts that it does not have, because they were uninstalled or pruned, have no certificate any more.
    type: path
    default: /var/lib/accelmon/registry
  witness:
    description:
      - A file that every monitoring host has once secrets exist. If this host has it but not the secrets, they are on
        another host, and none are created.
    type: path
    default: /etc/accelmon/secrets/stack_password
seealso:
  - module: accelmon.fleet.certificate_signing
  - module: accelmon.fleet.host_certificate
"""

EXAMPLES = r"""
- name: Read or create the fleet's secrets
  accelmon.fleet.fleet_secrets:
    passwords:
      stack: "{{ accelmon_stack_password | default('') }}"
      exporter: ""
  delegate_to: "{{ groups['monitoring'][0] }}"
  run_once: true
  no_log: true
  register: secrets
"""

RETURN = r"""
encoded:
  description: JSON in base64, C(passwords) and C(hashes), each by name, and C(channels), the secrets of all receivers.
  type: str
  returned: success
signing:
  description: Certificate of the signing CA, in PEM.
  type: str
  returned: success
bundle:
  description: Certificates of all trusted CAs.
  type: str
  returned: success
made:
  description: What this run created or changed, without the values.
  type: list
  elements: str
  returned: success
"""

import base64
import json
import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils import atomic, paths
from ansible_collections.accelmon.fleet.plugins.module_utils.access.secrets_store import Store, check_password
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure, failing
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import registry


def result(store, names):
    """What the module returns."""
    passwords = dict((name, store.data["passwords"].get(name, {}).get("password", "(to be made)")) for name in names)
    hashes = dict((name, store.data["passwords"].get(name, {}).get("hash", "(to be made)")) for name in names)
    secrets = {"passwords": passwords, "hashes": hashes, "channels": store.data.get("channels", {})}
    encoded = base64.b64encode(json.dumps(secrets).encode("utf-8")).decode("ascii")
    return {"encoded": encoded, "signing": store.signing(), "bundle": store.bundle(), "made": store.changed, "changed": bool(store.changed)}


def recorded(folder):
    """Names of the hosts in the registry of all clusters; None where there is no registry."""
    found = [registry.read(os.path.join(folder, cluster + ".json"), cluster) or registry.empty(cluster)
             for cluster in (registry.clusters(folder) if os.path.isdir(folder) else [])]
    return set(host for one in found for host in one["hosts"]) if found else None


def predict(store, params):
    """Note what a run would make, from what is there."""
    for name, given in params["passwords"].items():
        known = store.data["passwords"].get(name, {}).get("password")
        if given:
            check_password("accelmon_%s_password" % name, given)
        if name in params["rotate"] or not known or given and given != known:
            store.changed.append("password of %s" % name)
    for name, secrets in params["channels"].items():
        store.channel(name, secrets)
    role = {"keep": None, "prepare": "next", "switch": "signing", "finish": "previous"}[params["authority"]]
    known = store.data["authority"]
    if not known.get("signing") or params["authority"] == "prepare" and not known.get("next") \
            or params["authority"] == "switch" and known.get("next") or role == "previous" and known.get("previous"):
        store.changed.append("certificate authority")


def run(params, check, relabel=None):
    """The module's result."""
    passwords = dict((str(name), str(value or "")) for name, value in params["passwords"].items())
    params = dict(params, passwords=passwords)
    for name in params["rotate"]:
        if name not in passwords:
            raise Failure("rotate = %s: no such password; use some of %s" % (name, ", ".join(sorted(passwords))))
    store = Store(params["state_dir"], relabel)
    if not store.exists:
        if os.path.exists(params["witness"]):
            raise Failure(
                "%s: missing, but this host has passwords from another one (%s); copy %s as root from the host that was first in the "
                "group monitoring, or remove %s to start over and converge the whole fleet"
                % (store.path, params["witness"], store.folder, params["witness"]))
        if not params["create"]:
            return result(store, passwords)
    if check:
        predict(store, params)
        return result(store, passwords)
    with store.lock():
        store = Store(params["state_dir"], relabel)
        for name in sorted(passwords):
            store.password(name, passwords[name], name in params["rotate"])
        for name, secrets in sorted(params["channels"].items()):
            store.channel(name, secrets)
        hosts = recorded(params["registry_dir"]) if params["authority"] == "finish" else None
        if hosts is not None:
            store.forget(hosts)
        store.authority(params["authority"], params["force"])
        if store.changed:
            store.save()
    return result(store, passwords)


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "passwords": {"type": "dict", "required": True, "no_log": True},
            "channels": {"type": "dict", "default": {}, "no_log": True},
            "rotate": {"type": "list", "elements": "str", "default": []},
            "authority": {"type": "str", "choices": ["keep", "prepare", "switch", "finish"], "default": "keep"},
            "force": {"type": "bool", "default": False},
            "create": {"type": "bool", "default": True},
            "state_dir": {"type": "path", "default": paths.SECRETS},
            "registry_dir": {"type": "path", "default": paths.REGISTRY},
            "witness": {"type": "path", "default": paths.STACK_PASSWORD},
        },
        supports_check_mode=True,
    )
    with failing(module, module.params["state_dir"]):
        module.exit_json(**run(module.params, module.check_mode, atomic.relabeler(module)))


if __name__ == "__main__":
    main()
