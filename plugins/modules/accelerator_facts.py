#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: accelerator_facts
short_description: Gather facts on the accelerators of a host
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
description:
  - Finds the accelerators of a host, their driver state and their identity.
  - Supports NVIDIA, AMD and discrete Intel GPUs, NVIDIA Jetson, Intel Gaudi, Google TPU, Tenstorrent, Rebellions, Furiosa,
    AWS Inferentia and Trainium, and Apple Silicon.
  - Only reads C(/sys), C(/proc) and C(/dev); on macOS, which lacks these, a few kernel values.
  - Needs no root, starts no process and opens no device unless O(gather_details) or O(sources) is set.
  - Look-alikes are not listed, such as NVSwitches, audio and USB functions of a GPU, the VGA function of a management
    controller, chipset graphics, integrated graphics and NPUs (except where they are the machine's main purpose, as with
    GB10 and Strix Halo), and cloud providers' network cards and disks.
author:
  - accelmon.fleet contributors (@accelmon)
options:
  gather_details:
    description:
      - Also run the vendor's own tool (C(nvidia-smi), C(amd-smi), else C(rocm-smi)), once per vendor whose driver is bound to a device.
        Other vendors' tools are not run.
      - Adds what files do not provide, such as the memory size and serial number of an NVIDIA GPU.
      - The tool and all its children are killed after O(details_timeout). A missing, hanging or failing tool is recorded and
        does not fail the module.
      - A tool may wake sleeping devices.
      - In check mode the tools are not run, because C(nvidia-smi) may load a kernel module and create device nodes.
    type: bool
    default: false
  details_timeout:
    description:
      - Seconds that one vendor tool may run.
    type: int
    default: 20
  sources:
    description:
      - Programs that could read devices of the host, to learn which of them it could not get. What C(accelmon.fleet._source_questions)
        gives.
      - The package manager is asked for what it already knows (C(apt-cache), else C(dnf) and C(rpm)), without network access. Only a host whose
        devices no exporter of the collection reads yet connects to a URL.
    type: list
    elements: dict
    default: []
    suboptions:
      role:
        description: Role that installs the program.
        type: str
        required: true
      vendors:
        description: Vendors whose devices it reads. Skipped on hosts without such devices, or that already have the role's exporter.
        type: list
        elements: str
        required: true
      packages:
        description: Package names and versions, as upstream writes them.
        type: dict
        default: {}
      urls:
        description: URLs of its release by architecture, if it is not packaged.
        type: dict
        default: {}
attributes:
  check_mode:
    description: Can run in check mode and returns the same, except for the details.
    support: full
  diff_mode:
    description: Returns what was changed, for O(ignore:--diff).
    support: none
    details: The module changes nothing.
"""

EXAMPLES = r"""
- name: Find the accelerators
  accelmon.fleet.accelerator_facts:

- name: Find the accelerators and query nvidia-smi or amd-smi for memory sizes and serial numbers
  accelmon.fleet.accelerator_facts:
    gather_details: true
    details_timeout: 30

- name: Stop if a GPU has no driver
  ansible.builtin.assert:
    that: "'driver_missing' not in (ansible_facts['accelerators'].summary.nvidia | default({'states': {}})).states"
