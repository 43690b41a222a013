"""The ports of the embedded cloud, and who holds one that is not free."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, fields

import psutil

LOOPBACK = "127.0.0.1"
_VARIABLES = {
    "emulator": "LOCAL_EMULATOR_PORT",
    "providers": "LOCAL_PROVIDERS_PORT",
    "gateway": "LOCAL_GATEWAY_PORT",
}
_HIGHEST = 65535


class PortError(Exception):
    """A port that cannot be used; names it, who holds it and the remedy."""


@dataclass(frozen=True)
class Ports:
    """Where each server of the embedded cloud listens, on loopback only."""

    emulator: int = 4566
    providers: int = 4580
    gateway: int = 8080

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Ports:
        """The defaults, or what `LOCAL_EMULATOR_PORT` and its like say.

        Raises:
            PortError: a value that is no port, or one port for two servers.
        """
        ports = cls(
            **{
                name: _port(variable, environment[variable])
                for name, variable in _VARIABLES.items()
                if environment.get(variable)
            }
        )
        numbers = ports.by_name()
        if len(set(numbers.values())) < len(numbers):
            raise PortError(f"Two servers share a port, {numbers}: give each of {_names()} its own.")
        return ports

    @classmethod
    def free(cls) -> Ports:
        """Ports the system has just found free, for deployments beside each other."""
        listeners = [socket.create_server((LOOPBACK, 0)) for _ in fields(cls)]
        try:
            return cls(*(listener.getsockname()[1] for listener in listeners))
        finally:
            for listener in listeners:
                listener.close()

    def environment(self) -> dict[str, str]:
        """The variables that `from_environment` reads these ports from."""
        return {_VARIABLES[name]: str(port) for name, port in self.by_name().items()}

    def by_name(self) -> dict[str, int]:
        """Server → port."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _names() -> str:
    return ", ".join(_VARIABLES.values())


def _port(variable: str, text: str) -> int:
    if text.isdecimal() and 0 < int(text) <= _HIGHEST:
        return int(text)
    raise PortError(f"{variable}={text} is no port: set it to a number from 1 to {_HIGHEST}, or unset it.")


def is_free(port: int) -> bool:
    """Whether nothing listens on the loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def require_free(server: str, port: int) -> None:
    """Raise where something else already listens.

    Raises:
        PortError: naming the holder where the system tells, and the remedy.
    """
    if is_free(port):
        return
    raise PortError(
        f"Port {port}, wanted for the {server}, is in use by {holder(port)}. "
        f"Stop that program, or choose another port: {_VARIABLES[server]}=<port> make up"
    )


def holder(port: int) -> str:
    """The process that listens on a port, in words."""
    for process in psutil.process_iter():
        try:
            connections = process.net_connections(kind="inet")
            if any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in connections):
                return f"process {process.pid} ({' '.join(process.cmdline())[:120]})"
        except psutil.Error:
            continue
    return "a process of another user"
