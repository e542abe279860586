"""Word lists that come with the program, for `[[words]] use = …`."""

from __future__ import annotations

_NAMES = {
    1: "icmp", 2: "igmp", 4: "ipip", 6: "tcp", 8: "egp", 17: "udp", 41: "ipv6", 47: "gre", 50: "esp", 51: "ah", 58: "ipv6-icmp",
    88: "eigrp", 89: "ospf", 103: "pim", 112: "vrrp", 115: "l2tp", 132: "sctp",
}  # fmt: skip

# Protocol numbers and names as they stand in logs -> network.transport.
TRANSPORT = (
    {str(number): name for number, name in _NAMES.items()}
    | {name: name for name in _NAMES.values()}
    | {"icmp6": "ipv6-icmp", "icmpv6": "ipv6-icmp", "carp": "carp", "ipv6-icmp": "ipv6-icmp", "ospfigp": "ospf", "igp": "igp"}
)
