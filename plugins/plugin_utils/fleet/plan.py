# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs on a host and what is scraped there: pure functions from checked values and facts.

values: as a `hosts.Reader` of `hosts.plan_specs()` reads them
facts: as `hosts.facts_of` gives them, or None for a host that did not answer
"""
import collections

from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import choice
from ansible_collections.accelmon.fleet.plugins.plugin_utils.addresses import is_own
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs.packages import APT
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.exporters import is_closed, required
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.kubernetes import WITH_WEB
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import PORT_EXPORTERS, RIDING_EXPORTERS

# States of a device that no tool can read, and what fixes them.
DRIVERLESS = {
    "driver_missing": "install the vendor's driver",
    "driver_unbound": "check the kernel log for why the driver did not bind the device",
    "wrong_driver": "replace the driver bound to the device with the vendor's",
}

# Vendors whose drivers write errors to the kernel log that the textfile collector understands.
LOGGED = ("nvidia", "amd", "intel_gaudi", "intel_gpu")

# Exporters whose own page can be elsewhere than at /metrics.
OWN_PAGES = ("node_exporter", "all_smi")


def unpackaged(source, facts):
    """Words about a source that the host's distribution cannot be, or None."""
    distribution = (facts or {}).get("distribution")
    if source != "package" or distribution is None or distribution in APT:
        return None
    return f"{distribution} has no such packages; set it to release or bundle"


def driverless(summary):
    """{vendor: number of counted devices without a working driver}, vendors with none left out."""
    found = {}
    for vendor, told in summary.items():
        count = sum(number for state, number in (told.get("states") or {}).items() if state in DRIVERLESS)
        if count:
            found[vendor] = count
    return found


def present(values, facts):
    """Vendors with at least one device that some tool can read, sorted. A host that did not answer has what is declared for it."""
    if facts is None:
        declared = {vendor for vendor, count in values["accelmon_expected"].items() if count > 0}
        return sorted(declared.union(values["accelmon_scrape_only_devices"] if values["accelmon_scrape_only"] else ()))
    without = driverless(facts["summary"])
    return sorted(str(vendor) for vendor, told in facts["summary"].items() if told.get("count", 0) > without.get(vendor, 0))


def counts(summary):
    """{vendor: {model: count}} of all counted devices."""
    found = {}
    for vendor, told in summary.items():
        models = {str(model): int(number) for model, number in (told.get("models") or {}).items() if number}
        if models:
            found[str(vendor)] = models
    return found


# A run that hands vendors over to another source passes through these. `first`: an exporter that is not on the host yet waits for its
# election; `elected`: it is in charge; `retired`: the exporters that nobody needs any more are gone, and no targets.
STAGES = ("first", "elected", "retired")

# wanted: exporter roles of the host, those with a port before those that ride on them
# present: vendors whose devices are read; charge: {vendor: source in charge of it now}; final: the same when the run is through
# running: exporter roles that are targets now; retired: those of them that go
# better: {vendor: (source that would know more, why the host cannot get it, the setting that brings it)}
Choice = collections.namedtuple("Choice", "wanted present charge final running retired better")


def wish(values, vendor):
    """The source that `accelmon_accelerator_source` names for a vendor, or None."""
    setting = values["accelmon_accelerator_source"]
    if isinstance(setting, dict):
        return setting.get(vendor)
    return setting if setting != "auto" and vendor in choice.sources()[setting]["vendors"] else None


def is_listed(values, source):
    """Whether a source may be deployed on the host at all."""
    role = choice.sources()[source]["role"]
    return not is_absent(values, source) and (values["accelmon_exporters"] == "auto" or role in values["accelmon_exporters"])


def is_absent(values, source):
    """Whether a source's exporter, or the one that carries it, shall be taken off the host."""
    role = choice.sources()[source]["role"]
    return "absent" in (values[f"{role}_state"], values[f"{RIDING_EXPORTERS.get(role, role)}_state"])


def questions(values):
    """What to ask a host about its sources, as the module accelerator_facts takes it: which packages and addresses they come from.

    A source whose program comes with the run (a bundle, a container's image, a repository that the role names) has neither; nor has one that
    is not to be chosen there.
    """
    found = []
    for name, source in choice.sources().items():
        one = {"role": source["role"], "vendors": [vendor for vendor in source["vendors"] if wish(values, vendor) in (None, name)]}
        if is_listed(values, name) and choice.is_ours(source["role"], values) and name in choice.PROGRAMS:
            program = choice.PROGRAMS[name](values)
            if "urls" in program:
                # Where nothing else can be chosen, or this was asked for by name, the role finds out.
                one["vendors"] = [vendor for vendor in one["vendors"] if wish(values, vendor) is None and len(choice.preferred(vendor)) > 1]
            if one["vendors"]:
                one.update(program)
        found.append(one)
    return found if any(len(one) > 2 for one in found) else []


