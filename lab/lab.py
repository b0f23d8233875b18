# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab: Debian hosts with systemd in containers, with simulated accelerators, for the tests and the demo.

Needs podman and Python 3.9 or newer, and mmdebstrap unless ACCELMON_LAB_BASE names a stock image (docker.io/library/debian).
Everything it builds lies below ${XDG_CACHE_HOME:-~/.cache}/accelmon and in podman's storage; nothing in the checkout.
"""

import argparse
import json
import sys

# Nothing is left behind in the checkout.
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import engine
import hardware
import hosts
import images


def arguments(argv):
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name, text, named=True):
        sub = commands.add_parser(name, help=text, description=text)
        if named:
            sub.add_argument("--name", required=True, help="the lab's name")
        return sub

    command("images", "Build the images that are missing.", named=False).add_argument("releases", nargs="*", metavar="RELEASE")
    command("tools", "Print a folder with promtool, vmalert-tool and the other packaged programs.", named=False)
    command("up", "Make a lab have exactly these hosts, running.").add_argument(
        "--hosts", required=True, help="a file with a JSON list of {name, image, devices, groups, publish, network}, or - for standard input")
    command("down", "Remove all that up made.")
    command("inventory", "Print the Ansible inventory of a lab as JSON.")
    for name, text in (("stop", "Shut a host down."), ("start", "Boot a stopped host."), ("reboot", "Boot a host again."),
                       ("offline", "Take a host's default route."), ("online", "Give a host its default route back."),
                       ("canary", "Fail unless systemd's sandboxing acts in a host.")):
        command(name, text).add_argument("host")
    device = command("device", "List a host's simulated accelerators, take one out, or put it back.")
    device.add_argument("action", choices=("list", "remove", "restore"))
    device.add_argument("host")
    device.add_argument("device", nargs="?", help="a PCI address, or a number in bus order from 0")
    return parser.parse_args(argv)


def main(argv):
    """Run one command. Return the exit status."""
    options = arguments(argv)
    if options.command == "images":
        for name in images.build_all(options.releases or images.PREFETCH).values():
            print(name)
        return 0
    if options.command == "tools":
        print(images.tools())
        return 0
    lab = hosts.Lab(options.name)
    if options.command == "up":
        with (sys.stdin if options.hosts == "-" else open(options.hosts)) as stream:
            changed = hosts.up(lab, json.load(stream))
        print("changed=%d" % changed)
    elif options.command == "down":
        print("removed=%d" % hosts.down(lab))
    elif options.command == "inventory":
        print(json.dumps(hosts.inventory(lab), indent=2))
    elif options.command == "device":
        with lab.locked():
            known = lab.known(options.host)
            if options.action == "list":
                for number, (device, present) in enumerate(hardware.accelerators(lab.host_folder(options.host), options.host, known["devices"])):
                    print("%s %-8s %-12s %s" % (device.address, device.vendor, device.model, "present" if present else "removed"))
            elif options.device is None:
                raise hardware.Error("device %s: name a PCI address or a number" % options.action)
            else:
                hosts.device(lab, options.host, options.device, options.action == "restore")
    else:
        with lab.locked():
            action = {"stop": hosts.stop, "start": hosts.start, "reboot": hosts.reboot, "canary": hosts.canary}.get(options.command)
            if action:
                lab.known(options.host)
                action(lab, options.host)
            else:
                hosts.route(lab, options.host, options.command == "online")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (hardware.Error, json.JSONDecodeError, OSError) as error:
        engine.say("error: %s" % error)
        sys.exit(1)
