"""Ten thousand idle connections cost a proxy little memory."""

import resource

import pytest
from harness import SANITIZE, RawClient, array, resident_bytes, wait_for

CONNECTIONS = 10000
BUDGET_BYTES = 60 * 1000 * 1000
SOURCES = [f"127.0.0.{last}" for last in range(2, 7)]  # a source address has 28,000 ports


@pytest.fixture
def descriptors():
    needed = CONNECTIONS + 500
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"the limit of open files is {hard}, {needed} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.skipif(bool(SANITIZE), reason="a sanitizer's memory is not the program's")
def test_idle_connections(make_cluster, descriptors):
    cluster = make_cluster()
    pid = cluster.pid("proxy1")
    with cluster.client() as client:
        assert client.ask("SET", "idle:value", "x" * 10000) == b"+OK\r\n"
        before = resident_bytes(pid)

        # Each has done something before it went idle.
        clients = []
        for number in range(CONNECTIONS):
            clients.append(RawClient(cluster.port, source=SOURCES[number % len(SOURCES)]))
            clients[-1].send(array("GET", "idle:value"))
        for one in clients:
            assert len(one.reply()) > 10000
        cost = resident_bytes(pid) - before
        print(f"{CONNECTIONS} idle connections: {cost / 1e6:.1f} MB")
        assert cost < BUDGET_BYTES

        # Each still works, and so does everybody else.
        for one in (*clients[::100], client):
            assert one.ask("STRLEN", "idle:value") == b":10000\r\n"
        for one in clients:
            one.close()
        wait_for(lambda: client.ask("PING") == b"+PONG\r\n", "the proxy to answer")