Suitable = collections.namedtuple("Suitable", "source better problem")


def first_suitable(values, facts, vendor):
    """The best source that can read a vendor on this host, of those whose program it can get; if there is none of these, the best of all.

    better: (source, why not, setting) of the best that suits it but cannot be got; problem: the Unsuitable of the last that does not suit
    """
    problem, best, better = None, None, None
    for source in choice.preferred(vendor):
        if not is_listed(values, source):
            continue
        try:
            choice.check(source, [vendor], values, facts)
            best = best or source
            choice.check_obtainable(source, [vendor], values, facts)
            return Suitable(source, better, None)
        except choice.Unsuitable as error:
            problem = error
        except choice.Unobtainable as error:
            better = better or (source, str(error), error.setting)
    return Suitable(best, None, None if best else problem)


def choose(values, facts, stage="first"):
    """The Choice for a host."""
    vendors = present(values, facts)
    found = {vendor: _final(values, facts, vendor) for vendor in vendors}
    final = {vendor: suitable.source for vendor, suitable in found.items()}
    wanted = _wanted(values, facts, [_role_of(source) for source in final.values() if source])
    installed = _installed(values, facts)
    others = [role for role in installed if role not in wanted]
    retired = [] if values["accelmon_phase"] == "image" else [role for role in others if _is_replaced(role, values, vendors, final)]
    running = wanted if stage == "retired" else wanted + others
    charge = _until_elected(values, wanted, installed, final) if stage == "first" and facts is not None else dict(final)
    better = {vendor: suitable.better for vendor, suitable in found.items() if suitable.better}
    return Choice(wanted, vendors, charge, final, running, retired, better)


def _role_of(source):
    return choice.sources()[source]["role"]


def _installed(values, facts):
    """Exporter roles of ours that are on the host and are a source of metrics of accelerators."""
    known = [_role_of(source) for source in choice.sources()]
    return [role for role in (facts["exporters"] if facts is not None else ()) if role in known and choice.is_ours(role, values)]


def _until_elected(values, wanted, installed, final):
    """{vendor: source in charge} while an exporter that is not on the host yet waits: the best of those that are there goes on."""
    there = set(installed) | {role for role in wanted if not choice.is_ours(role, values)}
    charge = {}
    for vendor, source in final.items():
        charge[vendor] = source
        if source and _role_of(source) not in there:
            charge[vendor] = next((other for other in choice.preferred(vendor) if _role_of(other) in there), source)
    return charge


def _final(values, facts, vendor):
    source = wish(values, vendor)
    if source and is_absent(values, source):
        return Suitable(None, None, None)
    return Suitable(source, None, None) if source and is_listed(values, source) else first_suitable(values, facts, vendor)


def _wanted(values, facts, elected):
    if values["accelmon_exporters"] != "auto":
        return sorted(values["accelmon_exporters"], key=lambda role: (role in RIDING_EXPORTERS, role))
    known = PORT_EXPORTERS + tuple(RIDING_EXPORTERS)
    return [role for role in known if role in elected or (role == "node_exporter" and not is_macos(facts))]


def _is_replaced(role, values, vendors, final):
    """Whether nobody needs an exporter any more. One whose devices are all gone stays: they may come back, and nothing else reads them."""
    if values["accelmon_exporters"] != "auto" or values.get(f"{role}_state") == "absent":
        return True
    read = [vendor for vendor in vendors if vendor in choice.sources()[choice.source_of(role)]["vendors"]]
    return bool(read) and all(final[vendor] for vendor in read)


def has_heir(chosen):
    """Whether devices that an exporter read which goes are read by another from now on."""
    sources = [choice.sources()[choice.source_of(role)] for role in chosen.retired]
    return any(chosen.final[vendor] for source in sources for vendor in chosen.present if vendor in source["vendors"])


def is_macos(facts):
    """Whether the host has no systemd and never will."""
    return facts is not None and facts["distribution"] == "macos"


def unmonitored(chosen, facts):
    """Vendors of which the host has devices that no exporter of it reads, sorted."""
    found = [vendor for vendor in chosen.present if not chosen.charge.get(vendor)]
    # GPUs inside a Tegra, beside others.
    found += [vendor for vendor, source in chosen.charge.items()
              if source == "textfile" and facts["summary"].get(vendor, {}).get("embedded")]
    return sorted(found)


