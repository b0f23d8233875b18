"""The catalogue's reader, and the catalogue against what it talks about. Nothing is stubbed."""

import re
from pathlib import Path

import pytest
import yaml

from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import closest, dump, load, plain
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.expressions import raw_bounds

ROOT = Path(__file__).resolve().parents[4]
EXPOSITIONS = ROOT / "tests" / "fixtures" / "expositions"
# By its source all-smi writes it on NVIDIA; the mock server does not, and there was no such device.
# DCGM's are in lists of counters that are a site's own.
UNSEEN = {"all_smi_gpu_power_limit_current_watts", "DCGM_FI_DEV_FABRIC_MANAGER_STATUS", "DCGM_FI_DEV_FABRIC_HEALTH_SUMMARY",
          "DCGM_FI_DEV_FABRIC_HEALTH_MASK", "DCGM_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_FAILED_EVENTS",
          "DCGM_FI_DEV_NVLINK_COUNT_SYMBOL_BER", "DCGM_FI_DEV_NVLINK_COUNT_RX_BYTES", "DCGM_FI_DEV_NVLINK_COUNT_TX_BYTES",
          "DCGM_FI_PROF_NVLINK_RX_BYTES", "DCGM_FI_PROF_NVLINK_TX_BYTES"}
COLLECTOR = ROOT / "roles" / "textfile_collector" / "files" / "accelmon_textfile_collector.py"


def test_an_unknown_name_gets_the_nearest_or_all():
    assert closest("HostDwn", ["HostDown", "Watchdog"]) == "did you mean HostDown?"
    assert closest("x", ["b", "a"]) == "known are a, b"


def test_plain_takes_every_type_of_its_own_away():
    class Text(str):
        def __str__(self):
            return self[:]

    class Mapping(dict):
        pass

    class Number(int):
        pass

    result = plain(Mapping({Text("a"): [Text("b"), Number(3), True, None, 1.5, (Text("c"),)]}))
    assert result == {"a": ["b", 3, True, None, 1.5, ["c"]]}
    assert [type(item) for item in result["a"]] == [str, int, bool, type(None), float, list]
    assert {type(key) for key in result} == {str}


def test_dump_keeps_order_and_never_folds_or_aliases():
    shared = ["x"]
    text = dump({"b": "word " * 100, "a": shared, "c": shared, "d": "one\ntwo"})
    assert text.startswith("# Managed by accelmon.fleet.\nb: ")
    assert len(text.splitlines()) == 9 and "&" not in text
    assert "d: |-\n  one\n  two" in text
    assert list(yaml.safe_load(text)) == ["b", "a", "c", "d"]


SOURCES = load("sources")["sources"]
NEEDED = {"role", "job", "port", "vendors", "devices", "keys", "labels", "presence", "metrics"}
POSSIBLE = NEEDED | {"repository", "own", "vendor", "vendor_by", "parts", "pci", "further", "sensors", "uncounted", "success", "duration",
                     "essential", "essential_bare", "forget", "renamed", "drop"}


def of_devices():
    """All recorded series of devices, and of their links."""
    return load("series")["devices"] + load("series")["links"]["readings"]


def parts():
    """(series or reading, source, part) of every raw series that is recorded, or read by alerts."""
    recorded = [(item, variant) for item in of_devices() for variant in item["variants"]]
    read = [({"name": name, **item}, item) for name, item in load("readings")["readings"].items() if "series" not in item]
    return [(item, source, part) for item, variant in recorded + read for source, choices in variant["from"].items() for part in choices]


def names(part):
    """The raw series of a part: one, or several of which each tells the same."""
    return [part["metric"]] if isinstance(part["metric"], str) else part["metric"]


