# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every variable that a user may set, fed with what it must not hold. Stubbed: `hostvars` is a dictionary."""
import datetime
import json

import pytest
import yaml
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import check, formats, hosts, variables
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import units

VARIABLES = variables.all_variables()

# Values that are wrong for variables of a type, whatever they are for.
WRONG = {
    "str": [["a"], {"a": "b"}, None, 1.10, "a\nb", "a\r", "a\x00b", "{{ a", "{% a %}", "\u2028", "a\x1b[0m"],
    "path": [["a"], {"a": "b"}, None, 1.5, "relative", "/a/../../etc/shadow", "/a\nb", "/{{ a"],
    "int": [["a"], {"a": 1}, None, "a", "1\n2", "{{ a", 1.5, True, "0x10", "1e3", 10 ** 30, -10 ** 30, "9" * 40],
    "float": [["a"], {"a": 1}, None, "a", "{{ a", True, float("inf"), float("nan"), "nan", -1, 10 ** 400],
    "bool": [["a"], {"a": True}, None, "maybe", "{{ a", 2, "tru\ne"],
    "list": [{"a": "b"}, None, True, 7, "{{ a", ["a\nb"], ["{{ a"], [["a"]], [None], [7]],
    "dict": [["a"], None, True, 7, "{{ a", "a", {"a\nb": "c"}, {"a": "b\nc"}, {"a": {"b": "c\nd"}}],
    "raw": [True, None, "a\nb", {"a\nb": "c"}, ["a\nb"], "{{ a", 1.5],
}
# Any text of one line is right for these; what else they must not hold is above.
FREE = {
    "accelmon_rack": "a label, which says what the site says",
    "accelmon_job": "a label, which says what the scheduler says",
    "accelmon_silence_by": "a name", "accelmon_silence_comment": "a sentence",
    "accelmon_change_channel_to": "what the type says, which is asked before anything is kept", "accelmon_change_channel_secret": "a token",
    "accelmon_change_by": "a name", "accelmon_change_reason": "a sentence",
    "accelmon_change_threshold": "a number or a duration: which of them, the alert says, and is asked before anything is kept",
    "accelmon_awx_organization": "a name in AWX", "accelmon_awx_inventory": "a name in AWX", "accelmon_awx_git_login": "a name in AWX",
    "accelmon_awx_mail_from": "a name and an address",
}
# One word of ASCII, which no path is made of.
SECRETS = ("accelmon_stack_password", "accelmon_exporter_password", "accelmon_grafana_password", "accelmon_release_token",
           "accelmon_job_user_key", "accelmon_backup_secret", "accelmon_backup_s3_access_key", "accelmon_backup_s3_secret_key", "accelmon_global_password")


@pytest.fixture(scope="module")
def checker():
    return check.Checker()


def found(name, value, checker):
    """What the first play says about a value."""
    class Host:
        raw = {name: value}

        def evaluated(self, name):
            return self.raw[name]
    return [text for text in checker.check("h", Host()) if text.startswith(f"{name} = ")]


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_wrong_values_are_refused_at_the_first_play(name, checker):
    for value in WRONG[VARIABLES[name]["type"]]:
        errors = found(name, value, checker)
        assert len(errors) == 1, (name, value)
        assert "\n" not in errors[0] and "; " in errors[0], errors


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_every_variable_says_what_it_may_hold(name):
    spec = VARIABLES[name]
    kind = spec["type"]
    if kind in ("int", "float"):
        assert spec.get("format") == "port" or {"at_least", "at_most"} <= set(spec)
    elif kind == "list":
        # Without a format: texts of one line.
        assert spec.get("format") or name.endswith(("_extra_args", "_container_options")) or spec.get("elements") == "str"
    elif kind != "bool":
        assert "choices" in spec or spec.get("format") or name in FREE
    if spec.get("format") == "duration":
        assert {"at_least", "at_most"} <= set(spec)


@pytest.mark.parametrize("name", sorted(
    name for name, spec in VARIABLES.items() if spec["type"] in ("str", "path") and name not in FREE and name not in SECRETS))
