"""Ports are on loopback, can be chosen, and one in use is reported with its holder and the remedy."""

from __future__ import annotations

import os
import socket

import pytest

from local.ports import PortError, Ports, is_free, require_free


def test_ports_come_from_the_environment_where_it_names_them() -> None:
    ports = Ports.from_environment({"LOCAL_GATEWAY_PORT": "9000"})
    assert ports == Ports(emulator=4566, providers=4580, gateway=9000)


def test_ports_survive_the_way_through_an_environment() -> None:
    ports = Ports(emulator=1001, providers=1002, gateway=1003)
    assert Ports.from_environment(ports.environment()) == ports


@pytest.mark.parametrize("text", ["0", "65536", "http", "-1"])
def test_what_is_no_port_is_refused_with_its_variable(text: str) -> None:
    with pytest.raises(PortError, match=f"LOCAL_EMULATOR_PORT={text} is no port"):
        Ports.from_environment({"LOCAL_EMULATOR_PORT": text})


def test_one_port_for_two_servers_is_refused() -> None:
    with pytest.raises(PortError, match="share a port"):
        Ports.from_environment({"LOCAL_EMULATOR_PORT": "8080"})


def test_a_port_in_use_is_reported_with_its_holder_and_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert not is_free(port)
        with pytest.raises(PortError) as refusal:
            require_free("gateway", port)
    assert f"process {os.getpid()}" in str(refusal.value)
    assert "LOCAL_GATEWAY_PORT=<port> make up" in str(refusal.value)


def test_free_ports_differ_and_are_free() -> None:
    numbers = Ports.free().by_name().values()
    assert len(set(numbers)) == len(numbers)
    assert all(is_free(number) for number in numbers)
