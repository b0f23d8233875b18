# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes on devices, summed by job and unit. Stubbed: nvidia-smi by a script that prints a fixture, sysfs and /proc by a folder."""

import json
import os
import subprocess
import sys

import collector_support as support
import pytest

UUID = "GPU-00000000-0000-4000-8000-%012d"
AMD, XE = "0000:05:00.0", "0000:03:00.0"
SLURM2 = "0::/system.slice/slurmstepd.scope/job_%s/step_batch/user/task_0\n"
SLURM1 = "11:memory:/slurm/uid_1000/job_%s/step_0/task_0\n1:name=systemd:/system.slice/slurmd.service\n"
CONTAINER = "0123456789abcdef" * 4
SECRET = "train_on_secret_data"


def process(root, pid, cgroup="0::/system.slice/x.service\n", parent=1, name=SECRET, uid=1000, words=SECRET):
    """A process as /proc shows it to somebody who may look."""
    support.put(root, "proc/%d/cgroup" % pid, cgroup)
    support.put(root, "proc/%d/status" % pid, "Name:\t%s\nPPid:\t%d\nUid:\t%d\t%d\t%d\t%d\n" % (name, parent, uid, uid, uid, uid))
    support.put(root, "proc/%d/cmdline" % pid, words)
    os.makedirs(str(root / "proc" / str(pid) / "fdinfo"), exist_ok=True)


def opened(root, pid, text, number=5):
    """An open file of a process."""
    support.put(root, "proc/%d/fdinfo/%d" % (pid, number), text)


def fdinfo(name, **changes):
    text = support.fixture("processes/%s.txt" % name)[1]
    for key, value in changes.items():
        lines = [line for line in text.splitlines() if not line.startswith("drm-%s:" % key.replace("_", "-"))]
        text = "\n".join(lines + ["drm-%s:\t%s" % (key.replace("_", "-"), value)]) + "\n"
    return text


@pytest.fixture
def nvidia(node):
    """A host with eight NVIDIA devices that another exporter reads; nvidia-smi answers about processes."""
    for device in range(8):
        address = "0000:%02x:00.0" % (0x1b + device)
        support.amd_device(node.root, address, "mi300x", vendor="0x10de", device="0x2330", **{"class": "0x030200", "driver": "nvidia"})
        support.put(node.root, "proc/driver/nvidia/gpus/%s/information" % address, "GPU UUID: \t %s\nDevice Minor: \t %d\n" % (UUID % device, device))
    answer(node, support.fixture("processes/compute_apps_8.csv")[1])
    process(node.root, 1, "0::/init.scope\n", 0, "systemd", 0)
    return node


def answer(node, text, status=0):
    """What nvidia-smi says of processes, of their engines from the file `pmon`, if there is one; of links it says nothing."""
    support.script(node.folder / "nvidia-smi", """\
        import sys
        with open(%r, "a") as stream:
            stream.write(" ".join(sys.argv[1:]) + "\\n")
        if sys.argv[1] == "pmon":
            sys.stdout.write(open(%r).read())
        elif sys.argv[1] != "nvlink":
            sys.stdout.write(%r)
            sys.exit(%d)
        """ % (str(node.folder / "calls"), str(node.folder / "pmon"), text, status))


@pytest.fixture
def amd(node):
    """A host with an AMD device, and a process that is always there."""
    support.amd_device(node.root, AMD, "mi300x")
    process(node.root, 1, "0::/init.scope\n", 0, "systemd", 0)
    return node


def collect(node, *more):
    return node.collect("--vendors=none", "--processes", *more)


def later(node, seconds=61):
    """Let time pass since processes were read."""
    state = json.loads(node.state.read_text())
    state["processes"]["at"] -= seconds
    node.state.write_text(json.dumps(state))


def found(metrics, family="accelerator_process_memory_bytes"):
    """{(index, job or unit): value}."""
    return {(dict(labels).get("index"), dict(labels).get("job_id") or dict(labels).get("unit")): value for labels, value in metrics.find(family).items()}


