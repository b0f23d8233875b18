#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: report_mail
short_description: Mail a report
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection; C(report.yml) uses it. Runs on a monitoring host, and sends the page there as an attachment.
attributes:
  check_mode:
    support: none
    description: Would send nothing; it is skipped.
  diff_mode:
    support: none
    description: Shows no differences.
options:
  receiver:
    description: Who gets it, and through which server, as in a receiver of type C(email).
    type: dict
    required: true
    suboptions:
      to:
        description: Addresses, with commas between several.
        type: str
        required: true
      from:
        description: Address of the sender.
        type: str
        required: true
      smarthost:
        description: The mail server, C(HOST:PORT).
        type: str
        required: true
      username:
        description: User at the mail server.
        type: str
      password:
        description: Password of that user.
        type: str
      require_tls:
        description: Whether the connection must be encrypted.
        type: bool
        default: true
      tls_config:
        description: Alertmanager's settings of TLS, of which C(ca_file) and C(insecure_skip_verify) are used.
        type: dict
        default: {}
  subject:
    description: Subject of the mail.
    type: str
    required: true
  text:
    description: Lines of the mail.
    type: list
    elements: str
    required: true
  path:
    description: The page on this host.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Mail a report
  accelmon.fleet.report_mail:
    receiver: {to: ops@example.org, from: alerts@example.org, smarthost: "mail.example.org:587"}
    subject: Is everything all right? Yes.
    text: [The report is attached.]
    path: /var/lib/accelmon/report/report.html
"""

RETURN = r""" # """

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import failing
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import mail


def main():
    """Run the module."""
    module = AnsibleModule(argument_spec={
        "receiver": {"type": "dict", "required": True, "options": {
            "to": {"type": "str", "required": True},
            "from": {"type": "str", "required": True},
            "smarthost": {"type": "str", "required": True},
            "username": {"type": "str"},
            "password": {"type": "str", "no_log": True},
            "require_tls": {"type": "bool", "default": True},
            "tls_config": {"type": "dict", "default": {}},
        }},
        "subject": {"type": "str", "required": True},
        "text": {"type": "list", "elements": "str", "required": True},
        "path": {"type": "path", "required": True},
    })
    params = module.params
    with failing(module, params["path"]):
        with open(params["path"], encoding="utf-8") as stream:
            page = stream.read()
        message = mail.compose(params["receiver"], params["subject"], "\n".join(params["text"]) + "\n", "accelerators.html", page)
        mail.send(message, params["receiver"])
    module.exit_json(changed=True)


if __name__ == "__main__":
    main()
