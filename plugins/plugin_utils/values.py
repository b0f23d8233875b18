# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of single values: types, and what is made of them, in pure functions."""
import datetime
import math
import re

from ansible_collections.accelmon.fleet.plugins.module_utils.durations import milliseconds
from ansible_collections.accelmon.fleet.plugins.plugin_utils import oneline
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue import reader as catalogue
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem

# Links that a device, or the host, can be expected to have.
LINKS = ("infiniband", "nvlink", "xgmi")
VENDORS = ("nvidia", "amd", "intel_gaudi", "intel_gpu", "google_tpu", "tenstorrent", "rebellions", "furiosa", "aws_neuron", "apple")

# Names of files are made of cluster and job; a job has no dot, so that job.cluster.json can only be read one way.
CLUSTER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*\Z")
HOST_NAME = re.compile(r"[a-zA-Z0-9_]([a-zA-Z0-9_.-]*[a-zA-Z0-9_])?\.?\Z")
# More accelerators than this, no host has.
MOST_DEVICES = 1024
TRUE = ("y", "yes", "on", "1", "true", "t", "1.0")
FALSE = ("n", "no", "off", "0", "false", "f", "0.0")


def one_of(words):
    return " or ".join(str(word) for word in words)


def decrypted(value):
    """The value with texts for what Ansible up to core 2.18 decrypts when somebody wants its text, and not before."""
    if getattr(value, "__ENCRYPTED__", False):
        return str(value)
    if isinstance(value, dict):
        return {key: decrypted(item) for key, item in value.items()}
    return [decrypted(item) for item in value] if isinstance(value, list) else value


def text_of(value):
    if isinstance(value, bool):
        raise Problem("not a string but a boolean (YAML also reads yes, no, on and off as booleans); put it in quotes")
    if isinstance(value, float):
        raise Problem("not a string but a decimal number, whose spelling YAML does not preserve; put it in quotes")
    if not isinstance(value, (str, int)):
        raise Problem(f"not a string but {kind_of(value)}; put it in quotes")
    return value if isinstance(value, str) else str(value)


def line(value):
    """A text of one line, without characters that a terminal, a file of units or a template acts on."""
    wrong = oneline.fault(value) or oneline.unevaluated(value)
    if wrong:
        raise Problem(wrong)
    return value


def whole(value):
    if isinstance(value, str) and re.match(r"-?(0|[1-9][0-9]{0,17})\Z", value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Problem(f"not a whole number but {kind_of(value)}; use a number")
    return int(value)


def _decimal(value):
    try:
        found = math.nan if isinstance(value, bool) else float(value)
        if not math.isfinite(found):
            raise ValueError
        return found
    except (TypeError, ValueError, OverflowError):
        raise Problem(f"not a number but {kind_of(value)}; use a number") from None


def switch(value):
    """True or False, of the words that Ansible takes for them as well."""
    word = str(value).strip().lower()
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    raise Problem("not a boolean; use true or false")


def list_of(value):
    """A list as it is."""
    if not isinstance(value, list):
        raise Problem(f"not a list but {kind_of(value)}; write it as a list")
    return value


def dict_of(value):
    """A dictionary as it is."""
    if not isinstance(value, dict):
        raise Problem(f"not a dictionary but {kind_of(value)}; write it as key: value")
    return value


TYPES = {
    "str": text_of, "path": text_of, "int": whole, "float": _decimal, "bool": switch, "list": list_of, "dict": dict_of,
    "raw": lambda value: value,
}


def kind_of(value):
    """What a value is, in words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, datetime.date):
        return "a YAML date"
    for kind, words in ((str, "a string"), (int, "a number"), (float, "a decimal number"), (list, "a list"), (dict, "a dictionary")):
        if isinstance(value, kind):
            return words
    return type(value).__name__


def named_duration(what, value):
    """value as text if it is a duration, else a Problem that names it as what."""
    try:
        milliseconds(value)
    except ValueError:
        raise Problem("not a duration; use a number with a unit, for example 30s or 5m", what, value) from None
    return str(value)


def port(value):
    """A TCP port as int."""
    number = whole(value)
    if not 1 <= number <= 65535:
        raise Problem("not a port; use 1 to 65535")
    return number


def cluster(value):
    """Name of a cluster."""
    if not CLUSTER.match(value) or len(value) > 128:
        raise Problem("not usable as a file name; use letters, digits, dots, dashes and underscores, starting with a letter or digit")
    return value


def label_value(value):
    """Value of a label: one line."""
    text = line(text_of(value))
    if len(text) > 1024:
        raise Problem("longer than 1024 characters; shorten it")
    return text


def counts(value, known, what):
    """{one of the known words: count}. what: a word is, in words."""
    found = {}
    for word, count in value.items():
        if word not in known:
            raise Problem(f"{word} is not {what}; use {', '.join(known)}")
        try:
            found[word] = whole(count)
        except Problem as problem:
            raise Problem(f"{word}: {problem}") from None
        if found[word] < 0:
            raise Problem(f"{word}: negative; use 0 or more")
        if found[word] > MOST_DEVICES:
            raise Problem(f"{word}: more than any host has; use {MOST_DEVICES} at most")
    return found


def expected(value):
    """{vendor: count}."""
    return counts(value, VENDORS, "a vendor")


def expected_links(value):
    """{kind of links: count}."""
    return counts(value, LINKS, "a kind of links")


def strings(value):
    """A list of texts."""
    for item in value:
        if not isinstance(item, str):
            raise Problem(f"an entry is not a string but {kind_of(item)}; list only strings")
        line(item)
    return value


def hosts(value):
    """Names of hosts as a list; a text lists them with commas, as surveys send it."""
    if isinstance(value, str):
        value = [name.strip() for name in value.split(",") if name.strip()]
    return strings(list_of(value))


def batches(value):
    """A rolling run's batches: numbers of hosts or percentages, in a list, or in text with commas; [] is all hosts at once."""
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, (list, tuple)) else [value]
    found = []
    for part in parts:
        text = str(part).strip()
        if text and not re.match(r"([1-9][0-9]{0,5}|([1-9][0-9]?|100)%)\Z", text):
            raise Problem('not a batch; use a number of hosts such as 10, a percentage such as "20%", or a list such as "1,10,25%"')
        if text:
            found.append(text if text.endswith("%") else int(text))
    return found