def test_no_text_leads_out_of_its_place(name, checker):
    for value in ("../../etc/shadow", "/../etc/shadow", "a b; rm -rf /", "$(id)", "`id`", "forever; rm -rf /", "a" * 5000 + " "):
        assert found(name, value, checker), (name, value)


@pytest.mark.parametrize("name", sorted(name for name in VARIABLES if VARIABLES[name].get("format") == "directory"))
@pytest.mark.parametrize("value", ["/", "//", "/etc", "/etc/accelmon/secrets", "/etc//accelmon", "/root/x", "/proc/1", "/dev/shm", "/usr/bin", "/var",
                                   "/var/lib", "/var/lib/accelmon", "/var/lib/accelmon/secrets/", "/tmp/x", "~/x", "x", "/boot/efi",
                                   "/var/lib/accelmon/victoriametrics", "/opt/accelmon", "/home/a/.ssh", "/run/secrets", "/var/lib/dpkg"])
def test_sensitive_directories(name, value, checker):
    assert found(name, value, checker)


@pytest.mark.parametrize("name,value", [
    ("victoriametrics_retention", "forever; rm -rf /"), ("victoriametrics_retention", "1M"), ("victoriametrics_retention", "12"),
    ("victoriametrics_retention", "1d30m"), ("victoriametrics_retention", "12h"), ("prometheus_retention", "999y"), ("alertmanager_retention", "5d"),
    ("alertmanager_grafana_url", "mon1:3000"), ("alertmanager_grafana_url", "https://ana:secret@mon1/"),
    ("accelmon_scrape_interval", "1ms"), ("accelmon_scrape_interval", "1d"), ("accelmon_exporter_nice", 99), ("accelmon_exporter_nice", -21),
    ("accelmon_address", "0.0.0.0"), ("accelmon_address", "::"), ("accelmon_address", "::ffff:0.0.0.0"), ("accelmon_address", "fe80::1"),
    ("accelmon_address", "127.1"), ("accelmon_address", "0x7f.1"), ("accelmon_address", "2130706433"), ("accelmon_address", "224.0.0.1"),
    ("accelmon_custom_exporters", [{"job": "alertmanager", "port": 1}]), ("accelmon_custom_exporters", [{"job": "vmagent", "port": 1}]),
    ("accelmon_custom_exporters", [{"job": "node_exporter_plain", "port": 1}]), ("accelmon_custom_exporters", [{"job": "custom", "port": 1}]),
    ("accelmon_alert_overrides", {"HostDwon": {}}), ("accelmon_alert_overrides", {"HostDown": {"severity": "crit"}}),
    ("accelmon_alert_overrides", {"HostDown": {"for": "1M"}}), ("accelmon_alert_overrides", {"HostDown": {"threshold": "5m"}}),
    ("accelmon_rule_files", ["/no/such/file.yml"]), ("accelmon_lock_file", "/no/such/lock.json"), ("accelmon_expected", {"nvidia": 10 ** 9}),
    ("accelmon_expected_links", {"nvlink": -1}),
    ("accelmon_exporter_cpu_affinity", "0\nUser=root"), ("accelmon_exporter_cpu_affinity", "3-1"), ("accelmon_exporter_cpu_affinity", "all"),
    ("node_exporter_extra_args", ["--a\n--b"]), ("node_exporter_unit_overrides", {"Service": {"User": "a\nb"}}), ("node_exporter_sha256", {"amd64": "x"}),
    ("amd_exporter_image", "rocm/exporter:latest"), ("vmagent_buffer_size", "10 GiB"), ("all_smi_memory_max", "lots"), ("all_smi_groups", ["a b"]),
    ("accelmon_stack_password", "short"), ("accelmon_release_token", "a b"), ("accelmon_lock_architectures", ["x86_64"]), ("accelmon_lock_architectures", []),
    ("accelmon_address", "240.0.0.1"), ("accelmon_address", "0.0.0.1"), ("node_exporter_port", "09100"), ("node_exporter_version", "v1.9.0"),
    ("accelmon_cluster", "a" * 129), ("accelmon_lock_versions", {"node_exporter": "v1.9.0"}),
    ("node_exporter_unit_overrides", {"Servcie": {"Nice": 5}}), ("vmagent_unit_overrides", {"service": {"Nice": 5}}),
    ("node_exporter_unit_overrides", {"Slice": {"CPUQuota": "5%"}}),
    ("node_exporter_url", "https://mirror.example.org/node_exporter-{verison}.tar.gz"), ("node_exporter_url", "mirror/{arch}/x.tar.gz"),
    ("vmagent_url", "mirror/{}.tar.gz"), ("vmagent_url", "mirror/{version.tar.gz"), ("vmagent_url", "none"), ("vmagent_url", "1"),
    ("accelmon_rotate", "everything"), ("accelmon_rotate", "ca,ca_end"), ("accelmon_compare_sources", ["dcmg"]), ("accelmon_tls_names", ["a b"]),
])
def test_what_passed_the_check_and_failed_later(name, value, checker):
    assert found(name, value, checker)


