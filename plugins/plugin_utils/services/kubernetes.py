# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Exporters as DaemonSets of Kubernetes, each in the host's network at a fixed port: pure functions, which know nothing of nodes.

Whoever may create such pods may do anything on the nodes, so the namespace needs the pod security level `privileged`. The pods themselves get
as little as they can do with.
"""
import hashlib
import os
import re

import yaml

from ansible_collections.accelmon.fleet.plugins.module_utils import paths
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue import reader as catalogue
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import amd_exporter, dcgm, node_collectors
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import VENDORS

NAMESPACE = "accelmon"
COMMON = "accelmon"
PART_OF = {"app.kubernetes.io/part-of": "accelmon.fleet"}
# The address at which monitoring hosts ask, and no other of the node. In brackets, which IPv6 needs and IPv4 may have.
HOST_IP = "$(HOST_IP)"
LISTEN = f"[{HOST_IP}]"
NOBODY = 65534
# What belongs to pods and containers: a series for each, gone with it.
MOUNTS = "^/(dev|proc|sys|run/.+|var/lib/(docker|containerd|containers/storage|kubelet)/.+)($|/)"
AMD_ROLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), *[os.pardir] * 3, "roles", "amd_exporter", "vars", "main.yml")

# A Secret of the site with a web configuration, for those exporters that understand it; the others know neither TLS nor passwords.
WEB = f"{paths.CONFIGURATION}-web"
WITH_WEB = {"node_exporter": f"--web.config.file={WEB}/web.yml", "dcgm_exporter": f"--web-config-file={WEB}/web.yml"}
NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
LABEL = re.compile(r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")


def check_name(name):
    """Raises Problem unless Kubernetes accepts a name; "" is none."""
    if name and not NAME.fullmatch(name):
        raise Problem("not a name that Kubernetes accepts; use lower-case letters, digits, dots and dashes")


def check_selectors(selectors):
    """Raises Problem unless there are labels of nodes for each vendor. selectors: {vendor: {label: value}}"""
    for vendor, labels in selectors.items():
        if vendor not in VENDORS:
            raise Problem(f"{vendor}: not a vendor; use {', '.join(VENDORS)}")
        if not isinstance(labels, dict) or not labels:
            raise Problem(f"{vendor}: not labels; write them as {{LABEL: VALUE}}")
        for label, value in labels.items():
            if not LABEL.fullmatch(str(label)) or not isinstance(value, str) or not LABEL_VALUE.fullmatch(value):
                raise Problem(f"{vendor}: {label}: not a label that Kubernetes accepts; put its value in quotes")


def common():
    """[object] that all exporters share."""
    return [
        {"apiVersion": "v1", "kind": "Namespace",
         "metadata": {"name": NAMESPACE, "labels": {**PART_OF, "pod-security.kubernetes.io/enforce": "privileged"}}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": COMMON, "namespace": NAMESPACE, "labels": dict(PART_OF)},
         "automountServiceAccountToken": False},
    ]


def exporter(role, port, image, terms, runtime_class=None, secret=""):
    """[object] of one exporter.

    terms: [{label: value}] of the nodes that it runs on, where one of them has to match; none, where it runs on all
    runtime_class: by which its pods see devices of NVIDIA, "" for that of every pod; None where they read none
    secret: name of the Secret with a web configuration, "" for none
    """
    parts = EXPORTERS[role](port, runtime_class is not None)
    if secret and role in WITH_WEB:
        parts["arguments"].append(WITH_WEB[role])
        parts["volumes"]["web"] = {"secret": {"secretName": secret, "defaultMode": 0o440}}
        parts["mounts"].append({"name": "web", "mountPath": WEB, "readOnly": True})
    name = f"accelmon-{role.replace('_', '-')}"
    labels = {"app.kubernetes.io/name": name, **PART_OF}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
    files = parts.get("files", {})
    # Pods are replaced when what they read once has changed.
    digest = hashlib.sha256("\0".join(part for item in sorted(files.items()) for part in item).encode()).hexdigest()
    made = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": files}] if files else []
    return made + [{
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata,
        "spec": {
            "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}},
            "template": {
                "metadata": {"labels": labels, **({"annotations": {"accelmon.fleet/configuration": digest}} if files else {})},
                "spec": pod(name, port, image, parts, terms, runtime_class)},
        },
    }]


def pod(name, port, image, parts, terms, runtime_class):
    """The specification of an exporter's pod. parts: as one of EXPORTERS gives them"""
    volumes = {**({"configuration": {"configMap": {"name": name}}} if parts.get("files") else {}), **parts.get("volumes", {})}
    mounts = [*([{"name": "configuration", "mountPath": paths.CONFIGURATION, "readOnly": True}] if parts.get("files") else []), *parts.get("mounts", [])]
    privileged = parts.get("privileged", False)
    return {
        "serviceAccountName": COMMON, "automountServiceAccountToken": False, "enableServiceLinks": False,
        "priorityClassName": "system-node-critical", "hostNetwork": True, "dnsPolicy": "Default", "terminationGracePeriodSeconds": 15,
        **({"hostPID": True} if parts.get("host_pid") else {}),
        **({"runtimeClassName": runtime_class} if runtime_class else {}),
        "nodeSelector": {"kubernetes.io/os": "linux"},
        **({"affinity": affinity(terms)} if terms else {}),
        # A node that is tainted, because it is cordoned, full or reserved for accelerators, is monitored all the same.
        "tolerations": [{"operator": "Exists"}],
        # The group is that of the files of a Secret.
        "securityContext": {**({"runAsUser": 0} if privileged else {"runAsNonRoot": True, "runAsUser": NOBODY, "runAsGroup": NOBODY, "fsGroup": NOBODY}),
                            "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{
            "name": name, "image": image, "imagePullPolicy": "IfNotPresent",
            **({"command": parts["command"]} if "command" in parts else {}), "args": parts["arguments"],
            "env": [{"name": "HOST_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
                    *({"name": key, "value": value} for key, value in parts.get("environment", {}).items())],
            "ports": [{"name": "metrics", "containerPort": port, "hostPort": port, "protocol": "TCP"}],
            "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 10, "timeoutSeconds": 5},
            "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"cpu": "200m", "memory": "256Mi"}},
            # The API refuses a privileged container that may not raise its privileges.
            "securityContext": {**({"privileged": True} if privileged else {"allowPrivilegeEscalation": False}),
                                "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
            "volumeMounts": mounts,
        }],
        "volumes": [{"name": key, **value} for key, value in volumes.items()],
    }


def affinity(terms):
    """Nodes that one of the terms matches."""
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": key, "operator": "In", "values": [value]} for key, value in sorted(term.items())]} for term in terms]}}}


def scratch(**places):
    """{"volumes", "mounts"} of empty directories that an exporter writes to. places: {name: path}"""
    return {"volumes": {name: {"emptyDir": {"sizeLimit": "64Mi"}} for name in places},
            "mounts": [{"name": name, "mountPath": path} for name, path in places.items()]}


def node_exporter(port, _nvidia):
    """Reads the host's mounts by the process 1, so it sees the host's processes."""
    version = node_collectors.program_version("release", "", {"architecture": "amd64"})
    return {
        "arguments": [f"--web.listen-address={LISTEN}:{port}", "--path.rootfs=/host", f"--collector.filesystem.mount-points-exclude={MOUNTS}",
                      *node_collectors.arguments({"any": {"count": 1}}, version)],
        "host_pid": True,
        "volumes": {"host": {"hostPath": {"path": "/", "type": "Directory"}}},
        "mounts": [{"name": "host", "mountPath": "/host", "readOnly": True, "mountPropagation": "HostToContainer"}],
    }


def dcgm_exporter(port, _nvidia):
    """NVIDIA's runtime hands the devices to whoever has the variable; DCGM leaves files for its engine where it stands."""
    counters = f"{paths.CONFIGURATION}/counters.csv"
    options = {"counters": counters, "address": LISTEN, "port": port, "interval": "15s", "engine": "", "jobs": "", "log_level": "info"}
    return {
        "arguments": dcgm.arguments(options), "files": {"counters.csv": dcgm.counters(str(catalogue.load("dcgm")["version"]))},
        "environment": {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility", "HOME": "/tmp"}, **scratch(tmp="/tmp", run="/run"),
    }


def amd_metrics_exporter(port, _nvidia):
    """The image starts gpuagent, which needs /dev/kfd and /dev/dri: outside of a device plugin, only a privileged pod has them."""
    with open(AMD_ROLE, encoding="utf-8") as stream:
        role = yaml.safe_load(stream)
    text = amd_exporter.config(port, role["amd_exporter_fields"], role["amd_exporter_labels"], ())
    # It insists on its directory of state.
    room = scratch(tmp="/tmp", run="/run", state="/var/lib/amd-metrics-exporter")
    return {
        "arguments": ["-amd-metrics-config", f"{paths.CONFIGURATION}/config.json", "-bind", HOST_IP, "-log-file-path", "/tmp/exporter.log"],
        "files": {"config.json": text}, "privileged": True,
        "volumes": {**room["volumes"], "sys": {"hostPath": {"path": "/sys", "type": "Directory"}}},
        "mounts": room["mounts"] + [{"name": "sys", "mountPath": "/sys", "readOnly": True}],
    }


def all_smi(port, nvidia):
    """It listens at every address. Devices of NVIDIA come from the runtime, all others only to a privileged pod."""
    return {
        "command": ["all-smi"], "arguments": ["api", f"--port={port}", "--interval=5", "--processes=false"], "privileged": not nvidia,
        "environment": {"NO_COLOR": "1", "ALL_SMI_ENERGY_WAL_PATH": "/tmp/energy-wal.bin", "HOME": "/tmp",
                        **({"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"} if nvidia else {})},
        **scratch(tmp="/tmp"),
    }


# What each exporter needs beside what all have: {"arguments", "command"?, "environment"?, "files"?, "volumes"?, "mounts"?, "privileged"?, "host_pid"?}.
EXPORTERS = {"node_exporter": node_exporter, "dcgm_exporter": dcgm_exporter, "amd_exporter": amd_metrics_exporter, "all_smi": all_smi}
