# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Exporters for nodes of Kubernetes, as objects and through kubernetes.yml. The list of nodes is written from documentation; no cluster is involved."""
import json
import os
import pathlib
import subprocess
import sys

import pytest
import yaml
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import check, hosts as fleet, kubernetes as nodes, records
from ansible_collections.accelmon.fleet.plugins.plugin_utils.inventory import kubectl
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import dcgm, node_collectors
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import kubernetes

ROOT = pathlib.Path(__file__).parents[4]
TEXT = (ROOT / "tests" / "fixtures" / "inventory" / "kubectl_nodes.json").read_text()
DIGEST = "@sha256:" + "0" * 64
IMAGES = {"node_exporter_image": "example.org/node-exporter" + DIGEST, "amd_exporter_image": "example.org/amd" + DIGEST,
          "all_smi_image": "example.org/all-smi" + DIGEST}
SETTINGS = {**IMAGES, "accelmon_kubernetes_selectors": {"intel_gaudi": {"example.com/accelerator": "gaudi"}}}
MEBIBYTE = {"Mi": 1, "Gi": 1024}


def hostvars(accelerators_only=True, settings=None, **of_node):
    """`hostvars` of the nodes of the list. of_node: {name with _ for -: more variables, or None to leave it out}"""
    found, problems = kubectl.parse(TEXT, kubectl.RESOURCES)
    assert problems == []
    made = {}
    for name, node in found.items():
        more = of_node.get(name.replace("-", "_"), {})
        if more is not None and (node["devices"] or not accelerators_only):
            made[name] = {"inventory_hostname": name, **kubectl.variables(node, {}), **(SETTINGS if settings is None else settings), **more}
    return made


def rendered(**options):
    """{file: [object]}"""
    variables = hostvars(**options)
    return {name: list(yaml.safe_load_all(text)) for name, text in nodes.manifests(list(variables), variables).items()}


