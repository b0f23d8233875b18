# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of single values: what a variable's spec allows, in pure functions."""
import ipaddress
import re

from ansible_collections.accelmon.fleet.plugins.plugin_utils import catalogue

VENDORS = ("nvidia", "amd", "intel_gaudi", "intel_gpu", "google_tpu", "tenstorrent", "rebellions", "furiosa", "aws_neuron", "apple")

# Labels that the collection, the storage or the alerts give a meaning to.
RESERVED_LABELS = {"cluster": "set accelmon_cluster instead", "rack": "set accelmon_rack instead"}
RESERVED_LABELS.update((name, "choose another name") for name in (
    "alertname", "device", "domain", "gpu", "index", "instance", "job", "le", "model", "node", "quantile", "severity", "source",
    "state", "uuid", "vendor"))
RESERVED_PREFIXES = ("__", "accelmon_", "exported_")

LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
# Names of files are made of cluster and job; a job has no dot, so that job.cluster.json can only be read one way.
CLUSTER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*\Z")
JOB = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]*\Z")
HOST_NAME = re.compile(r"[a-zA-Z0-9_]([a-zA-Z0-9_.-]*[a-zA-Z0-9_])?\.?\Z")
DURATION = re.compile(r"(?=.)(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?\Z")
TRUE = ("y", "yes", "on", "1", "true", "t", "1.0")
FALSE = ("n", "no", "off", "0", "false", "f", "0.0")


class Problem(ValueError):
    """What is wrong with a value and what to do about it: `wrong; mend`, one line."""


def normalise(name, spec, value):
    """`value` as the spec's type, checked. Raises Problem.

    Text is taken for numbers and switches too: surveys and `-e name=value` send nothing else.
    """
    if value is None:
        raise Problem("it has no value; give it one, or leave the variable out")
    value = TYPES[spec.get("type", "str")](value)
    if "choices" in spec and value not in spec["choices"]:
        raise Problem(f"not a choice; use {_one_of(spec['choices'])}")
    check = FORMATS.get(spec.get("format") or _format_by_name(name, spec))
    return check(value) if check else value


def _format_by_name(name, spec):
    if name.endswith("_port") and spec.get("type") == "int":
        return "port"
    if name.endswith("_listen") and spec.get("type") == "str":
        return "listen"
    if name.endswith("_metrics_path"):
        return "page"
    return None


def _one_of(words):
    return " or ".join(str(word) for word in words)


def _text(value):
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Problem(f"not a text but {_kind(value)}; write it in quotes")
    return value if isinstance(value, str) else str(value)


def _number(value):
    if isinstance(value, str) and re.match(r"\s*-?\d+\s*\Z", value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Problem(f"not a whole number but {_kind(value)}; give a number")
    return int(value)


def _decimal(value):
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)
    except (TypeError, ValueError):
        raise Problem(f"not a number but {_kind(value)}; give a number") from None


def _switch(value):
    word = str(value).strip().lower()
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    raise Problem("neither true nor false; use one of them")


def _list(value):
    if not isinstance(value, list):
        raise Problem(f"not a list but {_kind(value)}; write it as a list")
    return value


def _dict(value):
    if not isinstance(value, dict):
        raise Problem(f"not a dictionary but {_kind(value)}; write it as key: value")
    return value


TYPES = {
    "str": _text, "path": _text, "int": _number, "float": _decimal, "bool": _switch, "list": _list, "dict": _dict,
    "raw": lambda value: value,
}


def _kind(value):
    if isinstance(value, bool):
        return "true or false"
    for kind, words in ((str, "a text"), (int, "a number"), (float, "a decimal number"), (list, "a list"), (dict, "a dictionary")):
        if isinstance(value, kind):
            return words
    return type(value).__name__


def literal(text):
    """The IP address in a text, with or without brackets, or None if it is a name."""
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None


def address_key(text):
    """One text for every way to write the same address."""
    if ":" in text:
        return str(literal(text) or text)
    return text.lower()


def port(value):
    """A TCP port as int."""
    number = _number(value)
    if not 1 <= number <= 65535:
        raise Problem("not a port; use 1 to 65535")
    return number


