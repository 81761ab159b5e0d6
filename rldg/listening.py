"""Where a server listens, and who may speak to it: this machine, or those who know a token."""

import ipaddress
import os
import secrets
import socket

from rldg.errors import UsageError

TOKEN = "RLDG_TOKEN"  # environment variable: the token of servers that are started, and of those that are spoken to


def is_loopback(host: str | None) -> bool:
    """Whether a host's name or address means this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def token_for(host: str) -> str:
    """What clients of a server on `host` have to know.

    `RLDG_TOKEN` where it is set; else nothing on this machine's loopback address, and a fresh secret elsewhere.
    """
    return os.environ.get(TOKEN) or ("" if is_loopback(host) else secrets.token_urlsafe(16))


def same(offered: str, token: str) -> bool:
    """Whether somebody knows the token; takes as long whatever is offered."""
    return secrets.compare_digest(offered.encode(errors="replace"), token.encode())


def listener(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 is a free one. Raises `UsageError` if nothing can listen there."""
    if not 0 <= port < 1 << 16:
        raise UsageError(f"There is no port {port}; pass one from 1 to 65535, or 0 for a free one.")
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise UsageError(
            f"Cannot listen on port {port} of {host} ({error.strerror}); pass another --port, or 0 for a free one."
        ) from None


def address(host: str, port: int) -> str:
    """HOST:PORT as others call it: "every address" has a name, too."""
    if host in ("", "0.0.0.0", "::"):
        host = socket.gethostname()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