def problems(metrics):
    return {(dict(labels)["vendor"], dict(labels)["reason"]) for labels in metrics.find("accelmon_collector_process_problem")}


def test_nothing_is_read_unless_somebody_asks_for_it(nvidia):
    text = nvidia.collect("--vendors=none").text
    assert "process" not in text and nvidia.calls() == ["nvlink -s"]
    assert found(collect(nvidia)) and not found(nvidia.collect("--vendors=none"))


def test_memory_is_summed_by_job_and_unit(nvidia):
    process(nvidia.root, 10309, SLURM2 % "4711")
    process(nvidia.root, 10310, SLURM2 % "4711")
    process(nvidia.root, 10400, SLURM1 % "12")
    process(nvidia.root, 10500, "0::/system.slice/docker-%s.scope\n" % CONTAINER)
    process(nvidia.root, 10600, "0::/user.slice/user-1000.slice/user@1000.service/app.slice/%s.service\n" % SECRET)
    process(nvidia.root, 10601, "0::/user.slice/user-1000.slice/session-3.scope\n")
    metrics = collect(nvidia)
    mib = 1 << 20
    assert found(metrics) == {("0", "4711"): 28746 * mib, ("1", "12"): 1024 * mib, ("1", "docker-0123456789ab.scope"): 2048 * mib,
                              ("3", "other"): 77 * mib, ("4", "other"): 300 * mib}
    assert found(metrics, "accelerator_processes") == {
        ("0", "4711"): 2, ("1", "12"): 1, ("1", "docker-0123456789ab.scope"): 1, ("2", "user.slice"): 2, ("3", "other"): 1, ("4", "other"): 1}
    assert metrics.one("accelerator_processes", job_id="4711", uuid=UUID % 0, vendor="nvidia", index="0") == 2
    assert problems(metrics) == set()


def monitor(node):
    """Have nvidia-smi say what engines processes use."""
    (node.folder / "pmon").write_text(support.fixture("processes/pmon.txt")[1])


def test_the_share_of_an_nvidia_device_is_that_of_the_engine_that_is_kept_busiest(nvidia):
    monitor(nvidia)
    for pid, job in ((10309, "4711"), (10310, "4711"), (10400, "12"), (10500, "13"), (10600, "14"), (10601, "15"), (10700, "16")):
        process(nvidia.root, pid, SLURM2 % job)
    assert found(collect(nvidia), "accelerator_process_engine_ratio") == {("0", "4711"): 0.85, ("1", "12"): 0.8, ("2", "14"): 0.5}
    assert nvidia.calls().count("pmon -c 1 -s u") == 1


def test_memory_is_known_where_the_tool_does_not_tell_of_engines(nvidia):
    process(nvidia.root, 10400, SLURM1 % "12")
    metrics = collect(nvidia)
    assert found(metrics)["1", "12"] == 1024 << 20 and not found(metrics, "accelerator_process_engine_ratio") and problems(metrics) == set()


def test_engines_are_not_asked_for_without_processes(nvidia):
    answer(nvidia, "")
    collect(nvidia)
    assert "pmon -c 1 -s u" not in nvidia.calls()


HEADER = "# gpu pid type sm mem enc dec command\n# Idx # C/G % % % % name\n"


@pytest.mark.parametrize("text, expected", [
    (HEADER + "0 7 C 30 1 - - a b\n", {("0", 7): {"sm": 0.3}}),
    (HEADER.replace("sm", "fb").replace("enc", "sm") + "0 7 C 30 1 20 - a\n", {("0", 7): {"sm": 0.2}}),
    (HEADER + "0 7 C 250 1 - 5 a\n", {("0", 7): {"sm": 1.0, "dec": 0.05}}),
    # What a name with a line break makes of itself.
    (HEADER + "0 8 C 3 1 - - x\n# pid gpu sm sm\n0 7 C 99 1 - - y\n0 7 C 1 1 - - z\n", {("0", 8): {"sm": 0.03}}),
    ("0 7 C 30 1 - - a\n", {}), (HEADER + "0 - - - - - - -\n0 7 C - - - - a\n0 -7 C 5 - - - a\n0 7\n", {}),
    ("Not supported on the device(s)\n", {}), ("", {})])