def test_every_source_is_complete():
    for name, source in SOURCES.items():
        assert NEEDED <= set(source) <= POSSIBLE, name
        assert {*source["presence"], source.get("success", source["presence"][0])} <= set(source["metrics"])
        for metric in source["metrics"]:
            assert re.fullmatch(f"(?:{source['devices']}|{source.get('own', '(?!)')})", metric), metric
        assert set(source["vendors"]) <= set(load("sources")["models"])
    assert len({source["role"] for source in SOURCES.values()}) == len(SOURCES) == len({source["job"] for source in SOURCES.values()})


def test_what_is_not_stored_or_not_believed_has_a_reason():
    for source in SOURCES.values():
        for part in source.get("forget", []) + source.get("drop", []):
            assert len(part["why"]) > 20
    for _item, _source, part in parts():
        assert ("why" in part) == ("except" in part) and len(part.get("why", "long enough for a reason")) > 10


def test_what_becomes_a_number_was_0_or_1():
    """The expression multiplies: a state that was 2 would become twice the number."""
    found = [(item, source, part) for item, source, part in parts() if "times" in part]
    assert len(found) > 3
    for item, source, part in found:
        assert part["bounds"][1] == 1, (item["name"], source, part)


def test_nothing_that_the_rules_read_is_dropped():
    for source in SOURCES.values():
        for part in source.get("drop", []):
            assert not [metric for metric in source["metrics"] if re.fullmatch(part["series"], metric)]
        used = {label for labels in source["metrics"].values() for label in labels} | {label for labels in source["labels"].values() for label in labels}
        for part in source.get("forget", []):
            assert not [label for label in used if re.fullmatch(part["label"], label)]


def exported(name):
    """Names of the series that an exporter writes as we deploy it."""
    if name == "textfile":
        text = COLLECTOR.read_text(encoding="utf-8")
        return set(re.findall(r'^    \("((?:node_gpu|accelmon_collector)_[a-z_]+)", \("(?:gauge|counter)"', text, re.MULTILINE))
    if name == "dcgm":
        text = (ROOT / "roles" / "dcgm_exporter" / "files" / "counters.csv").read_text(encoding="utf-8")
        return {line.split(",")[0] for line in text.splitlines() if line and not line.startswith("#")}
    if name == "amd_exporter":
        fields = yaml.safe_load((ROOT / "roles" / "amd_exporter" / "vars" / "main.yml").read_text(encoding="utf-8"))
        return {field.lower() for field in fields["amd_exporter_fields"]}
    # Our scrapes of the program itself and of its mock server, of the version that is installed unless the inventory says otherwise.
    pages = [path.read_text(encoding="utf-8") for path in EXPOSITIONS.glob("all_smi_0.28*.prom")]
    assert len(pages) > 5 and all(page.startswith("# recorded") for page in pages)
    return {row for page in pages for row in re.findall(r"^(\w+)\{", page, re.MULTILINE)}


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_claims_no_series_that_its_exporter_does_not_write(name):
    written = exported(name)
    assert len(written) > 10
    assert set(SOURCES[name]["metrics"]) - written - UNSEEN <= set(), set(SOURCES[name]["metrics"]) - written


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_claims_no_series_that_no_rule_reads(name):
    read = {metric for _item, source, part in parts() if source == name for metric in names(part)}
    read |= {part["labels_of"] for _item, source, part in parts() if source == name and "labels_of" in part}
    read |= {*SOURCES[name]["presence"], SOURCES[name].get("success"), SOURCES[name].get("duration")} - {None}
    errors = load("errors")
    read |= {item[key] for item in [errors["logged"], *errors["last_codes"]] if item["source"] == name for key in ("count", "last", "metric") if key in item}
    read |= set(re.findall(fr'\b(\w+){{source="{name}"', " ".join([*load("health")["parts"].values(), *load("alerts")["parts"].values()])))
    assert read - set(load("sources")["registry"]) == set(SOURCES[name]["metrics"])


