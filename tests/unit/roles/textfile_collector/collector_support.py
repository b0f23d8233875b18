# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the collector's tests share: the program as a module, its fixtures, replayed tools, a sysfs, a strict parser."""

import importlib.util
import json
import os
import re
import sys
import textwrap

REPOSITORY = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../../.."))
PROGRAM = os.path.join(REPOSITORY, "roles/textfile_collector/files/accelmon_textfile_collector.py")
FIXTURES = os.path.join(REPOSITORY, "tests/fixtures")


def load_program():
    """The program as a module."""
    spec = importlib.util.spec_from_file_location("accelmon_textfile_collector", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fixture(name):
    """(exit status, text) of a fixture without its header lines."""
    with open(os.path.join(FIXTURES, name), encoding="utf-8", newline="\n") as stream:
        lines = stream.read().split("\n")
    assert re.match(r"# (recorded|derived|guessed)", lines[0]), "%s has no header that says where it comes from" % name
    status = 0
    if len(lines) > 1 and lines[1].startswith("# exit: "):
        status = int(lines.pop(1)[8:])
    return status, "\n".join(lines[1:])


REPLAY = '''\
import os, sys
status, text = %(status)r, %(text)r
with open(%(calls)r, "a") as stream:
    stream.write(" ".join(sys.argv[1:]) + "\\n")
fields = sys.argv[1].split("=", 1)[1].split(",")
head, _, body = text.partition("\\n")
known = head.split(", ")
only = [word[5:].split(",") for word in sys.argv if word.startswith("--id=")]
if "uuid" in known:
    for field in fields:
        if field not in known:
            sys.stdout.write('Field "%%s" is not a valid field to query.\\n\\n' %% field)
            sys.exit(2)
    lines = body.split("\\n")
    for number, line in enumerate(lines):
        cells = line.split(", ", len(known) - 1)
        if len(cells) == len(known):
            cells = dict(zip(known, cells))
            if only and cells["pci.bus_id"][4:].lower() not in only[0]:
                lines[number] = None
                continue
            lines[number] = ", ".join(cells[field] for field in fields)
    text = "\\n".join(line for line in lines if line is not None)
sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
sys.stdout.flush()
sys.exit(status)
'''


def script(path, text, interpreter=sys.executable):
    """An executable script; returns its path."""
    with open(str(path), "w", encoding="utf-8") as stream:
        stream.write("#!%s\n%s" % (interpreter, textwrap.dedent(text)))
    os.chmod(str(path), 0o755)
    return str(path)


def replayed_nvidia_smi(folder, name=None, text=None, status=0):
    """A tool that answers --query-gpu from a fixture (or a text) as nvidia-smi does: by field, rejecting unknown ones.

    Each call's first argument is appended to `calls` beside it.
    """
    if name:
        status, text = fixture("nvidia_smi/" + name)
    return script(folder / "nvidia-smi", REPLAY % {"status": status, "text": text, "calls": str(folder / "calls")})


def replayed_amd_smi(folder, name="amd-smi", status=0, **answers):
    """A tool that prints a text for its first argument (for rocm-smi: for any), ends with a status, and keeps the calls as above."""
    return script(folder / name, """\
        import sys
        with open(%r, "a") as stream:
            stream.write(" ".join(sys.argv[1:]) + "\\n")
        answers = %r
        sys.stdout.write(answers.get(sys.argv[1], answers.get("default", "")))
        sys.exit(%d)
        """ % (str(folder / "calls"), answers, status))


def amd_device(root, address, name, **changes):
    """Build one function below root/sys from a fixture; a change of None removes a file, True makes it unreadable."""
    files = json.loads(fixture("amd_sysfs/%s.json" % name)[1])
    files.update(changes)
    folder = os.path.join(str(root), "sys/bus/pci/devices", address)
    os.makedirs(folder)
    driver = files.pop("driver", None)
    if driver:
        os.symlink("../../../../bus/pci/drivers/" + driver, os.path.join(folder, "driver"))
    for path, text in files.items():
        full = os.path.join(folder, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        if text is True:
            os.mkdir(full)  # reading a folder fails with EISDIR, one of the errors that are no answer
        elif text is not None:
            with open(full, "w", encoding="ascii") as stream:
                stream.write(text + "\n")


def put(root, path, text):
    """One more file below root."""
    full = os.path.join(str(root), path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w", encoding="utf-8", newline="") as stream:
        stream.write(text)


class Broken(Exception):
    """The text is no exposition that node_exporter would take."""


def parse(text):
    """A strict reading of the exposition format, written without a look at the program's own.

    Returns {(name, frozenset of label pairs): value}. Raises Broken for anything that is not exactly right.
    """
    series, types, helped, current = {}, {}, set(), None
    if text and not text.endswith("\n"):
        raise Broken("no newline at the end")
    for line in text.splitlines() if text.isascii() else text.split("\n")[:-1]:
        if line.startswith("# "):
            words = line.split(" ", 3)
            if len(words) != 4 or words[1] not in ("HELP", "TYPE"):
                raise Broken(line)
            if words[1] == "HELP":
                if words[2] in helped:
                    raise Broken("second HELP: " + line)
                helped.add(words[2])
                current = words[2]
            else:
                if words[2] in types or words[2] != current or words[3] not in ("gauge", "counter"):
                    raise Broken("TYPE out of place: " + line)
                if (words[3] == "counter") != words[2].endswith("_total"):
                    raise Broken("a counter ends in _total, and nothing else does: " + line)
                types[words[2]] = words[3]
            continue
        name, position = "", 0
        while position < len(line) and (line[position].isalnum() or line[position] == "_"):
            position += 1
        name = line[:position]
        if name != current or name not in types or not re.match("[a-z][a-z0-9_]*$", name):
            raise Broken("sample outside its family: " + line)
        labels, position = read_labels(line, position)
        if line[position:position + 1] != " ":
            raise Broken(line)
        value = line[position + 1:]
        if not re.match(r"-?[0-9]+(\.[0-9]+)?(e[-+][0-9]+)?$", value):
            raise Broken("value: " + line)
        if name.endswith("_total") and float(value) < 0:
            raise Broken("negative counter: " + line)
        key = name, frozenset(labels)
        if key in series:
            raise Broken("series twice: " + line)
        series[key] = float(value)
    return series


def read_labels(line, position):
    """The label pairs from the brace at position on, and the position after the closing one."""
    if line[position:position + 1] != "{":
        raise Broken(line)
    position += 1
    labels, names = [], set()
    while line[position:position + 1] != "}":
        match = re.compile(r'([a-z_][a-z0-9_]*)="').match(line, position)
        if not match or match.group(1) in names:
            raise Broken("label: " + line)
        names.add(match.group(1))
        position, value = match.end(), ""
        while line[position:position + 1] != '"':
            char = line[position:position + 1]
            if char == "\\":
                position += 1
                char = {"\\": "\\", '"': '"', "n": "\n"}.get(line[position:position + 1])
                if char is None:
                    raise Broken("escape: " + line)
            elif not char or not char.isprintable():
                raise Broken("character: " + line)
            value += char
            position += 1
        labels.append((match.group(1), value))
        position += 1
        if line[position:position + 1] == ",":
            position += 1
        elif line[position:position + 1] != "}":
            raise Broken(line)
    return labels, position + 1


class Metrics:
    """A parsed file, to ask."""

    def __init__(self, text):
        self.text = text
        self.series = parse(text)

    def find(self, name, **labels):
        """{frozenset of all labels: value} of the series that have these labels."""
        wanted = set(labels.items())
        return {key[1]: value for key, value in self.series.items() if key[0] == name and wanted <= key[1]}

    def one(self, name, **labels):
        """The value of the one such series; None if there is none."""
        found = list(self.find(name, **labels).values())
        assert len(found) <= 1, "%s%r has %d series" % (name, labels, len(found))
        return found[0] if found else None

    def devices(self):
        """The label sets of node_gpu_info as dicts, in the order of (vendor, gpu)."""
        return sorted((dict(labels) for labels in self.find("node_gpu_info")), key=lambda item: (item["vendor"], int(item["gpu"])))

    def error(self, vendor, reason):
        """The error counter."""
        return self.one("accelmon_collector_errors_total", vendor=vendor, reason=reason)

    def errors(self, vendor):
        """{reason: count} of the error counters that are not zero."""
        return {dict(labels)["reason"]: value for labels, value in self.find("accelmon_collector_errors_total", vendor=vendor).items() if value}

    def invalid(self, vendor):
        """{field: count} of the values that were left out."""
        return {dict(labels)["field"]: value for labels, value in self.find("accelmon_collector_invalid_values_total", vendor=vendor).items()}
