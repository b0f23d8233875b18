# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Jobs and their accelerators, from owner files. Stubbed: nvidia-smi by a program that replays a fixture, sysfs and /proc by a folder."""

import json
import os
import shutil
import socket
import subprocess
import time

import collector_support as support
import pytest

ADDRESSES = ["0000:1b:00.0", "0000:43:00.0", "0000:52:00.0"]
UUIDS = ["GPU-%d0000000-0000-4000-8000-000000000000" % number for number in range(3)]
# The driver numbers its device files in another order than nvidia-smi its devices.
MINORS = [2, 0, 1]
JOBS = "run/accelmon/jobs"


def write(node, job, *lines, mode=0o644):
    support.put(node.root, "%s/%s" % (JOBS, job), "".join(line + "\n" for line in lines))
    os.chmod(str(node.root / JOBS / job), mode)


def positions(node, *paths, unverified=0):
    """What the program of slurm_hooks found: the device files of each position in the node's list of GPUs."""
    support.put(node.root, "run/accelmon/slurm.json", json.dumps({"positions": [path.split(",") for path in paths], "unverified": unverified}))


@pytest.fixture
def gpus(node):
    """A host with three NVIDIA devices that another exporter reads."""
    for address, uuid, minor in zip(ADDRESSES, UUIDS, MINORS):
        for name, text in (("vendor", "0x10de"), ("device", "0x2330"), ("class", "0x030200")):
            support.put(node.root, "sys/bus/pci/devices/%s/%s" % (address, name), text + "\n")
        os.symlink("../../../../bus/pci/drivers/nvidia", str(node.root / "sys/bus/pci/devices" / address / "driver"))
        support.put(node.root, "proc/driver/nvidia/gpus/%s/information" % address,
                    "Model: \t\t NVIDIA H100\nGPU UUID: \t %s\nDevice Minor: \t %d\n" % (uuid, minor))
    (node.root / JOBS).mkdir(parents=True)
    os.chmod(str(node.root / JOBS), 0o755)
    return node


def collect(node, *more, **options):
    return node.collect("--vendors=none", *more, **options)


def jobs(metrics):
    """Labels of accelerator_job_info, in the order of job and device."""
    return sorted((dict(labels) for labels in metrics.find("accelerator_job_info")), key=lambda item: (item["job_id"], item.get("index", "")))


def owned(metrics):
    """{job: indexes of its devices}."""
    found = {}
    for labels in jobs(metrics):
        found.setdefault(labels["job_id"], []).append(int(labels["index"]))
    return found


def files(metrics):
    """{result: count} of the owner files, those that are not zero."""
    return {dict(labels)["result"]: value for labels, value in metrics.find("accelmon_collector_job_files").items() if value}


def problems(metrics):
    return {dict(labels)["file"]: dict(labels)["problem"] for labels in metrics.find("accelmon_collector_job_file_problem")}


def test_a_host_without_owner_files_has_no_series_of_jobs(gpus):
    assert "job" not in collect(gpus).text
    shutil.rmtree(str(gpus.root / JOBS))
    assert "job" not in collect(gpus).text


def test_a_job_has_its_devices_with_user_account_and_partition(gpus):
    write(gpus, "4711", "# by a hook", "devices=%s" % UUIDS[1], "user=ada", "account=physics", "partition=gpu", "later=ignored")
    metrics = collect(gpus)
    assert jobs(metrics) == [{"index": "1", "uuid": UUIDS[1], "job_id": "4711", "user": "ada", "account": "physics", "partition": "gpu"}]
    assert files(metrics) == {"read": 1} and problems(metrics) == {}


def test_positions_of_slurm_go_through_the_list_of_the_node(gpus):
    """It lists MIG slices of the third device first, and then the others, in neither order of numbers."""
    positions(gpus, "/dev/nvidia1,/dev/nvidia-caps/nvidia-cap21", "/dev/nvidia1,/dev/nvidia-caps/nvidia-cap30", "/dev/nvidia2", "/dev/nvidia0")
    write(gpus, "1", "slurm_gpus=0,1")
    write(gpus, "2", "slurm_gpus=2", "visible=2")
    write(gpus, "3", "slurm_gpus=3")
    assert owned(collect(gpus)) == {"1": [2], "2": [0], "3": [1]}


