# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup xid."""
from __future__ import annotations

DOCUMENTATION = r"""
name: xid
short_description: Explain an error code of a device, or an alert
version_added: 0.1.0
author: accelmon.fleet contributors (@accelmon)
description:
  - What an error code of an NVIDIA or AMD device means, how bad it is and what to do. Contacts no host.
  - A code that the catalogue lacks gets an answer too.
options:
  _terms:
    description:
      - An NVIDIA Xid as V(79) or V(xid 79), an SXid of a switch as V(sxid 20034), an AMD AFID as V(afid 24), one of V(ras ce), V(ras ue),
        V(ras de) and V(ras poison), a recovery action of NVIDIA's driver as V(recovery 2), or the name of an alert.
    type: list
    elements: raw
    required: true
"""

EXAMPLES = r"""
what_to_do: "{{ lookup('accelmon.fleet.xid', 79).actions }}"
title: "{{ lookup('accelmon.fleet.xid', 'sxid 20034').title }}"
"""

RETURN = r"""
_list:
  description:
    - One dictionary for each term, with C(kind), C(code), C(title), C(class), C(severity) (V(critical), V(warning) or V(info)), C(known),
      C(meaning), C(causes), C(actions) (first one first), C(sources) (what is decided where sources disagree) and C(dated).
    - For an alert, C(scope) replaces C(class).
  type: list
  elements: dict
"""

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.oneline import shown
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.errors import explain


class LookupModule(LookupBase):
    """The lookup."""

    def run(self, terms, variables=None, **kwargs):
        """One explanation for each term."""
        self.set_options(var_options=variables, direct=kwargs)
        return [self.explained(term) for term in terms]

    def explained(self, term):
        """The explanation of one term."""
        try:
            return explain(term)
        except Problem as error:
            raise AnsibleLookupError(f"accelmon.fleet.xid: {shown(term)}: {error.problem}") from None