@pytest.mark.parametrize("value", [
    "https://hooks.example.org/a%zz?token=S3cret", "https://hooks.example.org/{{.Status}}S3cret", "https://hooks.example.org/%{HOME}/S3cret",
    "https://hooks.example.org/<S3cret>", "https://hooks.example.org:http/S3cret", "https://hooks.example.org/S3 cret", "S3cret",
    "https://hooks.example.org/S3cret\nX", "https://hooks.example.org/S3cret\rX", "https:///S3cret", "ftp://hooks.example.org/S3cret",
    "https://hooks.example.org:99999/S3cret", "https://[::1/S3cret", "https://a..b/S3cret", "https://user:S3cret@", "https://hooks.example.org\\S3cret",
    "https://hooks.example.org:/S3cret", "https://hooks_{{ x }}.example.org/S3cret", "https://0.0.0.0/S3cret",
    "https://user:S3{cret@hooks.example.org/", "https://user:S3cret\u00f1@hooks.example.org/"])
def test_a_wrong_address_is_told_by_entry_and_never_shown(value, checker):
    for name in ("alertmanager_webhook_urls", "alertmanager_watchdog_urls"):
        (error,) = found(name, ["https://fine.example.org/hook\n", value], checker)
        assert error.startswith(f"{name} = (not shown): entry 2: ") and "S3" not in error and "cret" not in error
    for name in ("vmagent_remote_write_url", "vmalert_storage_url", "accelmon_release_url_prefix", "node_exporter_url"):
        if not (name == "node_exporter_url" and value == "S3cret"):
            assert found(name, value, checker), name


def test_an_address_that_is_there_twice_is_told_by_entry_and_not_shown(checker):
    for name in ("alertmanager_webhook_urls", "alertmanager_watchdog_urls"):
        twice = ["https://hooks.example.org/S3cret", "https://b.example.org/", "https://hooks.example.org/S3cret\n"]
        (error,) = found(name, twice, checker)
        assert error.startswith(f"{name} = (not shown): entry 3: the same address as entry 1, ") and "S3cret" not in error


@pytest.mark.parametrize("value", ["file://server/amd", "file:///srv/a md", "file:///", "file:///srv/amd\nTrusted: yes", "file:srv"])
def test_a_repository_on_the_host_is_one_word_and_a_whole_path(value, checker):
    for name in ("amd_exporter_repository", "amd_exporter_repository_key"):
        assert found(name, value, checker), (name, value)


def test_a_password_in_an_address_is_not_shown(checker):
    (error,) = found("vmagent_remote_write_url", "https://me:S3cret@host:http/api", checker)
    assert "S3cret" not in error and "//(not shown)@host:http" in error


