"""How the dashboards are served: to whom, to how many, with how much memory."""

import ipaddress
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

KERNEL = 600  # MB: what a dashboard with torch needs at most, see the table of lectures in the README


@dataclass
class Service:
    """The choices of whoever serves dashboards, checked.

    directory holds the notebooks. host is the address to listen on; beyond this machine a `token` is asked for, a random one
    unless given, `None` on this machine for none. sessions is how many visitors may be there at once, as many as fit into
    this machine's memory unless given; memory, in MB, what the kernel of one may take before it is ended. A kernel without a
    page ends after `idle` seconds. warm names notebooks (`01_ising`, or `all`) of which one started kernel each waits in
    reserve. base_url is the prefix below which a proxy shows the server, and name the proxy's own. With tracebacks visitors
    see what went wrong inside a kernel. Raises FileNotFoundError without a directory, ValueError for what is not allowed.

    >>> Service(Path("."), host="0.0.0.0", token="")
    Traceback (most recent call last):
    ValueError: token='' is not allowed: beyond this machine (host='0.0.0.0') visitors need one
    >>> len(Service(Path("."), host="0.0.0.0").token) > 20, Service(Path(".")).token
    (True, '')
    """

    directory: Path
    port: int = 8866
    host: str = "127.0.0.1"
    token: str | None = None
    sessions: int | None = None
    memory: int = 2000
    idle: int = 60
    warm: Sequence[str] = ()
    base_url: str = "/"
    name: str = ""
    tracebacks: bool = False
    browser: bool = False
    local: bool = field(init=False)

    def __post_init__(self):
        if not self.directory.is_dir():
            raise FileNotFoundError(f"{self.directory} is not a directory: name one with notebooks in it")
        self.directory = self.directory.resolve()
        self.local = _is_loopback(self.host)
        if self.token is None:
            self.token = "" if self.local else secrets.token_urlsafe(24)
        if not self.token and not self.local:
            raise ValueError(f"token='' is not allowed: beyond this machine (host={self.host!r}) visitors need one")
        if self.sessions is None:
            self.sessions = max(1, int(0.8 * _memory()) // KERNEL)
        for option, least in (("sessions", 1), ("memory", 200), ("idle", 1)):
            if getattr(self, option) < least:
                raise ValueError(f"{option}={getattr(self, option)} is not allowed: it must be at least {least}")
        self.base_url = "/" + self.base_url.strip("/") + "/" * bool(self.base_url.strip("/"))
        known = [path.stem for path in sorted(self.directory.glob("*.ipynb"))]
        self.warm = known if "all" in self.warm else list(self.warm)
        for name in self.warm:
            if name not in known:
                raise ValueError(f"warm={name!r} is not allowed: {self.directory} holds {', '.join(known) or 'no notebook'}")

    @property
    def cold(self) -> list[str]:
        """Patterns of the notebooks of which no kernel waits in reserve."""
        paths = sorted(self.directory.rglob("*.ipynb"))
        return [re.escape(str(path)) + "$" for path in paths if path.stem not in self.warm]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _memory() -> float:
    """What this machine, or the container around this process, has, MB."""
    total = psutil.virtual_memory().total
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (text := limit.read_text().strip()).isdigit():
        total = min(total, int(text))
    return total / 1e6