def check_sources(values, facts, chosen):
    """Raises Problem, with the variable and its value, when an exporter that was asked for cannot do its work on the host."""
    asked = asked_sources(values, facts, chosen)
    for source, vendors in asked.items():
        _check("accelmon_accelerator_source", source, source, vendors, values, facts)
    if values["accelmon_exporters"] != "auto":
        for role in chosen.wanted:
            source = choice.source_of(role)
            if source and source not in asked and values.get(f"{role}_state") != "absent":
                reads = [vendor for vendor in chosen.present if vendor in choice.sources()[source]["vendors"]]
                in_charge = [vendor for vendor in reads if chosen.final[vendor] == source]
                _check("accelmon_exporters", chosen.wanted, source, in_charge or reads, values, facts)
    check_hooks(values, facts, chosen)


def check_hooks(values, facts, chosen):
    """Raises Unsuitable if nothing on the host reads what Slurm's hooks write about its devices."""
    reader = not is_absent(values, "textfile") and ("textfile_collector" in chosen.wanted or "kernel_log" in kernel_log(values, chosen, facts))
    if values["accelmon_slurm_hooks"] and not reader and set(chosen.present).intersection(LOGGED):
        raise choice.Unsuitable("the textfile collector, which reads what the hooks write, would not run there; leave accelmon_exporters and "
                                "node_exporter_managed at their defaults, or list it in accelmon_exporters", "accelmon_slurm_hooks", "true")


def asked_sources(values, facts, chosen):
    """{source: [vendor]} of the sources that the inventory asks for by name. Raises Problem for one that cannot be had at all."""
    asked = {}
    for vendor in chosen.present:
        source = wish(values, vendor)
        if source and is_listed(values, source):
            asked.setdefault(source, []).append(vendor)
        elif source and chosen.final[vendor]:
            raise choice.Unsuitable(f"it needs the role {choice.sources()[source]['role']}, which accelmon_exporters does not list; "
                                    "make them agree", "accelmon_accelerator_source", source)
        elif chosen.final[vendor] is None:
            problem = first_suitable(values, facts, vendor).problem
            if problem is not None and problem.variable:
                raise problem
    return asked


def _check(name, value, source, vendors, values, facts):
    try:
        choice.check(source, vendors, values, facts)
        choice.check_known(source, vendors, values, facts)
    except choice.Unsuitable as problem:
        if problem.variable is None:
            problem.variable, problem.value = name, value
        raise


def roles_to_run(values, chosen, facts, monitoring):
    """What to run on the host: `access` first, its backend, Grafana, then its exporters. One that someone else manages is scraped all the same.

    `<role>_adopted` proves that somebody else's serves us; `<role>_retired` takes one away, after the `election` of another. `kernel_log` is the
    textfile collector without devices to read, last, since it may be retired before. `links` records the links that it has read.
    monitoring: whether the host scrapes the fleet
    """
    roles = ["access"] if needs_access(values, facts, monitoring) else []
    if monitoring:
        roles += [values["accelmon_backend"]] + ["grafana"] * values["accelmon_grafana"] + ["backup"] * bool(values["accelmon_backup_directory"])
    for role in chosen.wanted:
        managed = values.get(f"{role}_managed", "install")
        if managed == "adopt":
            # In an image nothing runs yet that could prove anything.
            if values["accelmon_phase"] != "image":
                roles.append(f"{role}_adopted")
        elif managed == "install":
            roles.append("all_smi_macos" if role == "all_smi" and is_macos(facts) else role)
    if chosen.retired or chosen.charge != chosen.final:
        roles.append("election")
    roles += [f"{role}_retired" for role in chosen.retired]
    roles += kernel_log(values, chosen, facts) + slurm_programs(values, facts) + ["slurm_hooks"] * values["accelmon_slurm_hooks"]
    return roles + links(roles, facts)


def links(roles, facts):
    """["links"] if this run brings what reads links to the host: its record at the beginning of the run cannot have them."""
    readers = {"textfile_collector", "kernel_log"}
    return ["links"] * (facts is not None and bool(readers.intersection(roles)) and not readers.intersection(facts["exporters"]))


def kernel_log(values, chosen, facts):
    """[what becomes of the textfile collector for the kernel's log alone]: other exporters read all devices, and miss some errors.

    Like an exporter it stays when its devices are gone.
    """
    if "textfile_collector" in chosen.wanted:
        return []
    may = ("node_exporter" in chosen.wanted and choice.is_ours("node_exporter", values) and values["accelmon_exporters"] == "auto"
           and not is_absent(values, "textfile"))
    if not may:
        return ["textfile_collector_retired"] * (facts is not None and "kernel_log" in facts["exporters"])
    return ["kernel_log"] * bool(set(chosen.present).intersection(LOGGED))


