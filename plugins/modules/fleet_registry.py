#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r'''
module: fleet_registry
short_description: Record hosts in the fleet registry and publish it
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author:
  - accelmon.fleet contributors (@accelmon)
description:
  - Merges the records of a run into the registry of every cluster they name, on a monitoring host.
  - Writes these clusters' scrape targets for file-based discovery, and series about the fleet for the textfile
    collector of the monitoring host's node_exporter.
  - A run adds and updates hosts, and removes one only with O(prune) or O(forget). A host that is no longer in the
    inventory is marked as retired and stays a target, unless another host of the inventory has taken its place. It is then replaced
    and no longer a target, and the other host inherits its counts. This also happens when a host changes its name or cluster.
  - Detected accelerators raise the expected counts but lower them only with O(accept).
  - Concurrent runs wait for each other. Files are replaced atomically.
attributes:
  check_mode:
    support: full
    description: Predicts the change without making it.
  diff_mode:
    support: full
    description: Shows the changed lines of target files and series.
options:
  records:
    description: The records returned by the filter P(accelmon.fleet.fleet_records#filter).
    type: raw
    required: true
  inventory_hosts:
    description: All hosts in the inventory. A full run retires hosts of the registry that are not among them.
    type: list
    elements: str
    required: true
  full_run:
    description: Whether the run covers the whole inventory. Only such a run retires hosts, prunes, or rebuilds a lost registry.
    type: bool
    default: false
  prune:
    description: >-
      In a full run, remove retired and replaced hosts, and clusters with no hosts left. Rejected if more than 10 % of a cluster (at
      least 3 hosts) would be removed.
    type: bool
    default: false
  prune_force:
    description: Prune regardless of how many hosts would be removed.
    type: bool
    default: false
  prune_clusters:
    description:
      - With O(prune), also remove these clusters, which have no host in the run. For a cluster without a host in the run, the module
        cannot tell whether it is gone or belongs to another inventory.
    type: list
    elements: str
    default: []
  accept:
    description: Hosts whose last seen accelerators become the expected ones; V(*) means all hosts of the clusters.
    type: list
    elements: str
    default: []
  forget:
    description: Remove the hosts of O(records) instead of recording them, and those that they replaced. Other hosts stay as they are.
    type: bool
    default: false
  state_dir:
    description: Directory of the registry files, locks and temporary files.
    type: path
    default: /var/lib/accelmon/registry
  targets_dir:
    description: >-
      Directory of the target files, C(<job>/<cluster>.json) and, for custom exporters, C(custom/<job>.<cluster>.json).
    type: path
    default: /var/lib/accelmon/targets
  series_dir:
    description: Textfile directory of this host's node_exporter.
    type: path
    default: /var/lib/accelmon/textfile
  lock_timeout:
    description: Seconds to wait for another run that holds a cluster's lock.
    type: int
    default: 60
'''

EXAMPLES = r'''
- name: Record what was found, on every monitoring host
  accelmon.fleet.fleet_registry:
    records: "{{ ansible_play_hosts_all | accelmon.fleet.fleet_records(hostvars, answered=ansible_play_hosts) }}"
    inventory_hosts: "{{ groups['all'] }}"
    full_run: "{{ ansible_limit is not defined }}"
  loop: "{{ groups['monitoring'] }}"
  delegate_to: "{{ item }}"
  run_once: true

- name: Accept the accelerators that gpu7 has now
  accelmon.fleet.fleet_registry:
    records: "{{ ['gpu7'] | accelmon.fleet.fleet_records(hostvars, answered=['gpu7']) }}"
    inventory_hosts: "{{ groups['all'] }}"
    accept: [gpu7]
'''

RETURN = r'''
clusters:
  description: What changed, by cluster.
  type: dict
  returned: success
  sample: {default: {generation: 7, hosts: 120, added: [gpu120], updated: [], removed: [], retired: [], pending: [gpu120], accepted: {}}}
  contains:
    generation:
      description: Generation of the registry, which increases with every change.
      type: int
    hosts:
      description: Number of hosts in the registry.
      type: int
    added:
      description: Hosts that this run added.
      type: list
    updated:
      description: Hosts whose entry this run changed.
      type: list
    removed:
      description: Hosts that this run removed.
      type: list
    retired:
      description: All hosts that are no longer in the inventory.
      type: list
    replaced:
      description: All hosts replaced by another host.
      returned: when there are any
      type: list
    pending:
      description: All hosts that never answered.
      type: list
    accepted:
      description: Expected counts changed by accepting, as host, vendor and the counts before and after.
      type: dict
'''

import contextlib
import errno
import json
import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Busy, Failure, failing
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import registry as fleet
from ansible_collections.accelmon.fleet.plugins.module_utils import atomic, paths
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import targets

DIFF_LINES = 40
DIFF_WIDTH = 300


def read_records(value):
    """The list of records in the option's value: JSON text, or what Ansible already made of it. Raises Failure."""
    fix = "pass the result of the filter accelmon.fleet.fleet_records"
    if not isinstance(value, dict):
        try:
            value = json.loads(value)
        except (TypeError, ValueError) as error:
            raise Failure("records: not JSON (%s); %s" % (error, fix))
    if not isinstance(value, dict) or value.get("version") != 1 or not isinstance(value.get("records"), list):
        raise Failure("records: not version 1 fleet records; %s" % fix)
    return value["records"]


def on_disk(state_dir):
    """Names of the clusters that have a registry here, sorted."""
    return fleet.clusters(state_dir) if os.path.isdir(state_dir) else []


def read_text(path):
    """Content of a file, or None if it is not there."""
    data = atomic.read(path)
    return None if data is None else data.decode("utf-8", "replace")


def cluster_files(targets_dir, cluster):
    """Paths below `targets_dir` of the target files that a cluster has."""
    found = []
    for job in _names(targets_dir):
        for name in _names(os.path.join(targets_dir, job)):
            if job == "custom":
                owned = name.partition(".")[2] == cluster + ".json"
            else:
                owned = name == cluster + ".json"
            if owned:
                found.append("%s/%s" % (job, name))
    return sorted(found)


def _names(directory):
    try:
        return sorted(os.listdir(directory))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return []
        raise


def compact_diff(path, before, after):
    """Changed lines of a file whose lines are entries of their own, cut after some."""
    old, new = (before or "").splitlines(), (after or "").splitlines()
    # The comma that parts one entry from the next comes and goes with its neighbour.
    kept_old, kept_new = set(line.rstrip(",") for line in old), set(line.rstrip(",") for line in new)
    lines = ["-" + line for line in old if line.rstrip(",") not in kept_new]
    lines += ["+" + line for line in new if line.rstrip(",") not in kept_old]
    shown = [line if len(line) <= DIFF_WIDTH else line[:DIFF_WIDTH] + " ..." for line in lines[:DIFF_LINES]]
    if len(lines) > DIFF_LINES:
        shown.append("... and %d more changed lines" % (len(lines) - DIFF_LINES))
    head = ["--- %s" % (path if before is not None else "/dev/null"), "+++ %s" % (path if after is not None else "/dev/null")]
    return {"prepared": "\n".join(head + shown) + "\n"}


class Store(object):
    """The files of the registry on this host: reads them, and replaces those whose content changed."""

    def __init__(self, module):
        self.module = module
        self.state_dir = module.params["state_dir"]
        self.targets_dir = module.params["targets_dir"]
        self.series_dir = module.params["series_dir"]
        self.relabel = atomic.relabeler(module)
        self.temp_dir = os.path.join(self.state_dir, "tmp")
        self.locks = contextlib.ExitStack()
        self.changed = False
        self.diff = []

    def prepare(self, clusters):
        """Make the directories and take the locks, in an order that two runs cannot block each other by.

        clusters: those of the run; the others here are locked with them, as a host may have come from any of them
        """
        if self.module.check_mode:
            return
        for directory, mode in ((self.state_dir, 0o750), (self.temp_dir, 0o700), (self.targets_dir, 0o755), (self.series_dir, 0o755)):
            self._directory(directory, mode)
        for cluster in sorted(set(clusters) | set(on_disk(self.state_dir))):
            self.lock(cluster, self.module.params["lock_timeout"])

    def lock(self, cluster, timeout):
        """Take a cluster's lock. It is held until the process ends."""
        path = os.path.join(self.state_dir, cluster + ".lock")
        try:
            self.locks.enter_context(atomic.Lock(path, timeout))
        except Busy:
            raise Failure("cluster %s: lock_timeout = %d: another run still holds %s; wait for it to finish, or raise lock_timeout" % (cluster, timeout, path))

    def _directory(self, path, mode):
        # The umask of the run must not keep the scraper out.
        made = atomic.make_folders(os.path.dirname(path), 0o755, self.relabel) + atomic.make_folders(path, mode, self.relabel)
        self.changed = self.changed or bool(made)

    def registry_path(self, cluster):
        return os.path.join(self.state_dir, cluster + ".json")

    def series_path(self, cluster, directory=None):
        return os.path.join(directory or self.series_dir, "accelmon_fleet_%s.prom" % cluster)

    def note_path(self, cluster):
        """Where it is noted in which directory the series are."""
        return os.path.join(self.state_dir, cluster + ".series")

    def confirm(self, cluster):
        """Note by the time of the series' file, which node_exporter publishes, that a full run found them right: see FleetRegistryOld."""
        if not self.module.check_mode and os.path.exists(self.series_path(cluster)):
            os.utime(self.series_path(cluster), None)

    def load(self, cluster, full_run):
        """The registry of a cluster; an empty one if the cluster is new, or is rebuilt by a full run."""
        path = self.registry_path(cluster)
        registry = fleet.read(path, cluster)
        if registry is not None:
            return registry
        if cluster_files(self.targets_dir, cluster):
            if not full_run:
                raise Failure(
                    "registry %s: missing, although cluster %s has targets in %s; run site.yml without --limit to rebuild it, "
                    "or restore the file" % (path, cluster, self.targets_dir))
            self.module.warn("registry %s: was missing and has been rebuilt; expected accelerators are those that answer in this "
                             "run, and retired hosts are gone" % path)
        return fleet.empty(cluster)

    def publish(self, cluster, registry):
        """Write registry, targets and series of a cluster, in this order, and remove target files without targets.

        Of a cluster without hosts nothing stays but its lock, which others may wait for.
        """
        series = self.series_path(cluster)
        if not registry["hosts"]:
            for path in [os.path.join(self.targets_dir, name) for name in cluster_files(self.targets_dir, cluster)] + [
                    series, self.note_path(cluster), self.registry_path(cluster)]:
                if os.path.exists(path):
                    self._remove(path)
            return
        self._replace(self.registry_path(cluster), fleet.dump(registry), 0o640, show=False)
        wanted = targets.target_files(cluster, fleet.records(registry))
        for name, text in sorted(wanted.items()):
            path = os.path.join(self.targets_dir, name)
            if not self.module.check_mode:
                self._directory(os.path.dirname(path), 0o755)
            self._replace(path, text, 0o644)
        for name in cluster_files(self.targets_dir, cluster):
            if name not in wanted:
                self._remove(os.path.join(self.targets_dir, name))
        # A site's own exporter would go on exporting what stays in its directory.
        former = (read_text(self.note_path(cluster)) or self.series_dir).strip()
        if former != self.series_dir and os.path.exists(self.series_path(cluster, former)):
            self._remove(self.series_path(cluster, former))
        self._replace(self.note_path(cluster), self.series_dir + "\n", 0o640, show=False)
        self._replace(series, fleet.series(registry), 0o644)

    def _replace(self, path, text, mode, show=True):
        before = read_text(path)
        if before == text:
            if self.module.set_mode_if_different(path, mode, False):
                self.changed = True
            return
        self.changed = True
        if show and self.module._diff:
            self.diff.append(compact_diff(path, before, text))
        if self.module.check_mode:
            return
        # Not in the file's own directory: every file that appears there makes the scraper read all of them again.
        temporary = os.path.join(self.temp_dir, path.strip("/").replace("/", "_"))
        try:
            atomic.create(temporary, text.encode("utf-8"), mode)
            atomic.replace(temporary, path, self.relabel)
        finally:
            atomic.discard(temporary)

    def _remove(self, path):
        self.changed = True
        if self.module._diff:
            self.diff.append(compact_diff(path, read_text(path), None))
        if not self.module.check_mode:
            os.unlink(path)


def chosen(accept, registry, known):
    """The hosts of one registry that `accept` names."""
    if "*" in accept:
        return sorted(registry["hosts"])
    return [host for host in accept if host in registry["hosts"] or host in known]


def others(module, store, found):
    """{cluster: registry} of the clusters here that are not of this run. One that cannot be read is no reason not to record."""
    registries = {}
    for cluster in on_disk(store.state_dir):
        if cluster not in found:
            try:
                registries[cluster] = fleet.read(store.registry_path(cluster), cluster) or fleet.empty(cluster)
            except Failure as error:
                module.warn(str(error))
    return registries


def left_to(registries, found):
    """Clusters of which hosts were replaced, in a run before, by hosts of the clusters of this run: they are of the same inventory."""
    return [cluster for cluster, registry in registries.items()
            if any(entry["status"] == "replaced" and entry["replaced_by"]["cluster"] in found for entry in registry["hosts"].values())]


def forget_clusters(params, found, before):
    """{cluster: (registry without hosts, what happened)} of the clusters that `prune_clusters` names."""
    results = {}
    for cluster in params["prune_clusters"] if params["prune"] and params["full_run"] else ():
        if cluster in found:
            raise Failure("prune_clusters = %s: it contains hosts of this run; remove it from the list" % cluster)
        if cluster not in before:
            raise Failure("prune_clusters = %s: no such registry; known are %s" % (cluster, ", ".join(sorted(before))))
        results[cluster] = fleet.merge(
            dict(before[cluster], hosts=dict((host, dict(entry, status="retired")) for host, entry in before[cluster]["hosts"].items())),
            {}, set(), full_run=True, prune=True, prune_force=params["prune_force"])
    return results


def merge_clusters(params, found, before):
    """{cluster: (registry, what happened)} of the clusters of this run, and beside them those that its hosts came from."""
    home = dict((host, cluster) for cluster, records in found.items() for host in records)
    inventory = set(params["inventory_hosts"])
    replaced, former = fleet.successions(before, found, inventory)
    results = {}
    for cluster in sorted(set(found) | set(replaced) | set(left_to(before, found))):
        records = found.get(cluster, {})
        results[cluster] = fleet.merge(
            before[cluster], records, set(host for host in inventory if home.get(host, cluster) == cluster),
            full_run=params["full_run"], prune=params["prune"], prune_force=params["prune_force"],
            accept=chosen(params["accept"], before[cluster], records) if records else [], replaced=replaced.get(cluster),
            former=dict((host, entry) for (one, host), entry in former.items() if one == cluster))
    return results


def refuse_unknown(accept, found, before):
    """Stop if `accept` names a host that no registry of this run has."""
    known = set().union(*[chosen(accept, before[cluster], records) for cluster, records in found.items()])
    unknown = sorted(set(accept) - known - set("*"))
    if unknown:
        raise Failure("accept = %s: not in the registry of cluster %s; correct the name"
                      % (", ".join(unknown), ", ".join(sorted(found)) or "(none)"))


def warn_kept(module, clusters):
    """Name the clusters that a pruning run leaves alone."""
    for cluster in clusters:
        module.warn("cluster %s: kept, as no host in this run shows that it is gone; if it is, set accelmon_prune_clusters=%s to remove it"
                    % (cluster, cluster))


def forget(module, store, found):
    """Take the hosts of the records out. Returns what happened, by cluster."""
    known = on_disk(store.state_dir)
    if not known or not os.path.isdir(store.targets_dir):
        return {}  # nothing is scraped from here, and no directory is made
    store.prepare(sorted(found))
    before = dict((cluster, store.load(cluster, False)) for cluster in found if cluster in known)
    before.update(others(module, store, found))
    names = set((cluster, host) for cluster, records in found.items() for host in records)
    results = {}
    for cluster, registry in sorted(before.items()):
        after, changes = fleet.forget(registry, names)
        if changes["removed"]:
            store.publish(cluster, after)
            results[cluster] = dict(changes, generation=after["generation"], hosts=len(after["hosts"]))
    return results


def run(module, store):
    """Merge and publish. Returns what happened, by cluster."""
    params = module.params
    found = fleet.by_cluster(read_records(params["records"]))
    if params["forget"]:
        return forget(module, store, found)
    store.prepare(sorted(found))
    before = dict((cluster, store.load(cluster, params["full_run"])) for cluster in sorted(found))
    before.update(others(module, store, found))
    results = merge_clusters(params, found, before)
    if params["prune"] and params["full_run"]:
        warn_kept(module, sorted(set(before) - set(results) - set(params["prune_clusters"])))
    results.update(forget_clusters(params, found, before))
    refuse_unknown(params["accept"], found, before)
    # Only now, so that a refusal for one cluster leaves the others as they were too.
    for cluster, (registry, _changes) in sorted(results.items()):
        store.publish(cluster, registry)
        if cluster in found:
            if params["full_run"]:
                store.confirm(cluster)
            warn_declared(module, registry, chosen(params["accept"], registry, ()))
            for line in fleet.handed_over(before[cluster], registry, found[cluster]):
                module.warn(line)
    # Of this run's hosts alone: a run for one node tells nothing about others.
    for line in fleet.better_sources(dict((cluster, {"hosts": dict((host, results[cluster][0]["hosts"][host]) for host in records)})
                                          for cluster, records in found.items())):
        module.warn(line)
    return dict((cluster, dict(changes, generation=registry["generation"], hosts=len(registry["hosts"])))
                for cluster, (registry, changes) in results.items())


def warn_declared(module, registry, accepted):
    """Say where accepting has no effect because the inventory declares another number."""
    for host in accepted:
        entry = registry["hosts"][host]
        for vendor, count in sorted(entry["expected"].items()):
            seen = sum(entry["seen"].get(vendor, {}).values())
            if seen != count:
                module.warn("%s: accelmon_expected = %s: declares %d %s accelerators, but %d were seen; correct it in the inventory"
                            % (host, json.dumps(entry["expected"], sort_keys=True), count, vendor, seen))


def main():
    module = AnsibleModule(
        argument_spec=dict(
            records=dict(type="raw", required=True),
            inventory_hosts=dict(type="list", elements="str", required=True),
            full_run=dict(type="bool", default=False),
            prune=dict(type="bool", default=False),
            prune_force=dict(type="bool", default=False),
            prune_clusters=dict(type="list", elements="str", default=[]),
            accept=dict(type="list", elements="str", default=[]),
            forget=dict(type="bool", default=False),
            state_dir=dict(type="path", default=paths.REGISTRY),
            targets_dir=dict(type="path", default=paths.TARGETS),
            series_dir=dict(type="path", default=paths.TEXTFILE),
            lock_timeout=dict(type="int", default=60),
        ),
        supports_check_mode=True,
    )
    # The records of a large fleet are megabytes: they do not travel back with the result.
    large = ("records", "inventory_hosts")
    invocation = {"module_args": dict((key, value) for key, value in module.params.items() if key not in large)}
    store = Store(module)
    with failing(module, store.state_dir, invocation=invocation):
        clusters = run(module, store)
    result = dict(changed=store.changed, clusters=clusters, invocation=invocation)
    if module._diff:
        result["diff"] = store.diff
    module.exit_json(**result)


if __name__ == "__main__":
    main()