def test_labels_of_amd_are_asked_for():
    """What the exporter leaves out unless asked."""
    fields = yaml.safe_load((ROOT / "roles" / "amd_exporter" / "vars" / "main.yml").read_text(encoding="utf-8"))
    asked = {label.lower() for label in fields["amd_exporter_labels"]}
    always = {"gpu_id", "serial_number", "card_model", "hostname", "gpu_partition_id", "gpu_compute_partition_type", "gpu_memory_partition_type"}
    used = {label for labels in SOURCES["amd_exporter"]["labels"].values() for label in labels} | set(SOURCES["amd_exporter"]["further"])
    assert used <= asked | always


def test_at_most_twelve_series_for_a_device():
    """Sources that count for one device at a time: energy has one series for each, of which one goes on."""
    assert sum(len(item["variants"]) for item in load("series")["devices"]) <= 12


def test_what_links_do_costs_only_those_who_ask_for_it():
    """Its raw series are in no list of ours, so no device has any of it by default; with it, a device has three series more."""
    items = load("series")["links"]["readings"]
    assert sum(len(item["variants"]) for item in items) == 3
    read = {part["metric"] for item in items for variant in item["variants"] for part in variant["from"]["dcgm"]}
    profiling = (ROOT / "roles" / "dcgm_exporter" / "files" / "counters_profiling.csv").read_text(encoding="utf-8")
    assert not read & exported("dcgm") and not [name for name in read if name in profiling]


def test_series_have_units_and_known_sources():
    suffixes = {"_ratio": "ratio, 0 to 1", "_bytes": "bytes", "_celsius": "degrees Celsius", "_watts": "watts", "_hertz": "hertz", "_info": "always 1",
                "_joules_total": "joules", "_bytes_per_second": "bytes per second"}
    for item in of_devices():
        assert item["name"].startswith("accelerator_") and item["help"] and item["type"] in ("gauge", "counter")
        assert (item["type"] == "counter") == item["name"].endswith("_total")
        for suffix, unit in suffixes.items():
            assert not item["name"].endswith(suffix) or item["unit"] == unit
    for _item, source, part in parts():
        known = sum((SOURCES[source]["metrics"][metric] for metric in names(part)), [])
        assert set(part.get("match", {})) | set(part.get("like", {})) <= set(known), part
        assert not part.get("sum") or SOURCES[source]["parts"] in known


def test_readings_are_complete():
    catalogue = load("readings")
    for name, item in catalogue["readings"].items():
        if "series" in item:
            recorded = next(series for series in of_devices() if series["name"] == item["series"])
            assert sum(item.get("variant", {}).items() <= variant.get("labels", {}).items() for variant in recorded["variants"]) == 1, name
            assert not {"from", "bounds", "unit"} & set(item) and item["help"]
        else:
            assert item["unit"] and item["help"] and ("bounds" in item or item["unit"] == "always 1"), name
        assert item.get("limits") in {None, *catalogue["limits"]}
    for table in catalogue["limits"].values():
        vendors = [limit.get("vendor") for limit in table]
        assert all("model" in limit for limit, after in zip(table, vendors[1:]) if limit.get("vendor") == after)
        assert all(70 <= limit["celsius"] <= 110 for limit in table)


def test_every_reading_is_read():
    plugin_utils = ROOT / "plugins" / "plugin_utils"
    places = [*(plugin_utils / "catalogue" / "alerts").glob("*.yml"), plugin_utils / "catalogue" / "health.yml", plugin_utils / "signals" / "health.py"]
    text = "".join(path.read_text(encoding="utf-8") for path in places)
    assert {name for name in load("readings")["readings"] if f"%{name}(" not in text} == set()


def test_every_series_has_bounds_and_says_why():
    for item in of_devices():
        assert ("bounds" in item) == ("because" in item) == (item["unit"] != "always 1"), item["name"]
        assert (item["type"] == "counter") == ("leap" in item), item["name"]