"""

RETURN = r"""
ansible_facts:
  description: The facts. A key with an unknown value is absent, never 0 or empty.
  returned: always
  type: dict
  contains:
    accelerators:
      description: The accelerators of the host.
      type: dict
      returned: always
      contains:
        devices:
          description: Every accelerator, sorted by vendor and PCI address.
          type: list
          elements: dict
          returned: always
          contains:
            vendor:
              description:
                - The vendor, V(nvidia), V(amd), V(intel_gaudi), V(intel_gpu), V(google_tpu), V(tenstorrent), V(rebellions), V(furiosa),
                  V(aws_neuron) or V(apple).
              type: str
              returned: always
              sample: nvidia
            model:
              description:
                - The collection's name for the PCI ID, the same with and without a driver.
                - For an unknown ID, the vendor and the ID, such as V(NVIDIA 10de:abcd).
              type: str
              returned: when the PCI id is known
              sample: NVIDIA H100 SXM5 80GB
            product:
              description: The driver's name for the device.
              type: str
              returned: when a driver tells
              sample: NVIDIA H100 80GB HBM3
            pci_id:
              description: Vendor and device id.
              type: str
              returned: when PCI shows the device
              sample: "10de:2330"
            pci_address:
              description: Domain, bus, device and function, in lower case as sysfs writes them.
              type: str
              returned: except for the GPU inside a Jetson or a Mac
              sample: "0000:1b:00.0"
            kind:
              description:
                - What the device is, V(gpu), V(npu), V(tpu) or V(virtual_function).
                - V(virtual_function) is a function that a device of this host offers to virtual machines. Inside the virtual machine
                  it appears as an ordinary device.
              type: str
              returned: always
              sample: gpu
            state:
              description:
                - V(ready), bound to its driver, and its device nodes exist.
                - V(driver_missing), no driver is bound and its module is not loaded.
                - V(driver_unbound), the module is loaded, but the device is not bound to it.
                - V(wrong_driver), bound to a driver that does not support compute, such as nouveau.
                - V(passthrough), assigned to virtual machines.
                - V(no_device_nodes), bound, but its nodes in C(/dev) are missing.
                - V(permission_denied), the nodes exist, but the module's user cannot access them.
                - V(lost), known to the driver or to PCI, but it does not answer.
                - V(excluded), not counted, because the driver was configured to skip it, or because no driver is bound to it and it is
                  switched off or no current driver supports it.
                - V(virtual), a virtual function that no virtual machine uses.
              type: str
              returned: always
              sample: ready
            driver:
              description: The kernel driver that the device is bound to.
              type: str
              returned: when bound
              sample: nvidia
            driver_version:
              description: The version of the loaded driver.
              type: str
              returned: when bound to the vendor's driver and that has a version
              sample: 550.90.07
            uuid:
              description:
                - C(GPU-...) for NVIDIA, the die's unique id in sixteen hexadecimal digits for AMD, the chip's id for Tenstorrent, the
                  card's for Furiosa.
              type: str
              returned: when known
              sample: GPU-9221d5d1-b60b-a624-bf14-0a1819cfda3b
            serial:
              description: The serial number.
              type: str
              returned: when known, for NVIDIA only with O(gather_details)
              sample: "1654422004321"
            vbios:
              description: The version of the device's firmware.
              type: str
              returned: when known
              sample: 96.00.99.00.01
            memory_bytes:
              description: The size of the device's memory.
              type: int
              returned: when known, for NVIDIA only with O(gather_details), for TPUs by their generation
              sample: 85520809984
            chips:
              description: The number of chips behind the one PCI function.
              type: int
              returned: for a Tenstorrent n300
              sample: 2
            numa_node:
              description: The NUMA node that the device is attached to.
              type: int
              returned: when the firmware names one
              sample: 0
            partitions:
              description:
                - How the device is divided. C(mode) is V(MIG) or AMD's compute partition mode such as V(CPX), C(count) the number
                  of parts.
              type: dict
              returned: when it is divided
              sample: {mode: MIG, count: 7}
            index:
              description: The vendor tool's number for the device. It may change with every boot.
              type: int
              returned: with O(gather_details)
              sample: 0
            mig_mode:
              description: Whether MIG is V(enabled) or V(disabled).
              type: str
              returned: with O(gather_details), for NVIDIA GPUs that have it
              sample: disabled
            ecc_mode:
              description: Whether ECC is V(enabled) or V(disabled).
              type: str
              returned: with O(gather_details), for NVIDIA GPUs that have it
              sample: enabled
        uncounted:
          description:
            - Devices bound to a vendor's driver that are not counted, mainly integrated graphics. Exporters show them as devices of the vendor.
          type: list
          elements: dict
          returned: when there is any, for AMD and Intel
          contains:
            vendor:
              description: The vendor it is shown as.
              type: str
              returned: always
              sample: amd
            pci_address:
              description: Domain, bus, device and function.
              type: str
              returned: always
              sample: "0000:c5:00.0"
        summary:
          description:
            - Per vendor, the devices this host can use. Virtual functions, devices assigned to virtual machines and excluded ones
              are not counted. A vendor with nothing to count has no key.
            - C(count) devices, C(models) and C(states) with the number of devices each, C(driver_version), C(partitions) with the
              number of parts per mode, C(vendor_note).
            - C(embedded), the number of devices that the vendor's usual tool cannot read because they are part of a system on a chip.
            - C(driver_only) is true if the driver is loaded but there is no device.
          type: dict
          returned: always
          sample:
            nvidia:
              count: 8
              models: {NVIDIA H100 SXM5 80GB: 8}
              states: {ready: 8}
              driver_version: 550.90.07
        details:
          description:
            - For each vendor whose tool was to be run, C(status), and a C(message) if that is not V(ok).
            - V(ok); V(missing), no tool is installed; V(hung), it did not finish properly and was killed; V(failed);
              V(skipped), in check mode.
          type: dict
          returned: with O(gather_details)
          sample:
            nvidia: {status: ok}
    accelmon_node:
      description: What the fleet needs to know about the host itself.
      type: dict
      returned: always
      contains:
        architecture:
          description: The architecture, by its Go name.
          type: str
          returned: always
          sample: amd64
        distribution:
          description: The C(ID) of os-release.
          type: str
          returned: when known
          sample: debian
        distribution_version:
          description: The C(VERSION_ID) of os-release.
          type: str
          returned: when known
          sample: "12"
        python_version:
          description: The version of the Python that ran the module.
          type: str
          returned: always
          sample: 3.11.2
        addresses:
          description: The host's own IPv4 and IPv6 addresses, without loopback and link-local ones.
          type: list
          elements: str
          returned: always
          sample: [10.0.0.5, "2001:db8::5"]
        systemd:
          description: Whether systemd runs the host.
          type: bool
          returned: always
          sample: true
        access:
          description: Whether a previous run protected this host's exporters with TLS or a password.
          type: bool
          returned: always
          sample: false
        libc:
          description: The C library, C(name) V(glibc) or V(musl) and, when known, C(version).
          type: dict
          returned: when known
          sample: {name: glibc, version: "2.36"}
        container_runtimes:
          description: Programs on the host that run containers, of C(podman) and C(docker).
          type: list
          elements: str
          returned: always
          sample: [podman]
        exporters:
          description: The collection's exporter roles whose unit is on the host.
          type: list
          elements: str
          returned: always
          sample: [node_exporter, textfile_collector]
        programs:
          description:
            - Programs that C(upgrade.yml) looks after, by role. C(source) is V(release) for what comes from an archive, or V(package).
              C(version) and, of an archive, C(sha256) are there where they are known. C(before) is the same of what a killed run of C(upgrade.yml)
              has replaced and not compared with it, and C(at), when.
          type: dict
          returned: when there are any
          sample: {node_exporter: {source: release, version: 1.9.1}}
        lacking:
          description:
            - Roles in O(sources) whose program the host could not get, and why. V(package), its package manager does not know that
              version; V(version), another version is installed, but not by the collection; V(address), the release URL does not answer.
          type: dict
          returned: with O(sources)
          sample: {dcgm_exporter: package}
        hostengine:
          description: Whether systemd runs NVIDIA's C(nv-hostengine).
          type: bool
          returned: always
          sample: false
        links:
          description:
            - How many links are up, C(nvlink) and C(xgmi) of each device, C(infiniband) ports of the host. Of a device, it is the number
              that most devices have, as the textfile collector last wrote it; where no number has a majority, it is missing.
          type: dict
          returned: when known
          sample: {nvlink: 18, infiniband: 8}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import accelerators, node, obtainable


def main():
    module = AnsibleModule(
        argument_spec=dict(
            gather_details=dict(type="bool", default=False),
            details_timeout=dict(type="int", default=20),
            sources=dict(type="list", elements="dict", default=[], options=dict(
                role=dict(type="str", required=True),
                vendors=dict(type="list", elements="str", required=True),
                packages=dict(type="dict", default={}),
                urls=dict(type="dict", default={}),
            )),
        ),
        supports_check_mode=True)
    timeout = module.params["details_timeout"]
    if timeout < 1:
        module.fail_json(msg="details_timeout = %d: vendor tools need at least 1 second; raise it" % timeout)
    facts = accelerators.detect()
    if module.params["gather_details"]:
        facts["details"] = accelerators.skip_details(facts) if module.check_mode else accelerators.ask_details(facts, timeout)
    told = node.describe()
    if module.params["sources"]:
        vendors = [vendor for vendor, summary in facts["summary"].items() if summary.get("count")]
        told["lacking"] = obtainable.lacking(module.params["sources"], vendors, told["exporters"], told["architecture"])
    module.exit_json(changed=False, ansible_facts={"accelerators": facts, "accelmon_node": told})


if __name__ == "__main__":
    main()