def test_a_position_is_never_guessed(gpus):
    write(gpus, "1", "slurm_gpus=0")
    metrics = collect(gpus)
    assert jobs(metrics) == [] and files(metrics) == {"read": 1, "unresolved": 1} and problems(metrics) == {"1": "unresolved"}
    positions(gpus, "/dev/nvidia0")
    write(gpus, "2", "slurm_gpus=7")
    assert owned(collect(gpus)) == {"1": [1]}


def test_uuids_that_slurm_tells_are_the_identity(gpus):
    positions(gpus, "/dev/nvidia0", "/dev/nvidia1")
    write(gpus, "1", "slurm_gpus=0", "visible=%s" % UUIDS[2])
    write(gpus, "2", "slurm_gpus=%s" % UUIDS[0])
    assert owned(collect(gpus)) == {"1": [2], "2": [0]}


def test_slices_belong_to_their_device_where_that_is_known(gpus):
    positions(gpus, "/dev/nvidia2,/dev/nvidia-caps/nvidia-cap21")
    write(gpus, "1", "slurm_gpus=0", "visible=MIG-10000000-0000-4000-8000-000000000000")
    write(gpus, "2", "devices=MIG-%s/7/0" % UUIDS[1])
    write(gpus, "3", "devices=MIG-20000000-0000-4000-8000-000000000000")
    assert [(one["job_id"], one.get("index"), one["uuid"]) for one in jobs(collect(gpus))] == [
        ("1", "0", UUIDS[0]), ("2", "1", UUIDS[1]), ("3", None, "MIG-20000000-0000-4000-8000-000000000000")]


def test_a_shared_device_keeps_all_its_owners(gpus):
    for job in ("1", "2", "3"):
        write(gpus, job, "devices=0")
    assert owned(collect(gpus)) == {"1": [0], "2": [0], "3": [0]}
    (gpus.root / JOBS / "2").unlink()
    assert owned(collect(gpus)) == {"1": [0], "3": [0]}


@pytest.mark.parametrize("token", ["1", "0000:43:00.0", "00000000:43:00.0", "/dev/nvidia0", UUIDS[1]])
def test_ways_to_name_a_device(gpus, token):
    write(gpus, "a.b-c[7]", "devices=%s" % token)
    assert owned(collect(gpus)) == {"a.b-c[7]": [1]}


@pytest.mark.parametrize("token", ["9", "0000:99:00.0", "/dev/nvidia9", "/dev/sda", "../../etc/passwd", "slurm:x", "GPU", "-1", "1 2"])
def test_a_device_that_is_not_there_is_counted(gpus, token):
    write(gpus, "1", "devices=%s,0" % token)
    metrics = collect(gpus)
    assert owned(metrics) == {"1": [0]} and problems(metrics) == {"1": "unresolved"}


def test_a_device_that_fell_off_the_bus_keeps_its_job_until_the_next_boot(gpus):
    write(gpus, "1", "devices=/dev/nvidia0")
    before = collect(gpus)
    shutil.rmtree(str(gpus.root / "sys/bus/pci/devices" / ADDRESSES[1]))
    shutil.rmtree(str(gpus.root / "proc/driver/nvidia/gpus" / ADDRESSES[1]))
    assert jobs(collect(gpus)) == jobs(before) != []
    support.put(gpus.root, "proc/sys/kernel/random/boot_id", "boot-2\n")
    assert jobs(collect(gpus)) == []


def test_amd_devices_go_by_render_node_in_either_numbering(node):
    for number, address in enumerate(("0000:05:00.0", "0000:26:00.0")):
        support.amd_device(node.root, address, "mi300x", unique_id="%016x" % (number + 10))
        folder = node.root / ("sys/class/drm/renderD%d" % (128 + number))
        folder.mkdir(parents=True)
        (folder / "device").symlink_to("../../../bus/pci/devices/" + address)
    (node.root / JOBS).mkdir(parents=True)
    positions(node, "/dev/dri/renderD128", "/dev/dri/renderD129")
    write(node, "1", "slurm_gpus=1")
    write(node, "2", "slurm_gpus=129")
    write(node, "3", "devices=/dev/dri/renderD128")
    for vendors in ("auto", "none"):
        assert [(one["job_id"], one["index"], one["uuid"]) for one in jobs(node.collect("--vendors=" + vendors))] == [
            ("1", "1", "%016x" % 11), ("2", "1", "%016x" % 11), ("3", "0", "%016x" % 10)]


# --- files that nobody should trust ------------------------------------------------------------------------------------