def test_what_the_monitor_says(program, text, expected):
    assert program.processes.monitored(text) == expected


def test_neither_names_nor_numbers_of_processes_nor_users_are_published(nvidia):
    for pid in (10309, 10310, 10400, 10500, 10600, 10601, 10700):
        process(nvidia.root, pid, "0::/user.slice/user-1000.slice/user@1000.service/app.slice/%s.service\n" % SECRET)
    monitor(nvidia)
    text = collect(nvidia).text
    assert "secret" not in text and "1000" not in text.replace(UUID[4:23], "") and not any(str(pid) in text for pid in (10309, 10400, 10700))
    assert "secret" not in nvidia.state.read_text()


@pytest.mark.parametrize("cgroup, owner", [
    (SLURM2 % "7", ("job_id", "7")), (SLURM1 % "7", ("job_id", "7")), ("0::/system.slice/gpu7_slurmstepd.scope/job_7/step_0\n", ("job_id", "7")),
    ("9:devices:/slurm_gpu7/uid_5/job_7\n", ("job_id", "7")),
    ("0::/system.slice/slurmstepd.scope/job_s8FXKTA79XAR00/step_0\n", ("unit", "slurmstepd.scope")),
    ("0::/user.slice/user-1000.slice/user@1000.service/system.slice/slurmstepd.scope/job_7\n", ("unit", "user.slice")),
    ("0::/system.slice/ollama.service\n", ("unit", "ollama.service")),
    ("4:cpu:/\n1:name=systemd:/system.slice/ollama.service\n0::/\n", ("unit", "ollama.service")),
    ("0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-%s.scope\n" % CONTAINER,
     ("unit", "cri-containerd-0123456789ab.scope")),
    ("0::/kubepods/besteffort/pod1/%s\n" % CONTAINER, ("unit", "kubepods-0123456789ab")), ("0::/docker/%s\n" % CONTAINER, ("unit", "docker-0123456789ab")),
    ("0::/machine.slice/machine-qemu\\x2d1.scope/libvirt\n", ("unit", "machine-qemu\\x2d1.scope")),
    ("0::/\n", None), ("", None), ("0::/some where/else\n", None), ("rubbish\n", None), ("0::/system.slice/a b.service\n", None)])
def test_whose_a_process_is(program, node, cgroup, owner):
    process(node.root, 50, cgroup)
    assert program.processes.owner(str(node.root), 50) == owner