def slurm_programs(values, facts):
    """[what becomes of each program of a Slurm controller]."""
    wanted = {"slurm_collector": values["accelmon_slurm_controller"],
              "slurm_drain": values["accelmon_slurm_controller"] and values["accelmon_drain"] != "none"}
    return [role if wanted[role] else f"{role}_retired" for role in wanted if wanted[role] or facts is not None and role in facts["exporters"]]


def asks_for_verdicts(values):
    """Whether the host drains nodes of Slurm and asks the storages of the fleet for verdicts."""
    return (values["accelmon_slurm_controller"] and values["accelmon_drain"] != "none" and values["slurm_drain_state"] != "absent"
            and not values["slurm_drain_storage_urls"])


def needs_access(values, facts, monitoring):
    """Whether secrets or certificates belong on the host, or are there and have to go."""
    closed = is_closed(values["accelmon_exporter_tls"], values["accelmon_exporter_auth"]) and not values["accelmon_scrape_only"]
    return monitoring or closed or asks_for_verdicts(values) or bool(facts and facts["access"])


def exporters(values, chosen):
    """The exporter entries of the host's record: our own, then the custom ones."""
    entries = [own_exporter(values, chosen, role) for role in PORT_EXPORTERS if role in chosen.running and values[f"{role}_state"] != "absent"]
    if values["accelmon_slurm_controller"] and values["slurm_collector_state"] != "absent":
        # A target of its own: what it says is about other hosts, which no exporter of a node may.
        page = ("port", "scheme", "path", "requires")
        entries += [{"job": "slurm_collector", **{name: one[name] for name in page if name in one}, "elected": [], "standby": []}
                    for one in entries if one["job"] == "node_exporter"]
    return entries + [dict(custom, elected=[], custom=True) for custom in values["accelmon_custom_exporters"]]


def own_exporter(values, chosen, role):
    """The entry of one exporter that has a port: where it is scraped, and the vendors that it is in charge of or stands by for."""
    return {"job": role, **scraped_at(values, role), **charges(chosen, role)}


def scraped_at(values, role):
    """{port, scheme, path, requires?}: where an exporter is scraped, and what it asks for."""
    ours = choice.is_ours(role, values)
    guarded = ours or bool(values["accelmon_scrape_only"] and values["accelmon_kubernetes_secret"] and role in WITH_WEB)
    found = {"port": values[f"{role}_port"], "scheme": "https" if guarded and values["accelmon_exporter_tls"] != "none" else "http",
             "path": values[f"{role}_metrics_path"] if not ours or role in OWN_PAGES else "/metrics"}
    demands = required(values["accelmon_exporter_tls"], values["accelmon_exporter_auth"], values["accelmon_tls_client_auth"])
    return {**found, "requires": demands} if guarded and demands else found


def charges(chosen, role):
    """{elected, standby, source?}: vendors that an exporter is in charge of or stands by for, and as what source."""
    source = next((name for name, one in choice.sources().items() if one["job"] == role and one["role"] in chosen.running), None)
    elected = [vendor for vendor in chosen.present if source and chosen.charge[vendor] == source]
    reads = choice.sources()[source]["vendors"] if source else ()
    standby = [vendor for vendor in chosen.present if vendor in reads and vendor not in elected]
    found = {"elected": elected, "standby": standby}
    return {**found, "source": source} if elected or standby else found


def listen_address(values, address, facts):
    """The address for the host's exporters to listen on: its own, else `accelmon_listen`; "" means all.

    An image is not the host that it will run on, and has no address of its own.
    """
    if values["accelmon_phase"] != "image" and facts is not None and is_own(address, facts["addresses"]):
        return address
    return values["accelmon_listen"]


def check_drivers(facts):
    """Raises Problem when counted devices have no working driver."""
    without = driverless(facts["summary"])
    if not without:
        return
    devices = [device for device in facts["devices"]
               if device.get("state") in DRIVERLESS and device.get("kind") != "virtual_function" and device.get("vendor") in without]
    what = " and ".join(f"{count} {vendor} accelerator{'s' if count > 1 else ''}" for vendor, count in sorted(without.items()))
    have = "has" if sum(without.values()) == 1 else "have"
    named = ", ".join(_device_words(device) for device in devices[:3])
    if len(devices) > 3:
        named += f" and {len(devices) - 3} more"
    fixes = sorted({DRIVERLESS[device["state"]] for device in devices}) or [DRIVERLESS["driver_missing"]]
    raise Problem(f"{what} {have} no working driver ({named}); {', '.join(fixes)}, "
                  "or set accelmon_driver_missing to ignore to monitor the host without them")


def _device_words(device):
    words = [device.get("model"), device.get("pci_id"), device.get("pci_address")]
    unique = [word for number, word in enumerate(words) if word and not any(word in other for other in words[:number] if other)]
    return f"{' '.join(unique)} {device['state']}"