@pytest.mark.parametrize("name,value", [
    ("vmagent_remote_write_url", "https://user:pass@store.example.org:8443/api/v1/write?a=b%20c"), ("vmalert_storage_url", "http://[2001:db8::1]:8428"),
    ("node_exporter_url", "https://mirror.example.org/{version}/node_exporter-{version}.linux-{architecture}.tar.gz"),
    ("node_exporter_url", "prometheus/node_exporter/releases/download/v{version}/x.tar.gz"),
    ("victoriametrics_retention", "1y"), ("prometheus_retention", "90d"), ("alertmanager_group_wait", "0s"), ("alertmanager_retention", "120h"),
    ("alertmanager_grafana_url", "https://metrics.example.org/grafana/"),
    ("accelmon_textfile_directory", "/var/lib/prometheus/node-exporter"), ("accelmon_textfile_directory", "/srv/metrics/text"),
    ("accelmon_textfile_directory", "/var/lib/accelmon/textfile"), ("accelmon_textfile_directory", "/opt/node_exporter/text"),
    ("accelmon_exporter_cpu_affinity", "0-1,8 64"), ("all_smi_memory_max", "512M"), ("prometheus_retention_size", "500GB"), ("vmagent_buffer_size", "10GiB"),
    ("accelmon_adopt_script", "get_gpu_metrics.sh"), ("accelmon_tls_names", ["gpu7.example.org", "10.0.0.7", "2001:db8::7"]), ("accelmon_tolerance", "2.5"),
    ("node_exporter_version", "1.9.0"), ("dcgm_exporter_hostengine", "localhost:5555"), ("accelmon_rotate", "stack, ca"), ("accelmon_rotate", ["certificates"]),
    ("amd_exporter_version", "1.5.2"), ("accelmon_accept", "*"),
    # Mounted on the host, where there is no network.
    ("amd_exporter_repository", "file:///srv/amd"), ("dcgm_exporter_repository", "file:///mnt/mirror/nvidia"),
    ("amd_exporter_repository_key", "file:///srv/key"), ("dcgm_exporter_repository_key", "file:///srv/key.pub"),
])
def test_right_values(name, value, checker):
    assert found(name, value, checker) == []


@pytest.mark.parametrize("name,entry", [
    ("alertmanager_webhook_urls", "https://hooks.example.org/a"), ("alertmanager_watchdog_urls", "https://hooks.example.org/b"),
    ("alertmanager_receivers", {"name": "team", "type": "webhook", "url": "https://hooks.example.org/c"})])
def test_a_survey_asks_who_is_notified(name, entry, checker):
    for text in (json.dumps([entry]), yaml.safe_dump([entry]), f"\n{json.dumps([entry], indent=2)}\n"):
        assert found(name, text, checker) == [] and formats.read(name, text) == formats.read(name, [entry])
    assert found(name, "", checker) == [] and formats.read(name, "") == []
    assert found(name, '["S3cret"]', checker) and "S3cret" not in str(found(name, '["S3cret"]', checker))


# What a list or dictionary of each format may hold, so that it can come as text.
SAMPLES = {
    "labels": {"team": "vision"}, "expected": {"nvidia": 8}, "expected_links": {"nvlink": 18}, "custom_exporters": [{"job": "redfish", "port": 9000}],
    "lock_versions": {"node_exporter": "1.9.0"},
    "architectures": ["amd64"], "lock_releases": ["node_exporter"], "strings": ["gpu*"], "clusters": ["east"],
    "names": ["gpu7.example.org"], "rotated": ["stack"], "severities": ["critical"],
    "scrape_limits": {"custom": 5000}, "alert_overrides": {"HostDown": {"for": "30s", "enabled": True}},
    "host_alert_overrides": {"HostDown": {"for": "30s"}}, "alert_presets": ["node"], "label_names": ["team"], "alert_names": ["HostDown"],
    "compared": ["dcgm"], "checksums": {"amd64": "0" * 64}, "words": ["video"], "unit_overrides": {"Service": {"Nice": 5, "ProtectHome": None}},
    "receivers": [{"name": "team", "type": "webhook", "url": "https://hooks.example.org/c"}], "webhooks": ["https://hooks.example.org/a"],
    "amd_fields": [], "amd_labels": ["JOB_ID"], "amd_config": {"GPUConfig": {"ProfilerConfig": {"SamplingInterval": 5}}}, "pairs": {"4.8.3": "4.6.0"},
    "counters": [], "grafana_settings": {"smtp": {"enabled": True}}, "collectors": {"pcidevice": True}, "template_files": [], "rule_files": [],
    "label_set": {"node": "gpu7"}, "exporters": ["node_exporter"], "accelerator_source": {"nvidia": "dcgm"}, "batches": ["1", "20%"], "hosts": ["gpu7"],
    "kubernetes_selectors": {"amd": {"example.org/gpu": "amd"}},
    "paths": ["/srv/rules/*.yml"], "site_passwords": {"east": "of-east-1"}, None: ["--web.max-requests=4"],
}