def cluster(value):
    """Name of a cluster."""
    if not CLUSTER.match(value):
        raise Problem("not usable as a file name; use letters, digits, dot, dash and underscore, a letter or digit first")
    return value


def address(value):
    """An IP address without brackets or a host name; "" stays."""
    if value == "":
        return value
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    if ":" in bare:
        if bare.count(":") == 1:
            raise Problem("it has a port or a scheme; give the address alone and set ports by the exporters' variables")
        if "%" in bare:
            raise Problem("it has a zone, which no scraper understands; use an address that is valid on every interface")
        try:
            return str(ipaddress.IPv6Address(bare))
        except ValueError:
            raise Problem("neither a host name nor an IP address; correct it") from None
    if re.match(r"[0-9.]+\Z", bare):
        try:
            return str(ipaddress.IPv4Address(bare))
        except ValueError:
            raise Problem("neither a host name nor an IP address; correct it") from None
    if not HOST_NAME.match(bare):
        raise Problem("neither a host name nor an IP address; correct it")
    return bare


def listen(value):
    """An address to listen on; as `address`."""
    return address(value)


def label_value(value):
    """Value of a label: one line."""
    text = _text(value)
    if "\n" in text:
        raise Problem("it has several lines; a label's value is one line")
    return text


def labels(value):
    """{label: text}."""
    found = {}
    for name, item in value.items():
        if not isinstance(name, str) or not LABEL_NAME.match(name):
            raise Problem(f"{name} is not a label name; use letters, digits and underscores, no digit first")
        if name in RESERVED_LABELS:
            raise Problem(f"the label {name} is reserved; {RESERVED_LABELS[name]}")
        if name.startswith(RESERVED_PREFIXES):
            raise Problem(f"the label {name} begins with a reserved prefix; choose another name")
        try:
            found[name] = label_value(item)
        except Problem as problem:
            raise Problem(f"{name}: {problem}") from None
    return found


def expected(value):
    """{vendor: count}."""
    found = {}
    for vendor, count in value.items():
        if vendor not in VENDORS:
            raise Problem(f"{vendor} is not a vendor; use {', '.join(VENDORS)}")
        try:
            found[vendor] = _number(count)
        except Problem as problem:
            raise Problem(f"{vendor}: {problem}") from None
        if found[vendor] < 0:
            raise Problem(f"{vendor}: fewer than none; give 0 or more")
    return found


def strings(value):
    """A list of texts."""
    for item in value:
        if not isinstance(item, str):
            raise Problem(f"an entry is not a text but {_kind(item)}; list texts only")
    return value


def hosts(value):
    """Names of hosts as a list; a text lists them with commas, as surveys send it."""
    if isinstance(value, str):
        return [name.strip() for name in value.split(",") if name.strip()]
    return strings(_list(value))


def batches(value):
    """A rolling run's batches: numbers of hosts or percentages, in a list, or in text with commas; [] is all hosts at once."""
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, (list, tuple)) else [value]
    found = []
    for part in parts:
        text = str(part).strip()
        if text and not re.match(r"([1-9]\d*|([1-9]\d?|100)%)\Z", text):
            raise Problem('not a batch; use a number of hosts such as 10, a percentage such as "20%", or some of them such as "1,10,25%"')
        if text:
            found.append(text if text.endswith("%") else int(text))
    return found


def path(value):
    """An absolute path; "" stays."""
    if value and not value.startswith(("/", "~")):
        raise Problem("not an absolute path; begin it with /")
    return value


def page(value):
    """Path of a page on a web server."""
    if not re.match(r"/[^\s?#]*\Z", value):
        raise Problem("not the path of a page; begin it with / and use no blank, ? or #")
    return value


def duration(value):
    """A duration as Prometheus writes it, longer than nothing."""
    if not DURATION.match(value):
        raise Problem("not a duration; write for instance 15s, 1m30s or 500ms")
    if not re.search(r"[1-9]", value):
        raise Problem("no time at all; give more than 0s")
    return value