def refused(**options):
    with pytest.raises(Problem) as caught:
        rendered(**options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def daemon_sets(files):
    """{file: the DaemonSet in it}"""
    return {name: next(one for one in objects if one["kind"] == "DaemonSet") for name, objects in files.items() if name != "common.yml"}


def pods(files):
    """{file: specification of its pods}"""
    return {name: one["spec"]["template"]["spec"] for name, one in daemon_sets(files).items()}


def labels_of(pod):
    """[{label: [values]}] of the nodes that pods run on, [] for all."""
    if "affinity" not in pod:
        return []
    terms = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    return [{one["key"]: one["values"] for one in term["matchExpressions"]} for term in terms]


@pytest.fixture(name="files", scope="module")
def fixture_files():
    return rendered()


def test_one_file_for_each_exporter_that_a_node_has(files):
    assert set(files) == {"common.yml", "node_exporter.yml", "dcgm_exporter.yml", "amd_exporter.yml", "all_smi.yml"}
    assert set(rendered(amd_1=None, gaudi_1=None)) == {"common.yml", "node_exporter.yml", "dcgm_exporter.yml"}


def test_the_namespace_and_an_account_without_a_token(files):
    namespace, account = files["common.yml"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "privileged"
    assert account["automountServiceAccountToken"] is False
    for one in (one for objects in files.values() for one in objects if one["kind"] != "Namespace"):
        assert one["metadata"]["namespace"] == namespace["metadata"]["name"]
    assert {pod["serviceAccountName"] for pod in pods(files).values()} == {account["metadata"]["name"]}


def test_exporters_listen_where_targets_are(files):
    ports = {"node_exporter.yml": 9100, "dcgm_exporter.yml": 9400, "amd_exporter.yml": 5000, "all_smi.yml": 9401}
    for name, pod in pods(files).items():
        (container,) = pod["containers"]
        assert pod["hostNetwork"] is True
        assert [(one["containerPort"], one["hostPort"]) for one in container["ports"]] == [(ports[name], ports[name])]
        words = " ".join(container["args"]) + " ".join(one["data"].get("config.json", "") for one in files[name] if one["kind"] == "ConfigMap")
        assert str(ports[name]) in words
        # At the node's own address alone; all-smi knows no other than all.
        assert ("$(HOST_IP)" in words) is (name != "all_smi.yml")
        assert container["env"][0]["valueFrom"]["fieldRef"]["fieldPath"] == "status.hostIP"
    other = pods(rendered(settings={**SETTINGS, "dcgm_exporter_port": 9555}))["dcgm_exporter.yml"]["containers"][0]
    assert other["ports"][0]["hostPort"] == 9555 and "--address=[$(HOST_IP)]:9555" in other["args"]


def test_an_image_is_the_one_that_hosts_with_containers_have(files):
    images = {name: pod["containers"][0]["image"] for name, pod in pods(files).items()}
    assert images == {"node_exporter.yml": IMAGES["node_exporter_image"], "amd_exporter.yml": IMAGES["amd_exporter_image"],
                      "all_smi.yml": IMAGES["all_smi_image"], "dcgm_exporter.yml": load("dcgm")["image"]}
    own = "example.org/dcgm" + DIGEST
    assert pods(rendered(settings={**SETTINGS, "dcgm_exporter_image": own}))["dcgm_exporter.yml"]["containers"][0]["image"] == own


def test_a_node_needs_no_image_of_what_it_does_not_run():
    """Only those nodes have to agree that run it."""
    settings = {name: value for name, value in SETTINGS.items() if name not in ("amd_exporter_image", "all_smi_image")}
    of_amd = {"amd_exporter_image": IMAGES["amd_exporter_image"]}
    assert "amd_exporter.yml" in rendered(settings=settings, amd_1=of_amd, gaudi_1=None)


def test_pods_have_no_more_than_they_need(files):
    for name, pod in pods(files).items():
        (container,) = pod["containers"]
        assert pod["automountServiceAccountToken"] is False and pod["enableServiceLinks"] is False
        assert pod.get("hostPID", False) is (name == "node_exporter.yml") and "hostIPC" not in pod
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True and context["capabilities"] == {"drop": ["ALL"]}
        privileged = name in ("amd_exporter.yml", "all_smi.yml")
        assert context.get("privileged", False) is privileged and context.get("allowPrivilegeEscalation") is (None if privileged else False)
        assert pod["securityContext"].get("runAsNonRoot", False) is not privileged
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert "@sha256:" in container["image"]
        assert "secret" not in json.dumps(pod).lower()


def test_who_understands_a_web_configuration_has_it_from_a_secret_of_the_site():
    """With DCGM's spelling of the flag; nobody else gets it, as it would be a promise that nobody keeps."""
    secured = {**SETTINGS, "accelmon_kubernetes_secret": "web", "accelmon_exporter_tls": "files", "accelmon_exporter_auth": "basic"}
    variables = hostvars(settings=secured)
    flags = {"node_exporter.yml": "--web.config.file=/etc/accelmon-web/web.yml", "dcgm_exporter.yml": "--web-config-file=/etc/accelmon-web/web.yml"}
    for name, pod in pods(rendered(settings=secured)).items():
        (container,) = pod["containers"]
        secrets = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
        assert secrets == ([{"secretName": "web", "defaultMode": 0o440}] if name in flags else [])
        assert [argument for argument in container["args"] if "/web.yml" in argument] == ([flags[name]] if name in flags else [])
        assert (name not in flags) or pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]
    made = {node: {one["job"]: (one["scheme"], one.get("requires")) for one in records.make_plan(node, fleet.HostVariables(variables, node))["exporters"]}
            for node in ("gpu-1", "amd-1")}
    closed = ("https", ["certificate", "password"])
    assert made == {"gpu-1": {"node_exporter": closed, "dcgm_exporter": closed}, "amd-1": {"node_exporter": closed, "amd_exporter": ("http", None)}}


@pytest.mark.parametrize("tls, wrong", [("files", 0), ("managed", 1), ("none", 1)])
def test_certificates_in_a_secret_are_those_of_the_site(tls, wrong):
    found = check.between_variables({"accelmon_kubernetes_secret": "web", "accelmon_exporter_tls": tls, **dict.fromkeys(check.VARIABLES, "/x")})
    assert len([one for one in found if one.startswith("accelmon_kubernetes_secret = web: ")]) == wrong


def test_pods_stay_small(files):
    for pod in pods(files).values():
        resources = pod["containers"][0]["resources"]
        for kind in ("requests", "limits"):
            assert int(resources[kind]["cpu"].removesuffix("m")) <= 200
            assert int(resources[kind]["memory"][:-2]) * MEBIBYTE[resources[kind]["memory"][-2:]] <= 256
        assert all(set(volume.get("emptyDir", {"sizeLimit": ""})) == {"sizeLimit"} for volume in pod["volumes"])


def test_nothing_of_the_host_is_writable(files):
    for pod in pods(files).values():
        mounts = {mount["name"]: mount for mount in pod["containers"][0]["volumeMounts"]}
        assert set(mounts) == {volume["name"] for volume in pod["volumes"]}
        for volume in pod["volumes"]:
            assert "emptyDir" in volume or mounts[volume["name"]]["readOnly"] is True


def test_every_node_is_served_and_updates_go_in_steps(files):
    for one in daemon_sets(files).values():
        pod = one["spec"]["template"]["spec"]
        assert pod["tolerations"] == [{"operator": "Exists"}] and pod["priorityClassName"] == "system-node-critical"
        assert one["spec"]["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": "10%"}
        assert one["spec"]["selector"]["matchLabels"].items() <= one["spec"]["template"]["metadata"]["labels"].items()


def test_each_runs_where_its_devices_are(files):
    found = {name: labels_of(pod) for name, pod in pods(files).items()}
    nvidia, amd, gaudi = {"nvidia.com/gpu.present": ["true"]}, {"feature.node.kubernetes.io/amd-gpu": ["true"]}, {"example.com/accelerator": ["gaudi"]}
    assert found == {"dcgm_exporter.yml": [nvidia], "amd_exporter.yml": [amd], "all_smi.yml": [gaudi], "node_exporter.yml": [amd, gaudi, nvidia]}
    assert labels_of(pods(rendered(accelerators_only=False))["node_exporter.yml"]) == []


def test_devices_of_nvidia_come_from_its_runtime(files):
    assert {name for name, pod in pods(files).items() if "runtimeClassName" in pod} == {"dcgm_exporter.yml"}
    default = pods(rendered(settings={**SETTINGS, "accelmon_kubernetes_runtime_class": "none"}))["dcgm_exporter.yml"]
    assert "runtimeClassName" not in default and {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"} in default["containers"][0]["env"]
    chosen = {**SETTINGS, "accelmon_accelerator_source": {"nvidia": "all_smi"}}
    pod = pods(rendered(settings=chosen, gaudi_1=None))["all_smi.yml"]
    assert pod["runtimeClassName"] == "nvidia" and "privileged" not in pod["containers"][0]["securityContext"]
    assert {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"} in pod["containers"][0]["env"]
    assert "accelmon_accelerator_source = all_smi: it would read intel_gaudi and nvidia in one cluster" in refused(settings=chosen)


def test_what_is_exported_is_what_hosts_export(files):
    counters = next(one for one in files["dcgm_exporter.yml"] if one["kind"] == "ConfigMap")["data"]["counters.csv"]
    assert counters == dcgm.counters("4.8.3") and "DCGM_FI_DEV_XID_ERRORS" in counters
    settings = json.loads(next(one for one in files["amd_exporter.yml"] if one["kind"] == "ConfigMap")["data"]["config.json"])
    assert "GPU_AFID_ERRORS" in settings["GPUConfig"]["Fields"] and settings["ServerPort"] == 5000
    flags = [argument.partition("=")[0] for argument in pods(files)["node_exporter.yml"]["containers"][0]["args"]]
    collectors = [flag.removeprefix("--no-collector.").partition(".")[0] for flag in flags if flag.startswith("--no-collector.")]
    assert collectors and set(collectors) <= node_collectors.KNOWN


def test_pods_are_replaced_when_their_configuration_changes(monkeypatch):
    def annotation():
        return daemon_sets(rendered())["dcgm_exporter.yml"]["spec"]["template"]["metadata"]["annotations"]
    before = annotation()
    assert annotation() == before
    monkeypatch.setattr(dcgm, "counters", lambda version: "other")
    assert annotation() != before


@pytest.mark.parametrize("options, words", [
    ({"settings": {}}, "node_exporter_image = '': amd-1 is to run it in a pod; set it to NAME@sha256:DIGEST"),
    ({"amd_1": {"node_exporter_image": "example.org/other" + DIGEST}}, "gaudi-1: node_exporter_image = example.org/node-exporter"),
    ({"settings": IMAGES}, "no label by which Kubernetes finds the nodes with intel_gaudi, such as gaudi-1; add intel_gaudi:"),
    ({"gpu_2": {"kubernetes_labels": {}}}, "gpu-2 lacks the labels of nodes that run"),
    ({"gpu_2": {"accelmon_accelerator_source": "all_smi"}, "gaudi_1": None}, "gpu-1 has the labels of nodes that run all_smi, and is not to run it"),
    ({"amd_1": {"node_exporter_port": 9200}}, "gaudi-1: node_exporter_port = 9100: amd-1 has 9200; all nodes of a cluster need the same"),
    ({"settings": {**SETTINGS, "node_exporter_image": "example.org/x:latest"}}, "node_exporter_image = example.org/x:latest: it has no digest"),
    ({"settings": {**SETTINGS, "accelmon_kubernetes_selectors": {"nvidia": {"a b": "c"}}}}, "nvidia: a b: not a label"),
    ({"settings": {**SETTINGS, "accelmon_kubernetes_selectors": {"nvidia": {"a": True}}}}, "nvidia: a: not a label"),
    ({"settings": {**SETTINGS, "accelmon_kubernetes_secret": "a/b"}}, "accelmon_kubernetes_secret = "),
    ({"settings": {**SETTINGS, "accelmon_kubernetes_selectors": {"nvidja": {"a": "b"}}}}, "nvidja: not a vendor"),
])
def test_what_cannot_work_is_refused_in_one_line(options, words):
    assert words in refused(**options)


def test_hosts_that_are_no_nodes_are_left_out():
    with pytest.raises(Problem, match="none of the hosts is a node of Kubernetes"):
        nodes.manifests(["gpu1"], {"gpu1": {"inventory_hostname": "gpu1"}})


def test_an_unknown_exporter_is_a_fault_of_the_catalogue():
    assert set(kubernetes.EXPORTERS) == set(nodes.PORT_EXPORTERS)


def play(folder, *options):
    """(exit status, output) of kubernetes.yml."""
    (folder / "nodes.json").write_text(TEXT)
    (folder / "prod.kubectl.yml").write_text("plugin: accelmon.fleet.kubectl\nfile: nodes.json\n")
    (folder / "settings.json").write_text(json.dumps({**SETTINGS, "accelmon_kubernetes_directory": str(folder / "out")}))
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", "prod.kubectl.yml", str(ROOT / "playbooks/kubernetes.yml"), "-e", "@settings.json", *options],
        cwd=str(folder), check=False, timeout=300, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
        env=dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".collections"), ANSIBLE_NOCOLOR="1",
                 ANSIBLE_HOME=str(folder / "home"), ANSIBLE_LOCALHOST_WARNING="0"))
    return done.returncode, done.stdout


