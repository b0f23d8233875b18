# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What our inventory plugins have in common: hosts from outside into Ansible's inventory."""
from ansible.errors import AnsibleParserError
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.accelmon.fleet.plugins.plugin_utils.inventory import lists

try:
    from ansible.template import trust_as_template
except ImportError:  # Up to core 2.18, which trusts what is not marked.
    def trust_as_template(value):
        """The value as it is."""
        return value


def guarded(value):
    """A value in which no text is ever evaluated as a template.

    Every template has a brace. Text without one needs no mark, and gets none, because ansible-inventory, by which other programs
    import inventories, prints what is not trusted in a notation of its own.
    """
    if isinstance(value, str):
        return wrap_var(value) if "{" in value else trust_as_template(value)
    if isinstance(value, dict):
        return {key: guarded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [guarded(item) for item in value]
    return value


def fill_nodes(plugin, source, listed, wanted, clash, variables):
    """Add the nodes of a cluster's own list.

    listed: ({name: node}, [problem]) as it was read; clash: what to do about two nodes with one address
    wanted, variables: functions of a node: whether it is one of the inventory, and its {variable: value}
    Raises AnsibleParserError.
    """
    nodes, problems = listed
    taken = {name: node for name, node in nodes.items() if wanted(node)}
    problems = problems + lists.clashes(taken, clash)
    if problems:
        raise AnsibleParserError(lists.summary(source, problems))
    plugin.display.vv(f"{source}: using {len(taken)} of {len(nodes)} nodes")
    fill(plugin, {name: variables(node) for name, node in taken.items()})


def fill(plugin, hosts):
    """Add hosts, their groups and what the options of the constructed features make of them.

    hosts: {name: {variable: value}}; no value is ever evaluated as a template
    Raises AnsibleParserError.
    """
    groups = []
    for name in plugin.get_option("default_groups"):
        # Ansible makes a name usable in its own way and tells the new one.
        groups.append(plugin.inventory.add_group(plugin._sanitize_group_name(name)))
    strict = plugin.get_option("strict")
    for name, values in hosts.items():
        plugin.inventory.add_host(name)
        for group in groups:
            plugin.inventory.add_child(group, name)
        for variable, value in values.items():
            plugin.inventory.set_variable(name, variable, guarded(value))
        variables = plugin.inventory.get_host(name).get_vars()
        try:
            plugin._set_composite_vars(plugin.get_option("compose"), variables, name, strict=strict)
            variables = plugin.inventory.get_host(name).get_vars()
            for variable in variables.keys() & plugin.get_option("compose").keys():
                plugin.inventory.set_variable(name, variable, guarded(variables[variable]))
            plugin._add_host_to_composed_groups(plugin.get_option("groups"), variables, name, strict=strict, fetch_hostvars=False)
            plugin._add_host_to_keyed_groups(plugin.get_option("keyed_groups"), variables, name, strict=strict, fetch_hostvars=False)
        except AnsibleParserError:
            raise
        except Exception as error:
            raise AnsibleParserError(f"{name}: {error}; correct compose, groups or keyed_groups, or set strict to false") from error