@pytest.mark.parametrize("separator", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_a_name_that_a_user_chose_is_no_line_of_its_own(program, node, separator):
    """Users make control groups of any name in their session, and call their processes anything."""
    process(node.root, 50, f"0::/user.slice/user-1000.slice/user@1000.service/x{separator}" + SLURM2 % "7")
    assert program.processes.owner(str(node.root), 50) == ("unit", "user.slice")
    process(node.root, 30, name="slurmstepd", uid=0, words="slurmstepd: [4711.batch]")
    process(node.root, 51, "0::/\n", parent=1, name=f"x{separator}PPid:\t30{separator}Pid:\t7")
    assert program.processes.owner(str(node.root), 51) is None


def test_a_job_is_known_by_its_stepd_where_control_groups_do_not_tell(program, node):
    process(node.root, 30, name="slurmstepd", uid=0, words="slurmstepd: [4711.batch]")
    process(node.root, 31, parent=30)
    process(node.root, 32, parent=31)
    assert program.processes.owner(str(node.root), 32) == ("job_id", "4711")
    process(node.root, 40, name="slurmstepd", uid=1000, words="slurmstepd: [1.batch]")
    process(node.root, 41, parent=40)
    assert program.processes.owner(str(node.root), 41) == ("unit", "x.service"), "anybody may call a process so"
    process(node.root, 60, parent=61)
    process(node.root, 61, parent=60)
    assert program.processes.owner(str(node.root), 60) == ("unit", "x.service")


def test_a_device_has_twenty_rows_and_one_for_the_others(nvidia):
    rows = ["%s, %d, %d\n" % (UUID % 0, 20000 + number, 100 + number) for number in range(30)]
    for number in range(30):
        process(nvidia.root, 20000 + number, "0::/system.slice/u%d.service\n" % number)
    answer(nvidia, "".join(rows))
    memory = found(collect(nvidia))
    assert len(memory) == 21 and memory["0", "u29.service"] == 129 << 20 and ("0", "u9.service") not in memory
    assert memory["0", "other"] == sum(range(100, 110)) << 20
    assert found(collect(nvidia), "accelerator_processes")["0", "other"] == 10


def test_processes_are_read_once_a_minute_and_are_gone_when_they_are(nvidia):
    collect(nvidia)
    answer(nvidia, "")
    assert found(collect(nvidia)) and sum("compute-apps" in call for call in nvidia.calls()) == 1
    later(nvidia)
    metrics = collect(nvidia)
    assert "accelerator_process" not in metrics.text and problems(metrics) == set()


def test_a_boot_forgets_them(nvidia):
    collect(nvidia)
    answer(nvidia, "")
    support.put(nvidia.root, "proc/sys/kernel/random/boot_id", "boot-2\n")
    assert not found(collect(nvidia))


def test_a_tool_that_fails_leaves_none_and_says_so(nvidia):
    collect(nvidia)
    later(nvidia)
    answer(nvidia, "NVIDIA-SMI has failed\n", 9)
    metrics = collect(nvidia)
    assert not found(metrics) and problems(metrics) == {("nvidia", "tool_failed")}


def test_a_tool_that_is_not_there_is_said_and_sleeping_devices_are_not_woken(nvidia):
    os.remove(str(nvidia.folder / "nvidia-smi"))
    assert problems(collect(nvidia)) == {("nvidia", "tool_missing")}
    later(nvidia)
    answer(nvidia, support.fixture("processes/compute_apps_8.csv")[1])
    support.put(nvidia.root, "sys/bus/pci/devices/0000:1b:00.0/power/runtime_status", "suspended\n")
    metrics = collect(nvidia)
    assert nvidia.calls() == [] and not found(metrics) and not problems(metrics)


@pytest.mark.parametrize("text", [
    "", "No running processes found\n", "GPU, -, -\n", "%s, 7\n" % (UUID % 0), "a, b, c, d\n", "\0" * 50, "%s, 7, 1, 2\n" % (UUID % 0)])
def test_what_is_no_row_of_the_tool_is_none(program, text):
    assert program.processes.compute_apps(text) == []


@pytest.mark.parametrize("name, address, client, size, engines", [
    ("amdgpu", AMD, "217", 2068 << 10, {"gfx": [107322799, 0, 1], "compute": [50000000, 0, 1]}),
    ("amdgpu_newer", AMD, "218", 8 << 20, {"compute": [0, 0, 1]}),
    ("xe", XE, "3", 20 << 20, {"rcs": [28257900, 7655183225, 1], "ccs": [1000, 7655183225, 4]}),
    ("i915", "0000:04:00.0", "7", 64 << 20, {"render": [9288864723, 0, 1], "video": [1, 0, 2]})])
def test_what_the_kernel_says_of_an_open_file(program, name, address, client, size, engines):
    assert program.processes.fdinfo(fdinfo(name)) == {"address": address, "client": client, "size": size, "engines": engines}


@pytest.mark.parametrize("text", [
    "", "pos:\t0\n", "drm-driver:\tvmwgfx\ndrm-client-id:\t1\n", "drm-driver:\tamdgpu\n", "drm-driver:\tamdgpu\ndrm-client-id:\tx\n"])
def test_what_is_no_open_device(program, text):
    assert program.processes.fdinfo(text) is None


def test_a_client_counts_once_whoever_has_inherited_it(amd):
    for pid in (300, 301):
        process(amd.root, pid, SLURM2 % "4711")
        opened(amd.root, pid, fdinfo("amdgpu"))
        opened(amd.root, pid, fdinfo("amdgpu"), 6)
    opened(amd.root, 301, fdinfo("amdgpu", client_id="9", memory_vram="1 MiB"), 7)
    opened(amd.root, 301, "pos:\t0\nflags:\t02\nmnt_id:\t24\nino:\t3\n", 8)
    process(amd.root, 400)
    opened(amd.root, 400, fdinfo("amdgpu", client_id="11", memory_vram="0", engine_gfx="0 ns", engine_compute="0 ns"))
    metrics = collect(amd)
    assert found(metrics) == {("0", "4711"): (2068 << 10) + (1 << 20)} and found(metrics, "accelerator_processes") == {("0", "4711"): 2}
    assert not found(metrics, "accelerator_process_engine_ratio"), "a share takes two readings"


def test_the_share_is_that_of_the_engine_that_is_kept_busiest(amd):
    process(amd.root, 300, SLURM2 % "1")
    opened(amd.root, 300, fdinfo("amdgpu"))
    process(amd.root, 301, SLURM2 % "1")
    opened(amd.root, 301, fdinfo("amdgpu", client_id="2"))
    collect(amd)
    later(amd, 1000)
    support.put(amd.root, "proc/300/fdinfo/5", fdinfo("amdgpu", engine_compute="%d ns" % (50000000 + 300 * 10 ** 9)))
    more = {"engine_compute": "%d ns" % (50000000 + 200 * 10 ** 9), "engine_gfx": "%d ns" % (107322799 + 100 * 10 ** 9)}
    support.put(amd.root, "proc/301/fdinfo/5", fdinfo("amdgpu", client_id="2", **more))
    assert found(collect(amd), "accelerator_process_engine_ratio")["0", "1"] == pytest.approx(0.5, abs=0.02)


def test_cycles_are_a_share_of_those_that_there_were(program):
    one = program.processes.fdinfo(fdinfo("xe"))
    before = {"rcs": [28257900 - 50, 7655183225 - 100], "ccs": [600, 7655183225 - 1000]}
    assert program.processes.shares(one, before, 60) == {"rcs": 0.5, "ccs": 0.1}
    assert program.processes.shares(one, {"rcs": [28257901, 0], "ccs": [0, 7655183225]}, 60) == {}, "a counter that was reset tells nothing"
    assert program.processes.shares(one, None, 60) is None


def test_an_intel_device_goes_by_its_address(node):
    support.amd_device(node.root, XE, "mi300x", vendor="0x8086", device="0x0bd5", driver="xe", **{"class": "0x038000"})
    process(node.root, 1, "0::/init.scope\n", 0, "systemd", 0)
    process(node.root, 300)
    opened(node.root, 300, fdinfo("xe"))
    assert collect(node).one("accelerator_process_memory_bytes", index="0", uuid="pci-" + XE, vendor="intel_gpu", unit="x.service") == 20 << 20


def test_without_the_privilege_it_says_so(amd, program, monkeypatch):
    """os.listdir is stubbed: root may look at everything."""
    listdir = os.listdir

    def refusing(path):
        if str(path).endswith("/fdinfo"):
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(program.processes.os, "listdir", refusing)
    process(amd.root, 300)
    opened(amd.root, 300, fdinfo("amdgpu"))
    metrics = collect(amd)
    assert problems(metrics) == {("amd", "not_permitted")} and not found(metrics)


def test_a_driver_that_hangs_is_left_behind(amd, program, monkeypatch):
    """The reading is stubbed: it takes longer than its time."""
    monkeypatch.setattr(program.processes, "clients", lambda root: program.time.sleep(60))
    monkeypatch.setattr(program.processes, "SECONDS", 0.2)
    assert problems(collect(amd)) == {("amd", "timeout")}


def test_the_privilege_is_given_up_before_any_tool_starts(nvidia, program, monkeypatch):
    """Giving it up is stubbed: the test has none."""
    order = []
    monkeypatch.setattr(program.processes, "give_up_capabilities", lambda: order.append("given up"))
    monkeypatch.setattr(program, "tool", lambda argv: order.append("tool") or (lambda: None))
    collect(nvidia)
    assert order[0] == "given up" and "tool" in order


def test_a_privilege_that_cannot_be_given_up_ends_the_run(nvidia, program, monkeypatch, capsys):
    """The same; it fails."""
    def fail():
        raise OSError(1, "the capabilities could not be given up")

    monkeypatch.setattr(program.processes, "give_up_capabilities", fail)
    assert program.main(nvidia.arguments("--processes")) == 1 and nvidia.calls() == []
    assert "could not be given up" in capsys.readouterr().err


@pytest.mark.parametrize("damage", [
    {"rows": [[[["pid", "1"]], 1, 1, None]]}, {"rows": 1}, {"clients": {"a": {"b": ["x", 1]}}}, {"at": None}, {"problems": [1]}])
def test_a_damaged_state_starts_again(nvidia, program, damage):
    collect(nvidia)
    state = json.loads(nvidia.state.read_text())
    state["processes"].update(damage)
    nvidia.state.write_text(json.dumps(state))
    assert program.load_state(str(nvidia.state))["processes"] == program.processes.fresh()


HOSTS = {"amd": {"accelmon_processes": "yes"}, "nvidia": {"accelmon_processes": True}, "intel_gpu": {"accelmon_processes": "no"},
         "none": {"accelmon_processes": True}}
PLAY = """
- hosts: all
  gather_facts: false
  vars_files: [defaults.yml, ROLES/accelmon/vars/main.yml, ROLES/textfile_collector/defaults/main.yml,
    ROLES/textfile_collector/vars/main.yml, ROLES/service/vars/main.yml]
  tasks:
    - ansible.builtin.set_fact:
        accelerators: {summary: "{{ {inventory_hostname: {'count': 1}} }}"}
        cacheable: true
    - ansible.builtin.copy:
        content: "{{ [unit.CapabilityBoundingSet, unit.AmbientCapabilities, unit.ProtectProc, '--processes' in unit.ExecStart] | to_json }}"
        dest: "{{ playbook_dir }}/{{ inventory_hostname }}"
        mode: "0600"
      vars:
        unit: "{{ textfile_collector_unit.Service }}"
"""


def test_the_unit_has_the_privilege_only_where_it_is_asked_for_and_needed(tmp_path):
    """The facts are made up; the role's variables and filters are real, in ansible-playbook."""
    (tmp_path / "play.yml").write_text(PLAY.replace("ROLES", os.path.join(support.REPOSITORY, "roles")))
    with open(os.path.join(support.REPOSITORY, "roles/accelmon/defaults/main.yml"), encoding="utf-8") as stream:
        (tmp_path / "defaults.yml").write_text(stream.read().replace("accelmon_processes: false\n", ""))  # it would win over that of the host
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": HOSTS, "vars": {
        "ansible_connection": "local", "ansible_python_interpreter": sys.executable}}}))
    run = subprocess.run([sys.executable, "-m", "ansible", "playbook", "-i", str(tmp_path / "hosts.json"), str(tmp_path / "play.yml")],
                         env=dict(os.environ, ANSIBLE_INVENTORY_ENABLED="yaml"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
                         check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert {host: json.loads((tmp_path / host).read_text()) for host in HOSTS} == {
        "amd": ["CAP_SYS_PTRACE", "CAP_SYS_PTRACE", "default", True], "nvidia": ["", "", "default", True],
        "intel_gpu": ["", "", "invisible", False], "none": ["", "", "default", True]}