def test_what_is_no_plain_file_of_the_directorys_owner_is_refused(gpus):
    folder = gpus.root / JOBS
    secret = gpus.folder / "secret"
    secret.write_text("devices=0\nuser=secret\n")
    (folder / "1").symlink_to(secret)
    os.link(str(secret), str(folder / "2"))
    os.mkfifo(str(folder / "3"))
    (folder / "4").mkdir()
    write(gpus, "5", "devices=0", mode=0o666)
    listener = socket.socket(socket.AF_UNIX)
    here = os.open(".", os.O_RDONLY)
    os.chdir(str(folder))  # a path of a socket is short
    try:
        listener.bind("6")
    finally:
        os.fchdir(here)
        os.close(here)
    write(gpus, "7", "devices=0")
    metrics = collect(gpus)
    listener.close()
    assert owned(metrics) == {"7": [0]} and "secret" not in metrics.text
    assert problems(metrics) == {name: "refused" for name in "123456"} and files(metrics) == {"read": 1, "refused": 6}


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_refused(gpus):
    write(gpus, "1", "devices=0")
    os.chown(str(gpus.root / JOBS / "1"), 65534, 65534)
    assert files(collect(gpus)) == {"refused": 1}


def test_a_directory_that_others_can_write_to_is_not_read(gpus):
    write(gpus, "1", "devices=0")
    os.chmod(str(gpus.root / JOBS), 0o777)
    metrics = collect(gpus)
    assert jobs(metrics) == [] and files(metrics) == {"refused": 1}
    os.chmod(str(gpus.root / JOBS), 0o755)
    os.rename(str(gpus.root / JOBS), str(gpus.root / "elsewhere"))
    os.symlink("../../elsewhere", str(gpus.root / JOBS))
    assert jobs(collect(gpus)) == []


@pytest.mark.parametrize("text", [b"", b"nonsense\n", b"user=ada\n", b"\x00\xff\xfe", b"=\n", b"devices=,,\n"])
def test_a_damaged_file_is_counted_and_hides_no_other(gpus, text):
    (gpus.root / JOBS / "1").write_bytes(text)
    write(gpus, "2", "devices=0")
    metrics = collect(gpus)
    assert owned(metrics) == {"2": [0]} and problems(metrics) == {"1": "damaged"}


def test_what_is_sound_of_a_damaged_file_counts(gpus):
    (gpus.root / JOBS / "1").write_bytes(b"devices=0\nuser=" + b"a" * 65 + b"\naccount=\xff\npartition=a\x1bb\n???\n")
    metrics = collect(gpus)
    assert jobs(metrics) == [{"index": "0", "uuid": UUIDS[0], "job_id": "1"}] and problems(metrics) == {"1": "damaged"}


