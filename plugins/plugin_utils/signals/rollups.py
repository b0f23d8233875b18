# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a site sends to the global place, as series.yml lists it, and how a scraper gets at it.

vmagent takes no pushes (see the role vmagent), so it reads what vmalert has recorded out of the storage, and sends that nowhere but to
the global place. What it scrapes itself, as the registry's series, it need not read there.
"""
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import dump, load

JOB = "accelmon_rollups"


def evaluated():
    """Pattern of the names of series that come from whoever evaluates rules. No exporter may have them: see reserved.py."""
    spec = load("series")["sent"]
    return "|".join([f"(?:{'|'.join(spec['levels'])}):accelerator_.*", *spec["evaluator"]])


def sent():
    """Pattern of the names of all series that are sent."""
    return "|".join([evaluated(), *load("series")["sent"]["registry"]])


def chosen(pattern, action):
    """Relabelling that keeps or drops series by their names."""
    return [{"source_labels": ["__name__"], "regex": pattern, "action": action}]


def relabelling(services, directory):
    """{"files": [{"path", "content"}], "arguments"} by which vmagent chooses what it writes to each storage; both empty if all are its own.

    services: [{"gets"?: "global"}], in the order of the addresses on its command line
    """
    if not any("gets" in service for service in services):
        return {"files": [], "arguments": []}
    texts = {"own": dump(chosen(evaluated(), "drop")), "global": dump(chosen(sent(), "keep"))}
    return {"files": [{"path": f"{directory}/{kind}.yml", "content": text} for kind, text in texts.items()],
            "arguments": [f"-remoteWrite.urlRelabelConfig={directory}/{service.get('gets', 'own')}.yml" for service in services]}


def job(target, access, cluster):
    """The job by which vmagent reads roll-ups out of its host's storage. access: how that is asked, as keys of a job; cluster: the host's"""
    return {
        "job_name": JOB, **access, "follow_redirects": False, "metrics_path": "/federate", "params": {"match[]": [f'{{__name__=~"{evaluated()}"}}']},
        # They are the storage's series, as old as it says.
        "honor_labels": True, "honor_timestamps": True,
        "static_configs": [{"targets": [target], "labels": {"cluster": cluster, "instance": JOB}}],
        # A roll-up has neither, while an alert may have those of what it is about.
        "metric_relabel_configs": [{"source_labels": [label], "regex": JOB, "target_label": label, "replacement": ""} for label in ("job", "instance")],
    }


def remote_write(place):
    """Prometheus' section about the global place. place: as `fleet.sites.place` has it"""
    tls = {"tls_config": {"ca_file": place["ca_file"]}} if place["ca_file"] else {}
    return {"url": place["url"], "basic_auth": {"username": place["user"], "password_file": place["password_file"]}, **tls,
            "metadata_config": {"send": False}, "write_relabel_configs": chosen(sent(), "keep")}