# With everything that an entry of these may have.
WHOLE = {
    **SAMPLES,
    "receivers": [{"name": "ops", "type": "slack", "api_url": "https://hooks.example.org/c", "channel": "#ops", "send_resolved": True,
                   "match": {"severity": ["critical"], "team": "x"}, "settings": {"http_config": {"proxy_url": "http://proxy"}}},
                  {"name": "mail", "type": "email", "to": ["a@b.c"], "from": "a@b.c", "smarthost": "mail:25", "username": "u", "password": "p",
                   "require_tls": True, "match": "rest"},
                  {"name": "bot", "type": "telegram", "bot_token": "x", "chat_id": -1}],
    **dict.fromkeys(("alert_overrides", "host_alert_overrides"), {"HostDown": {"for": "30s", "severity": "critical", "state": "present"},
                                                                  "AcceleratorCollectorStale": {"threshold": "10m", "enabled": True}}),
    "custom_exporters": [{"job": "redfish", "port": 9000, "path": "/m", "scheme": "http", "labels": {"a": "b"}}],
}


def as_texts(value):
    """Ways in which a survey sends a list or dictionary."""
    return json.dumps(value), yaml.safe_dump(value), f"\n{json.dumps(value, indent=2)}\n"


@pytest.mark.parametrize("name", sorted(name for name, spec in VARIABLES.items() if spec["type"] in ("list", "dict", "raw")))
def test_a_list_or_dictionary_may_come_as_text(name, checker):
    value = [] if VARIABLES[name].get("inventory") else SAMPLES[VARIABLES[name].get("format")]
    assert found(name, value, checker) == []
    for text in as_texts(value):
        assert found(name, text, checker) == [], text
        as_it_is, read = formats.read(name, value), formats.read(name, text)
        if VARIABLES[name].get("format") == "unit_overrides":
            as_it_is, read = (units.unit_text({"Service": {}}, overrides) for overrides in (as_it_is, read))
        assert read == as_it_is, text


