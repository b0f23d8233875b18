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
description:
  - Finds the accelerators of a host, the state that their drivers have them in, and who they are.
  - Knows GPUs of NVIDIA, AMD and Intel (discrete ones), NVIDIA Jetson, Intel Gaudi, Google TPU, Tenstorrent, Rebellions, Furiosa,
    AWS Inferentia and Trainium, and Apple Silicon.
  - Reads C(/sys), C(/proc) and C(/dev) only; on macOS, which has none of them, a few values of the kernel.
  - It needs no root, starts no process and opens no device, unless O(gather_details) or O(sources) are set.
  - Look-alikes are not listed, such as NVSwitch, audio and USB functions of a GPU, the VGA function of a management
    controller, graphics inside a chipset, graphics and NPUs inside a processor (except where they are what the machine is made for, as in
    GB10 and Strix Halo), and the network cards and disks of cloud providers.
author:
  - accelmon.fleet contributors (@accelmon)
options:
  gather_details:
    description:
      - Also ask the vendor's own tool (C(nvidia-smi), C(amd-smi), else C(rocm-smi)), once per vendor whose driver holds a device. The
        other vendors' tools are not asked.
      - Adds what no file tells, such as the memory size and the serial number of an NVIDIA GPU.
      - The tool is killed with all its children after O(details_timeout). That it is missing, hangs or fails is recorded and
        is no failure of the module.
      - A tool may wake devices that sleep.
      - In check mode the tools are not asked, because C(nvidia-smi) may load a module and make device nodes.
    type: bool
    default: false
  details_timeout:
    description:
      - For how many seconds one vendor tool may run.
    type: int
    default: 20
  sources:
    description:
      - Programs that could read devices of the host, to learn which of them it could not get. What C(accelmon.fleet._source_questions)
        gives.
      - The package manager is asked what it knows already (C(apt-cache), else C(dnf)), without a network. Only a host whose devices
        nothing of ours reads yet calls an address.
    type: list
    elements: dict
    default: []
    suboptions:
      role:
        description: The role that brings the program.
        type: str
        required: true
      vendors:
        description: Vendors whose devices it reads. Nothing is asked on a host without them, or with the exporter of the role.
        type: list
        elements: str
        required: true
      packages:
        description: Names of packages and their versions, as upstream writes them.
        type: dict
        default: {}
      urls:
        description: Addresses of its release by architecture, where it comes in no package.
        type: dict
        default: {}
attributes:
  check_mode:
    description: Can run in check mode and return what it would without it, except for the details.
    support: full
  diff_mode:
    description: Returns what was changed, for O(ignore:--diff).
    support: none
    details: The module changes nothing.
"""

EXAMPLES = r"""
- name: Find the accelerators
  accelmon.fleet.accelerator_facts:

- name: Find the accelerators, and ask nvidia-smi or amd-smi for memory sizes and serial numbers
  accelmon.fleet.accelerator_facts:
    gather_details: true
    details_timeout: 30

- name: Stop where a GPU has no driver
  ansible.builtin.assert:
    that: "'driver_missing' not in (ansible_facts['accelerators'].summary.nvidia | default({'states': {}})).states"
"""

RETURN = r"""
ansible_facts:
  description: The facts. A key whose value is unknown is absent; it is never 0 or empty.
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
                - Our own name, by PCI id. It is the same with and without a driver.
                - An id that is not in our table gives the vendor and the id, such as V(NVIDIA 10de:abcd).
              type: str
              returned: when the PCI id is known
              sample: NVIDIA H100 SXM5 80GB
            product:
              description: What the driver calls the device.
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
                - V(virtual_function) is a function that a device of this host offers to virtual machines. Seen from inside the
                  virtual machine it is a device like others.
              type: str
              returned: always
              sample: gpu
            state:
              description:
                - V(ready), bound to its driver and its device nodes are there.
                - V(driver_missing), no driver is bound and its module is not loaded.
                - V(driver_unbound), the module is loaded, but the device is not bound to it.
                - V(wrong_driver), bound to a driver that gives no accelerator, such as nouveau.
                - V(passthrough), handed to virtual machines.
                - V(no_device_nodes), bound, but its nodes below C(/dev) are missing.
                - V(permission_denied), the nodes are there, but not for the user of the module.
                - V(lost), known to the driver or to PCI, but it does not answer.
                - V(excluded), left out; the driver was told to, it is switched off and no driver holds it, or no current driver serves
                  it and none holds it.
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
              description: The version of the device's own firmware.
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
              description: The number that the vendor's tool gives the device. It may change with every boot.
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
            - What a vendor's driver holds and is not counted, above all graphics inside a processor. Exporters show it as a device of the vendor.
          type: list
          elements: dict
          returned: when there is any, for AMD and Intel
          contains:
            vendor:
              description: The vendor under whose name it is shown.
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
            - Per vendor, what is this host's own to use. Virtual functions, devices handed to virtual machines and excluded ones
              are not counted. A vendor without anything to count has no key.
            - C(count) devices, C(models) and C(states) with the number of devices each, C(driver_version), C(partitions) with the
              number of parts per mode, C(vendor_note).
            - C(embedded), how many of the devices the vendor's usual tool does not read because they are part of a system on a chip.
            - C(driver_only) is true where the driver is loaded and there is no device.
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
            - Per vendor that was to be asked, C(status) and a C(message) where that is not V(ok).
            - V(ok); V(missing), no tool is installed; V(hung), it did not finish properly and was killed; V(failed);
              V(skipped), in check mode.
          type: dict
          returned: with O(gather_details)
          sample:
            nvidia: {status: ok}
    accelmon_node:
      description: What the fleet needs to know of the host itself.
      type: dict
      returned: always
      contains:
        architecture:
          description: The architecture by Go's name.
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
          description: Whether a run before closed this host's exporters by TLS or a password.
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
          description: Exporter roles of ours whose unit is on the host.
          type: list
          elements: str
          returned: always
          sample: [node_exporter, textfile_collector]
        lacking:
          description:
            - Roles of O(sources) whose program the host could not get, and why not. V(package), its package manager knows none of that
              version; V(version), another version is installed and not by us; V(address), the release's address does not answer.
          type: dict
          returned: with O(sources)
          sample: {dcgm_exporter: package}
        hostengine:
          description: Whether systemd runs NVIDIA's C(nv-hostengine).
          type: bool
          returned: always
          sample: false
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
        module.fail_json(msg="details_timeout = %d: a vendor tool needs at least 1 second; raise it" % timeout)
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