@pytest.mark.parametrize("separator", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_nothing_but_the_end_of_a_line_begins_another(gpus, separator):
    """What a user may choose, such as an account, must not say whose the job is."""
    (gpus.root / JOBS / "1").write_bytes(f"devices=0\nuser=ada\naccount=x{separator}user=bob{separator}devices=1\n".encode("utf-8"))
    metrics = collect(gpus)
    assert jobs(metrics) == [{"index": "0", "uuid": UUIDS[0], "job_id": "1", "user": "ada"}] and problems(metrics) == {"1": "damaged"}


def test_limits_of_size_number_and_devices(gpus):
    write(gpus, "0", "devices=0", "#" * 9000)
    for number in range(1, 600):
        write(gpus, "%04d" % number, "devices=" + ",".join(["0"] * 200 if number == 1 else ["1"]))
    metrics = collect(gpus)
    assert len(jobs(metrics)) == 511 and files(metrics)["read"] == 511
    assert len(problems(metrics)) == 10 and files(metrics)["damaged"] == 90  # too large, too many devices, and what is beyond 512


@pytest.mark.parametrize("name", ["..data", ".4711", "a b", "a\nb", "\u00e4", "x" * 65, "-1", "a\\"])
def test_names_that_are_no_job(gpus, name):
    (gpus.root / JOBS / name).write_text("devices=0\n")
    metrics = collect(gpus)
    assert jobs(metrics) == [] and files(metrics) == ({} if name.startswith(".") else {"damaged": 1})


# --- users' names ------------------------------------------------------------------------------------------------------

def test_users_can_be_hashed_or_left_out(gpus):
    key = gpus.folder / "key"
    key.write_text("0123456789abcdef0123456789abcdef\n")
    write(gpus, "1", "devices=0", "user=ada")
    write(gpus, "2", "devices=1", "user=ada")
    write(gpus, "3", "devices=1", "user=bob")
    hashed = collect(gpus, "--job-user=hash", "--job-user-key=%s" % key)
    first, second, other = (one["user"] for one in jobs(hashed))
    assert first == second != other and len(first) == 16 and "ada" not in hashed.text
    key.write_text("another key of the same length!!\n")
    assert jobs(collect(gpus, "--job-user=hash", "--job-user-key=%s" % key))[0]["user"] != first
    for options in (["--job-user=none"], ["--job-user=hash"], ["--job-user=hash", "--job-user-key=%s" % (gpus.folder / "missing")]):
        metrics = collect(gpus, *options)
        assert ["user" in one for one in jobs(metrics)] == [False] * 3
        for path in (gpus.output, gpus.state):
            assert "ada" not in path.read_text() and "bob" not in path.read_text()


# --- what else may be wrong --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("text", ["", "{", "[]", '{"positions": 1, "unverified": 0}', '{"positions": [["/dev/nvidia0"]]}', "[" * 100000])
def test_a_damaged_list_of_positions_resolves_nothing(gpus, text):
    support.put(gpus.root, "run/accelmon/slurm.json", text)
    write(gpus, "1", "slurm_gpus=0")
    write(gpus, "2", "devices=0")
    assert owned(collect(gpus)) == {"2": [0]}


def test_jobs_that_slurm_could_not_be_asked_about_are_counted(gpus):
    positions(gpus, "/dev/nvidia0", unverified=2)
    write(gpus, "1", "slurm_gpus=0")
    assert files(collect(gpus)) == {"read": 1, "unverified": 2}


@pytest.mark.parametrize("age", [300, 900, None])
def test_jobs_of_slurm_are_unverified_while_nobody_looks_after_their_files(gpus, age):
    """None: nobody has since the node was started."""
    write(gpus, "1", "scheduler=slurm", "slurm_gpus=0")
    write(gpus, "2", "devices=1")
    if age:
        positions(gpus, "/dev/nvidia0")
        past = time.time() - age
        os.utime(str(gpus.root / "run/accelmon/slurm.json"), (past, past))
    metrics = collect(gpus)
    assert files(metrics).get("unverified", 0) == (0 if age == 300 else 1)
    # What it has found out still holds.
    assert owned(metrics) == ({"1": [1], "2": [1]} if age else {"2": [1]})


@pytest.mark.parametrize("kept", [{"boot": "boot-1", "devices": {"x": 1}}, {"boot": "boot-1", "devices": []}, [], {"devices": {}}])
def test_a_damaged_memory_of_devices_starts_again(gpus, kept):
    write(gpus, "1", "devices=/dev/nvidia1")
    collect(gpus)
    state = json.loads(gpus.state.read_text())
    gpus.state.write_text(json.dumps(dict(state, jobs=kept)))
    assert owned(collect(gpus)) == {"1": [2]}


# --- the documentation -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("example, arguments, variables, owner", [
    ("script", [], {}, {"job_id": "train-1", "user": "ada", "partition": "lab"}),
    ("pbs", ["12[3].server", "ada"], {"CUDA_VISIBLE_DEVICES": "%s,%s" % tuple(UUIDS[:2]), "PBS_QUEUE": "gpu"},
     {"job_id": "12[3].server", "user": "ada", "partition": "gpu"}),
    ("lsf", [], {"LSB_JOBID": "77", "LSB_JOBINDEX": "4", "CUDA_VISIBLE_DEVICES": "0,1", "LSB_JOB_USER": "ada", "LSB_PROJECT_NAME": "physics",
                 "LSB_QUEUE": "gpu"},
     {"job_id": "77.4", "user": "ada", "account": "physics", "partition": "gpu"}),
])
def test_examples_for_other_schedulers_do_what_they_say(gpus, example, arguments, variables, owner):
    with open(os.path.join(support.REPOSITORY, "docs/jobs.md"), encoding="utf-8") as stream:
        text = stream.read().partition("<!-- example: %s -->\n```sh\n" % example)[2].partition("```\n")[0]
    assert text
    text = text.replace("/run/accelmon/jobs", str(gpus.root / JOBS))
    subprocess.run(["sh", "-euc", "umask 022\n" + text, "hook"] + arguments, env=dict(variables, PATH=os.environ["PATH"]), check=True, timeout=20)
    metrics = collect(gpus)
    assert [{name: one[name] for name in one if name not in ("index", "uuid")} for one in jobs(metrics)] == [owner, owner]
    assert owned(metrics) == {owner["job_id"]: [0, 1]} and files(metrics) == {"read": 1}
