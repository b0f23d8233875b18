#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: certificate_signing
short_description: Sign the hosts' certificates with the fleet's CA
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection, for its own roles and playbooks. Options and results may change in any release.
  - Runs on the first monitoring host, where M(accelmon.fleet.fleet_secrets) keeps the CA.
  - The names and usages of a certificate are those given here. A request only proves possession of the key; anything else in it is ignored.
  - Every certificate is valid for 397 days.
attributes:
  check_mode:
    support: full
    description: Signs nothing and predicts the change.
  diff_mode:
    support: none
    description: There is nothing to compare.
options:
  requests:
    description: One entry per host that needs a certificate. Entries with an empty C(csr) are skipped.
    type: list
    elements: dict
    required: true
    suboptions:
      host:
        description: Name of the host.
        type: str
        required: true
      csr:
        description: The request returned by M(accelmon.fleet.host_certificate), with an EC P-256 key.
        type: str
        required: true
      names:
        description: Host names and IP addresses of the host.
        type: list
        elements: str
        required: true
      client:
        description: Whether the host may also act as a client, to scrape others.
        type: bool
        default: false
  state_dir:
    description: Directory that holds the CA.
    type: path
    default: /var/lib/accelmon/secrets
"""

EXAMPLES = r"""
- name: Sign
  accelmon.fleet.certificate_signing:
    requests:
      - host: gpu7
        csr: "{{ request.csr }}"
        names: [gpu7, 10.0.0.7]
  delegate_to: "{{ groups['monitoring'][0] }}"
"""

RETURN = r"""
certificates:
  description: The certificates in PEM, by host.
  type: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils import atomic, paths
from ansible_collections.accelmon.fleet.plugins.module_utils.access.secrets_store import Store
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import failing


def run(params, check, relabel=None):
    """The module's result."""
    requests = [request for request in params["requests"] if request["csr"]]
    if check or not requests:
        return {"changed": bool(requests), "certificates": {}}
    with Store(params["state_dir"], relabel).lock():
        return {"changed": True, "certificates": Store(params["state_dir"], relabel).sign(requests)}


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "requests": {"type": "list", "elements": "dict", "required": True, "options": {
                "host": {"type": "str", "required": True},
                "csr": {"type": "str", "required": True},
                "names": {"type": "list", "elements": "str", "required": True},
                "client": {"type": "bool", "default": False},
            }},
            "state_dir": {"type": "path", "default": paths.SECRETS},
        },
        supports_check_mode=True,
    )
    with failing(module, module.params["state_dir"]):
        module.exit_json(**run(module.params, module.check_mode, atomic.relabeler(module)))


if __name__ == "__main__":
    main()