# Roles that accelmon_exporters may list: those with a port of their own, and those that ride on one of these.
PORT_EXPORTERS = ("node_exporter", "all_smi", "dcgm_exporter", "amd_exporter")
RIDING_EXPORTERS = {"textfile_collector": "node_exporter"}


def exporters(value):
    """"auto" or a list of exporter roles."""
    if value == "auto":
        return value
    known = PORT_EXPORTERS + tuple(RIDING_EXPORTERS)
    if not isinstance(value, list):
        raise Problem(f"neither auto nor a list; use auto or list some of {', '.join(known)}")
    for role in value:
        if role not in known:
            raise Problem(f"{role} is not an exporter role; use auto or list some of {', '.join(known)}")
        carrier = RIDING_EXPORTERS.get(role)
        if carrier and carrier not in value:
            raise Problem(f"{role} only writes files that {carrier} publishes; list {carrier} too")
    if len(set(value)) != len(value):
        raise Problem("a role is listed twice; list it once")
    return value


def accelerator_source(value):
    """"auto", the name of a source, or {vendor: source}."""
    sources = catalogue.load("sources")["sources"]
    if isinstance(value, str):
        if value != "auto" and value not in sources:
            raise Problem(f"no source; use auto, {_one_of(sources)}, or a dictionary of them by vendor")
        return value
    if not isinstance(value, dict):
        raise Problem(f"neither a text nor a dictionary but {_kind(value)}; use auto, {_one_of(sources)}, or a dictionary of them by vendor")
    for vendor, source in value.items():
        if vendor not in VENDORS:
            raise Problem(f"{vendor} is not a vendor; use {', '.join(VENDORS)}")
        able = [name for name, told in sources.items() if vendor in told["vendors"]]
        if source not in able + ["auto"]:
            raise Problem(f"{vendor}: {source} does not read it; use auto or {_one_of(able)}")
    return {vendor: source for vendor, source in value.items() if source != "auto"}


CUSTOM_KEYS = ("job", "port", "path", "scheme", "labels")


def custom_exporters(value):
    """[{job, port, path, scheme, labels?}], completed with defaults."""
    found, places = [], set()
    for number, entry in enumerate(value, 1):
        try:
            exporter = _custom_exporter(entry)
        except Problem as problem:
            raise Problem(f"entry {number}: {problem}") from None
        place = (exporter["port"], exporter["path"])
        if place in places:
            raise Problem(f"entry {number}: port {place[0]} and path {place[1]} occur twice; list each target once")
        places.add(place)
        found.append(exporter)
    return found


def _custom_exporter(entry):
    _dict(entry)
    for key in entry:
        if key not in CUSTOM_KEYS:
            raise Problem(f"{key} is not known; use {', '.join(CUSTOM_KEYS)}")
    for key in ("job", "port"):
        if key not in entry:
            raise Problem(f"{key} is missing; give job and port")
    job = entry["job"]
    if not isinstance(job, str) or not JOB.match(job):
        raise Problem(f"job {job} is not usable as a name; use letters, digits, dash and underscore, no digit first")
    if job in PORT_EXPORTERS or job.startswith("accelmon_"):
        raise Problem(f"job {job} is the collection's own; choose another name")
    try:
        exporter = {"job": job, "port": port(entry["port"])}
    except Problem as problem:
        raise Problem(f"port {entry['port']}: {problem}") from None
    exporter["path"] = entry.get("path", "/metrics")
    if not isinstance(exporter["path"], str) or not exporter["path"].startswith("/"):
        raise Problem(f"path {exporter['path']} does not begin with /; give an absolute path")
    exporter["scheme"] = entry.get("scheme", "http")
    if exporter["scheme"] not in ("http", "https"):
        raise Problem(f"scheme {exporter['scheme']} is not known; use http or https")
    if entry.get("labels"):
        exporter["labels"] = labels(_dict(entry["labels"]))
    return exporter


FORMATS = {
    check.__name__: check
    for check in (port, cluster, address, listen, label_value, labels, expected, strings, hosts, batches, path, page, duration, exporters,
                  accelerator_source, custom_exporters)
}