def test_the_playbook(tmp_path):
    status, output = play(tmp_path, "--check", "--diff")
    assert status == 0 and not (tmp_path / "out").exists(), output
    status, output = play(tmp_path)
    assert status == 0 and "UNREACHABLE" not in output, output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(rendered())
    # Files of others stay; what no node runs any more goes.
    (tmp_path / "out" / "kustomization.yaml").write_text("resources: [common.yml]\n")
    status, output = play(tmp_path, "--limit", "gpu-1,gpu-2")
    assert status == 0 and {path.name for path in (tmp_path / "out").iterdir()} == {
        "common.yml", "node_exporter.yml", "dcgm_exporter.yml", "kustomization.yaml"}, output
    assert "ok: [gpu-1 -> localhost] => (item=common.yml)" in output and "changed: [gpu-1 -> localhost] => (item=amd_exporter.yml)" in output, output


@pytest.mark.skipif(not os.environ.get("KUBERNETES_VALIDATE"), reason="KUBERNETES_VALIDATE names no kubernetes-validate, which holds the schemas of Kubernetes")
def test_the_schemas_of_kubernetes(tmp_path, files):
    """Strict, as it lets a misspelt field pass otherwise."""
    for name, objects in files.items():
        (tmp_path / name).write_text(yaml.safe_dump_all(objects))
    objects = daemon_sets(files)["node_exporter.yml"]
    objects["spec"]["template"]["spec"]["hostNetwrok"] = True
    (tmp_path / "misspelt").write_text(yaml.safe_dump(objects))
    command = [os.environ["KUBERNETES_VALIDATE"], "--strict"]
    done = subprocess.run([*command, *map(str, sorted(tmp_path.glob("*.yml")))], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert subprocess.run([*command, str(tmp_path / "misspelt")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False).returncode != 0