def test_what_exporters_write_for_nothing_is_out_of_bounds():
    """Whatever a raw series is divided or multiplied by. What may be a capacity or an energy as well is left."""
    nothing = {-1, 65535, 1048560, 2 ** 31 - 16, 2 ** 32 - 1, 2 ** 47, 2 ** 63 - 16, 2 ** 63, 2 ** 64 - 1, float("inf"), float("-inf")}
    small = {65535, 1048560, 2 ** 31 - 16, 2 ** 32 - 1}
    for item, source, part in parts():
        # A rate is no value of an exporter, and a placeholder that comes or goes gives one far out of bounds.
        if item["unit"] != "always 1" and "rate[" not in part.get("over", item.get("over", "")):
            lowest, highest = (float(bound) for bound in raw_bounds(item, part))
            believable = {("bytes", None): small, ("bytes", 1048576): {65535, 1048560}, ("joules", None): small, ("hertz", None): small,
                          ("bytes per second", None): small}
            possible = believable.get((item["unit"], part.get("multiply")), set())
            # AMD's exporter counts in millionths, and writes no 2^47.
            possible = possible | ({2 ** 47} if part.get("divide") == 1000000 else set())
            # A margin may be below 0, and counts on a hot device only.
            possible = possible | ({-1} if item["bounds"][0] < 0 else set())
            assert {value for value in nothing if lowest <= value <= highest} <= possible, (item["name"], source, part)


@pytest.mark.parametrize(("pattern", "factor"), [
    (r"node_gpu_\w+_percent|DCGM_FI_DEV_GPU_UTIL|gpu_gfx_activity|all_smi_gpu_utilization", ("divide", 100)),
    (r"DCGM_FI_DEV_FB_\w+|gpu_(used|total)_vram", ("multiply", 1048576)),
    (r"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", ("divide", 1000)),
    (r"gpu_energy_consumed", ("divide", 1000000)),
    (r"DCGM_FI_DEV_SM_CLOCK|gpu_clock|all_smi_\w+_mhz", ("multiply", 1000000)),
])
def test_factors(pattern, factor):
    """Percent, MiB, millijoules, microjoules, megahertz; everything else is in our unit already."""
    found = 0
    for item, _source, part in parts():
        if item["unit"] == "always 1":
            continue
        given = [(word, part[word]) for word in ("divide", "multiply") if word in part]
        if any(re.fullmatch(pattern, name) for name in names(part)):
            found += 1
            assert given == [factor], part
        elif factor in given:
            assert re.search("UTIL|util|percent|activity|FB_|vram|CLOCK|clock|mhz|ENERGY|energy", " ".join(names(part))), part
    assert found


@pytest.mark.parametrize(("model", "vendor"), [
    ("NVIDIA H100 80GB HBM3", "nvidia"), ("Tesla V100-SXM2-16GB", "nvidia"), ("NVIDIA GeForce RTX 4090", "nvidia"), ("Quadro RTX 6000", "nvidia"),
    ("NVIDIA Jetson AGX Orin", "nvidia"), ("Orin (nvgpu)", "nvidia"), ("AMD Instinct MI300X", "amd"), ("Radeon RX 7900 XTX", "amd"),
    ("Intel Gaudi 2 OAM", "intel_gaudi"), ("HL-225", "intel_gaudi"), ("Intel Arc B580 12GB", "intel_gpu"), ("Intel Data Center GPU Max 1550", "intel_gpu"),
    ("Google TPU v5e", "google_tpu"), ("TPU v4", "google_tpu"), ("Tenstorrent Grayskull e75 120W", "tenstorrent"), ("Blackhole p150a", "tenstorrent"),
    ("RBLN-CA25", "rebellions"), ("Furiosa RNGD", "furiosa"), ("AWS Trainium1", "aws_neuron"), ("AWS Inferentia2", "aws_neuron"),
    ("Apple M3 Ultra GPU", "apple"), ("Something Else", None)])
def test_the_vendor_by_the_model(model, vendor):
    found = [name for name, pattern in load("sources")["models"].items() if re.fullmatch(pattern, model)]
    assert (found or [None])[0] == vendor