def path(value):
    """An absolute path; "" stays."""
    if value and not value.startswith(("/", "~")):
        raise Problem("not an absolute path; start it with /")
    if ".." in value.split("/"):
        raise Problem("it contains ..; write the resolved path")
    return line(value)


def page(value):
    """Path of a page on a web server."""
    if not re.match(r"/[^\s?#]*\Z", value) or ".." in value.split("/"):
        raise Problem("not a URL path; start it with / and use no space, .., ? or #")
    return line(value)


# Roles that accelmon_exporters may list: those with a port of their own, and those that ride on one of these.
PORT_EXPORTERS = ("node_exporter", "all_smi", "dcgm_exporter", "amd_exporter")
RIDING_EXPORTERS = {"textfile_collector": "node_exporter"}

# Services of the monitoring hosts, each of which is a job of its own.
STACK = ("victoriametrics", "vmagent", "vmalert", "prometheus", "alertmanager")
# Collectors whose readings are about other hosts: node_exporter publishes them, and they are scraped as a job of their own.
DELEGATES = ("slurm_collector",)
# Names that no exporter of somebody else may have as its job.
OWN_JOBS = PORT_EXPORTERS + STACK + ("grafana",) + tuple(RIDING_EXPORTERS) + DELEGATES + ("custom",)


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
            raise Problem(f"{role} only writes files for {carrier} to publish; list {carrier} too")
    if len(set(value)) != len(value):
        raise Problem("a role is listed twice; list it once")
    return value


def accelerator_source(value):
    """"auto", the name of a source, or {vendor: source}."""
    sources = catalogue.load("sources")["sources"]
    if isinstance(value, str):
        if value != "auto" and value not in sources:
            raise Problem(f"not a source; use auto, {one_of(sources)}, or a dictionary of these by vendor")
        return value
    if not isinstance(value, dict):
        raise Problem(f"neither a string nor a dictionary but {kind_of(value)}; use auto, {one_of(sources)}, or a dictionary of these by vendor")
    for vendor, source in value.items():
        if vendor not in VENDORS:
            raise Problem(f"{vendor} is not a vendor; use {', '.join(VENDORS)}")
        able = [name for name, told in sources.items() if vendor in told["vendors"]]
        if source not in able + ["auto"]:
            raise Problem(f"{vendor}: {source} does not read it; use auto or {one_of(able)}")
    return {vendor: source for vendor, source in value.items() if source != "auto"}
