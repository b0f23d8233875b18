# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter scrape_config."""
from __future__ import annotations

DOCUMENTATION = r"""
name: scrape_config
short_description: Write the scrape configuration of vmagent or Prometheus
version_added: 0.1.0
author: accelmon.fleet contributors (@accelmon)
description:
  - Jobs for the fleet's exporters, whose targets the registry writes to files, for the registry's own series,
    and for the services of the monitoring stack.
  - Relabelling gives device series the label C(index), and the label C(source) where their source is in charge of
    the vendor on that node.
options:
  _input:
    description: The options below.
    type: dict
    required: true
    suboptions:
      node_exporter:
        description: C(host:port) of the node_exporter on the monitoring host; it publishes the registry's series.
        type: str
        required: true
      node_exporter_path:
        description: Path of its metrics page.
        type: str
        default: /metrics
      node_exporter_scheme:
        description: Whether it uses TLS.
        type: str
        choices: [http, https]
        default: http
      exporter_tls:
        description: Whether the collection's exporters may use TLS; those that do have C(https) in the target files.
        type: bool
        default: false
      exporter_password_file:
        description: File with the password of the collection's exporters, if they require one. Where they use TLS, it is sent to no other target.
        type: path
      stack_password_file:
        description: File with the password of the stack's services.
        type: path
      alertmanagers:
        description: Where Prometheus sends alerts, C(target), C(scheme) and C(server_name) of each.
        type: list
        elements: dict
        default: []
      global_place:
        description: >-
          Where the roll-ups and alerts of a site are sent, C(url), C(user), C(password_file) and C(ca_file) of each. For vmagent, the file
          only contains the job that reads them out of the service C(victoriametrics) of C(stack); where they go is on its command line.
        type: list
        elements: dict
        default: []
      rule_files:
        description: Patterns of the rule files that Prometheus evaluates.
        type: list
        elements: str
        default: []
      cluster:
        description: Cluster of the monitoring host.
        type: str
        required: true
      node:
        description: Name of the monitoring host.
        type: str
        required: true
      pair:
        description: Whether others write the same series to the same storages. Series of the registry have no label C(instance) then.
        type: bool
        default: false
      stack:
        description: Services of the stack to scrape, as job to C(host:port), or to C(target), C(scheme) and C(server_name).
        type: dict
        default: {}
      elsewhere:
        description: >-
          Services of the stack on hosts that have no scraper of their own, C(job), C(target), C(scheme), C(server_name), C(cluster) and C(node) of each,
          and as C(accelmon_fleet) their node_exporters, of which the registry's series are read with C(pair).
        type: list
        elements: dict
        default: []
      shard:
        description: >-
          Which nodes this scraper asks, where each is asked by some of several scrapers, C(number), from 0, of C(members), and C(copies), how many
          of them ask each node. Without it, all nodes.
        type: dict
        default: {}
      limits:
        description: >-
          The most series a page may have, by C(dcgm_exporter), C(amd_exporter), C(all_smi), C(node_exporter) and C(custom), where it
          differs from the catalogue. A page with more is not stored at all.
        type: dict
        default: {}
      scrape_interval:
        description: How often every target is scraped.
        type: str
        default: 15s
      scrape_timeout:
        description: Time after which a scrape counts as failed; shorter than the interval. Defaults to 10 s, or four fifths of a short interval.
        type: str
      targets_dir:
        description: Directory to which the registry writes the target files.
        type: path
        default: /var/lib/accelmon/targets
      backend:
        description: Which program reads the file. For Prometheus it contains C(refresh_interval); vmagent takes C(-promscrape.fileSDCheckInterval).
        type: str
        choices: [vmagent, prometheus]
        default: vmagent
"""

EXAMPLES = r"""
scrape: >-
  {{ {'node_exporter': '10.0.0.5:9100', 'cluster': 'hall1', 'node': 'mon1',
      'stack': {'victoriametrics': '127.0.0.1:8428', 'vmagent': '127.0.0.1:8429', 'vmalert': '127.0.0.1:8880'}}
     | accelmon.fleet.scrape_config }}
"""

RETURN = r"""
_value:
  description: Text of the configuration, YAML.
  type: str
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.formats import read
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.scrape import scrape_file


def scrape_config(options):
    """Text of a scrape configuration."""
    try:
        # In AWX it may be text, as every variable of the fleet.
        return scrape_file({**options, "limits": read("accelmon_scrape_limits", options["limits"])} if "limits" in options else options)
    except Problem as error:
        raise AnsibleFilterError(f"scrape_config: {error}") from None


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"scrape_config": scrape_config}
