"""Whether a name or an address is this machine's own."""

import ipaddress


def is_loopback(name: str) -> bool:
    """Whether only this machine reaches it."""
    return name.lower() == "localhost" or (is_ip(name) and ipaddress.ip_address(name).is_loopback)


def is_ip(name: str) -> bool:
    """Whether it is an address, not a name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
