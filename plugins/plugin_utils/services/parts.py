# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands beside a service: a front, which listens in its stead, and a watch, which restarts it when it hangs."""
from ansible_collections.accelmon.fleet.plugins.module_utils import paths
from ansible_collections.accelmon.fleet.plugins.module_utils.host.systemd import part_name, unit_name, user_name
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.targets import instance
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.exporters import GROUP, is_closed
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.units import unit_text, word

# Isolated from the environment and from site packages.
ISOLATED = "-IS"
WATCH_SECONDS = 30


def folder(name):
    """Where the programs of a service's parts are. Not the folder of its release, which has nothing else in it."""
    return f"{paths.PROGRAMS}/{name}_parts"


def is_path(place):
    """Whether a place is a Unix socket; raises Problem if it is no place at all."""
    if place.startswith("/"):
        return True
    address, _colon, port = place.rpartition(":")
    if not address or not port.isdigit():
        raise Problem(f"to = {place}: not an endpoint; use the path of a Unix socket, or ADDRESS:PORT")
    return False


def front_socket(name, listen):
    """The socket unit: where systemd listens."""
    return unit_text({
        "Unit": {"Description": f"Where {name} of accelmon.fleet is asked"},
        "Socket": {
            "ListenStream": word(instance(listen["address"], listen["port"]) if listen["address"] else listen["port"]),
            # An address that is not there yet at boot must not end it.
            "FreeBind": True,
        },
        "Install": {"WantedBy": "sockets.target"},
    }, daemon=False)


def front_service(name, to, tls, auth, pages, python):
    """The service unit that answers there.

    systemd's own proxy would cost less. But whoever opens as many connections as it takes, and says nothing, has it for himself.
    """
    closed = is_closed(tls, auth)
    command = [python, ISOLATED, f"{folder(name)}/accelmon_front.py", f"--to={to}"]
    command += [f"--config={paths.EXPORTER_WEB}"] * closed + ["--tls"] * (tls != "none") + ["--auth"] * (auth != "none") + ["--open"] * (not closed)
    command += [f"--page={page}" for page in pages]
    families = "AF_UNIX" if is_path(to) else "AF_UNIX AF_INET AF_INET6"
    return unit_text({
        "Unit": {
            "Description": f"What answers for {name} of accelmon.fleet",
            "Requires": part_name(name, "front.socket"),
            "After": [part_name(name, "front.socket"), unit_name(name)],
            "StartLimitIntervalSec": 0,
        },
        "Service": {
            "Type": "simple",
            "ExecStart": command,
            "Restart": "on-failure",
            "RestartSec": 1,
            # The service's own user: a Unix socket is often open to its owner alone.
            "User": user_name(name),
            "SupplementaryGroups": GROUP if closed else None,
            # Connections come through a socket that systemd made; of its own it needs the one to the program.
            "RestrictAddressFamilies": families,
            "MemoryMax": "128M",
            "TasksMax": 64,
            "LimitNOFILE": 1024,
            "X-Accelmon-Access": f"tls={tls} auth={auth}",
        },
    }, daemon=False)


def private_front_service(name, to, python):
    """The service unit that passes connections on into the network that the service alone has with its agent, who asks who comes."""
    if is_path(to):
        raise Problem(f"service_front of {name}: to = {to}: a Unix socket has no network; use ADDRESS:PORT")
    joined = f"{unit_name(name)} {part_name(name, 'agent.service')}"
    return unit_text({
        "Unit": {
            "Description": f"What leads to {name} of accelmon.fleet",
            "Requires": part_name(name, "front.socket"),
            "After": f"{part_name(name, 'front.socket')} {joined}",
            "JoinsNamespaceOf": joined,
            "StartLimitIntervalSec": 0,
        },
        "Service": {
            "Type": "simple",
            "ExecStart": [python, ISOLATED, f"{folder(name)}/accelmon_pass.py", f"--to={to}"],
            "Restart": "on-failure",
            "RestartSec": 1,
            "User": user_name(name),
            "PrivateNetwork": True,
            "MemoryMax": "256M",
            "TasksMax": 64,
            "LimitNOFILE": 4096,
        },
    }, daemon=False)


def watch_service(name, health, directory, python):
    """The service unit that asks once."""
    command = [python, ISOLATED, f"{folder(name)}/accelmon_watch.py", f"--name={name}", f"--unit={unit_name(name)}", f"--to={health['to']}",
               f"--page={health.get('page') or '/metrics'}", f"--rows={health.get('rows') or ''}", f"--ready={health.get('ready') or ''}",
               f"--state={watch_state(name)}", f"--output={watch_output(name, directory)}"]
    is_path(health["to"])
    return unit_text({
        "Unit": {"Description": f"Restart {name} of accelmon.fleet if it hangs"},
        "Service": {
            "Type": "oneshot",
            # Root, to ask systemd for the restart; with one capability, to reach a socket that is its owner's and a directory that may be anybody's.
            "User": "root",
            "CapabilityBoundingSet": "CAP_DAC_OVERRIDE",
            "ExecStart": command,
            "StateDirectory": "accelmon/watch",
            "ReadWritePaths": word(f"-{directory}"),
            "TimeoutStartSec": 60,
            "LogLevelMax": "notice",
            "SyslogLevel": "warning",
        },
    }, daemon=False)


def watch_timer(name):
    """The timer unit that starts it."""
    return unit_text({
        "Unit": {"Description": f"Timer of the watch over {name} of accelmon.fleet"},
        "Timer": {"OnActiveSec": WATCH_SECONDS, "OnUnitActiveSec": WATCH_SECONDS, "AccuracySec": "5s"},
        "Install": {"WantedBy": "timers.target"},
    }, daemon=False)


def watch_state(name):
    """What the watch keeps between runs."""
    return f"{paths.STATE}/watch/{name}.json"


def watch_output(name, directory):
    """The file with the counter of restarts."""
    return f"{directory}/accelmon_exporter_{name}.prom"


def parts(name, listen, front, health, watch, tls, auth, directory, python):
    """{"units": {"front.socket": text, …}, "programs": [names], "leaves": [paths]} of a service.

    listen: [{address, port, …}]; front: {to, pages?, private?} or {}; health: {to, page?, ready?, rows?} or {}
    python: the interpreter; programs: which of the role's files it needs, beside folder(name)
    """
    units, programs, leaves = {}, [], []
    if front:
        if not front.get("to") or not listen:
            raise Problem(f"service_front of {name} = {front}: set `to` and add an entry to service_listen")
        units["front.socket"] = front_socket(name, listen[0])
        if front.get("private"):
            units["front.service"] = private_front_service(name, str(front["to"]), python)
            programs = ["accelmon_pass.py"]
        else:
            units["front.service"] = front_service(name, str(front["to"]), tls, auth, front.get("pages") or ["/metrics"], python)
            programs = ["accelmon_front.py", "accelmon_bcrypt.py", "accelmon_command.py", "accelmon_inner.py"]
    if watch:
        if not health.get("to"):
            raise Problem(f"service_health of {name} = {health}: service_watch needs an endpoint to check; set `to`")
        units["watch.service"] = watch_service(name, health, directory, python)
        units["watch.timer"] = watch_timer(name)
        programs += ["accelmon_watch.py"] + ["accelmon_inner.py"] * ("accelmon_inner.py" not in programs)
        leaves = [watch_state(name), watch_output(name, directory)]
    return {"units": units, "programs": programs, "leaves": leaves}