def with_template(value, template):
    """The value as often as it has a text, a template instead of one of them each time."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield {**{other: kept for other, kept in value.items() if other != key}, template: item}
            yield from ({**value, key: other} for other in with_template(item, template))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from (value[:number] + [other] + value[number + 1:] for other in with_template(item, template))
    else:
        yield template


@pytest.mark.parametrize("name", sorted(name for name, spec in VARIABLES.items() if spec["type"] in ("list", "dict", "raw")))
def test_a_text_that_stayed_a_template_is_refused_wherever_it_is(name, checker):
    """As !unsafe leaves it. Kept, it could be evaluated on its way, which depends on the variable and the release of Ansible."""
    for template in ("{{ 1 + 1 }}", "a {% raw %}"):
        for value in with_template(SAMPLES[VARIABLES[name].get("format")] or ["a"], template):
            (error,) = found(name, value, checker)
            assert "\n" not in error
            assert "unevaluated template" in error or name == "alertmanager_receivers", (value, error)


def test_the_settings_of_a_receiver_may_have_templates_of_alertmanager(checker):
    receiver = {**SAMPLES["receivers"][0], "settings": {"http_config": {"proxy_url": "{{ template \"a\" . }}"}}}
    assert found("alertmanager_receivers", [receiver], checker) == []
    assert formats.read("alertmanager_receivers", [receiver]) == [receiver]
    for key in ("name", "type", "url", "match"):
        assert found("alertmanager_receivers", [{**receiver, key: "{{ a }}"}], checker), key


@pytest.mark.parametrize("text", ["[1, 2", "{a: b", "- a\n b: c\n- ]", "&a [*a]", "{a: &a {b: *a}}", "[" * 5000, "a: b: c", "@", "\t{"])
def test_a_wrong_text_is_one_line(text, checker):
    for name in ("node_exporter_extra_args", "node_exporter_unit_overrides", "accelmon_labels", "amd_exporter_config", "accelmon_expected"):
        (error,) = found(name, text, checker)
        assert "\n" not in error and error.startswith(f"{name} = ")


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_an_empty_answer_is_no_answer(name, checker):
    """The default is taken by whoever reads it: the check, the plan, a role, a playbook."""
    default = VARIABLES[name]["default"]
    for text in ("", " ", "\n", "\t \r\n"):
        assert found(name, text, checker) == []
        assert formats.read(name, text) == default
        assert hosts.setting({"inventory_hostname": "h", name: text}, name) == default
        assert not hosts.gives(hosts.HostVariables({"h": {name: text}}, "h"), name)


def test_an_empty_answer_leaves_what_follows_from_another_variable():
    given = {"inventory_hostname": "h", "accelmon_source": "bundle", "dcgm_exporter_source": "", "all_smi_source": " "}
    values = hosts.Reader(hosts.plan_specs()).read_all(hosts.HostVariables({"h": given}, "h"))[0]
    assert values["dcgm_exporter_source"] == values["all_smi_source"] == "bundle"


ODD = [
    "NaN", "Infinity", "1e3", "1e400", "\u0661\u0662", "\uff19", "\u00b2", "0x1F", "1_000", "+5", "5\u00a0", "5\u200b", "12:30:45", "no", "off", "~", "null",
    "{}", "[]", "{# c #}", "#jinja2:x", "9" * 5000, "a" * 100000, "\u202e5m", "\ufeff5m", "5m\u2029", "\x7f", "\ud800", "%s%n", "${HOME}", "`id`", "--help",
    "a,b", "a: b", "- a", "&a b", "*a", "!!python/object:os.system x",
    "[[[[", "\\", "5\u00b5s", 1e3, float("nan"), float("inf"), -1, 10 ** 400, datetime.date(2026, 1, 1), b"b", (1, 2),
    {"a": None}, {None: 1}, {1: 2}, {"a": {"b": [1, {"d": float("nan")}]}}, [None], [[]], [1.5], ["a" * 100000], ["a", "a"],
    "- " * 3000, "[" * 900, "{a: " * 400]


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_nothing_that_may_be_written_breaks_the_check(name, checker):
    """Taken or refused, in one line of a length that can be read, and never a traceback. A list of alerts' names is the longest there is."""
    for value in ODD:
        for error in found(name, value, checker):
            assert error.isprintable() and len(error) < 2700, (value, error)


def with_odd(value, odd):
    """The value as often as it has parts, with something odd instead of one of them each time, or as a key beside it."""
    yield odd
    if isinstance(value, dict):
        if not isinstance(odd, (dict, list, tuple)):
            yield {**value, odd: "x"}
        yield from ({**value, key: other} for key, item in value.items() for other in with_odd(item, odd))
    elif isinstance(value, list):
        yield from (value[:number] + [other] + value[number + 1:] for number, item in enumerate(value) for other in with_odd(item, odd))


@pytest.mark.parametrize("name", sorted(name for name, spec in VARIABLES.items() if spec["type"] in ("list", "dict", "raw")))
def test_nothing_inside_of_a_value_breaks_the_check(name, checker):
    for odd in [None, True, 0, 1.5, "", " ", [], {}, [None], *ODD]:
        for value in with_odd(WHOLE[VARIABLES[name].get("format")], odd):
            for error in found(name, value, checker):
                assert error.isprintable() and len(error) < 2700, (value, error)


@pytest.mark.parametrize("name,value", [
    ("node_exporter_unit_overrides", {"Service": {"Nice": float("nan")}}), ("amd_exporter_config", {"GPUConfig": {"Selector": float("inf")}}),
    ("grafana_settings", {"smtp": {"port": float("nan")}}), ("accelmon_exporter_cpu_affinity", "5\u00a0"), ("node_exporter_version", "9" * 129),
    ("accelmon_serial", "1\u0662"), ("accelmon_serial", "9" * 5000), ("node_exporter_extra_args", ["a" * 100000])])
def test_what_no_file_can_hold_is_refused(name, value, checker):
    assert found(name, value, checker)
