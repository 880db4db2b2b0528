"""A proxy learns the ring from the nodes that it is told of, and lives without them afterwards."""

import pytest
from harness import BIN, HOST, PATIENT_PROXY, Program, RawClient, bulk, run, wait_for


def serves(port, key="watch:probe"):
    try:
        with RawClient(port) as client:
            return client.ask("SET", key, "1") == b"+OK\r\n"
    except OSError:
        return False


@pytest.fixture
def proxy_of(tmp_path):
    """proxy_of(PORT, ADDRESSES) starts a ringproxy of the test's own."""
    started = []

    def start(port, addresses, *more):
        path = tmp_path / f"proxy-{port}.conf"
        path.write_text(f"[proxy]\nlisten = {HOST}:{port}\n[cluster]\nnodes = {addresses}\n")
        program = Program("ringproxy", "-c", path, *PATIENT_PROXY, *more).__enter__()
        started.append(program)
        return program

    yield start
    for program in started:
        alive = program.process.poll() is None
        program.__exit__()
        assert alive, "a proxy ended"


def test_proxy_before_the_ring(make_cluster, proxy_of):
    """It waits, says so to clients, and serves when there is a ring."""
    cluster = make_cluster("--nodes", 1, "--replicas", 1)
    addresses = [cluster.ringlocal("spawn", name).stdout.strip() for name in ("s1", "s2", "s3")]
    port = cluster.ports.other()
    proxy_of(port, ", ".join(addresses))
    with wait_for(lambda: connected(port), "the proxy to listen") as client:
        assert client.ask("PING") == b"+PONG\r\n"
        assert client.ask("GET", "watch:a").startswith(b"-NOQUORUM")
        words = [f"s{number}={address}" for number, address in enumerate(addresses, 1)]
        done = run(BIN / "ringctl", "init", *words, "--partitions", "16")
        assert done.returncode == 0, done.stderr
        wait_for(lambda: client.ask("SET", "watch:a", "x") == b"+OK\r\n", "the ring to be noticed")
        assert client.ask("GET", "watch:a") == bulk(b"x")


def connected(port):
    try:
        return RawClient(port)
    except OSError:
        return None


def test_proxy_before_the_nodes(make_cluster, proxy_of):
    """Started while no node runs: it keeps trying."""
    cluster = make_cluster()
    cluster.down()
    port = cluster.ports.other()
    proxy_of(port, cluster.addresses())
    with wait_for(lambda: connected(port), "the proxy to listen") as client:
        assert client.ask("GET", "watch:b").startswith(b"-NOQUORUM")
        cluster.up()
        wait_for(lambda: client.ask("SET", "watch:b", "x") == b"+OK\r\n", "the proxy to serve")


def test_configured_nodes_gone(make_cluster, proxy_of):
    """The one node that a proxy was told of dies: it serves on, with those that it learnt of."""
    cluster = make_cluster()
    port = cluster.ports.other()
    proxy_of(port, f"{HOST}:{cluster.port_of('n1')}")
    wait_for(lambda: serves(port), "the proxy to serve")
    cluster.kill("n1")
    with RawClient(port) as client:
        for number in range(60):
            assert client.ask("SET", f"watch:c:{number}", "x") == b"+OK\r\n"


def test_seed_that_is_no_node(make_cluster, proxy_of):
    """Among the configured addresses one where nobody listens and one that is a proxy."""
    cluster = make_cluster()
    port = cluster.ports.other()
    nobody = f"{HOST}:{cluster.ports.other(1)}"
    proxy_of(port, f"{nobody}, {HOST}:{cluster.port}, {HOST}:{cluster.port_of('n2')}")
    wait_for(lambda: serves(port), "the proxy to serve")


def test_seed_that_hangs(make_cluster, proxy_of):
    """It is not waited for as long as a client would wait."""
    cluster = make_cluster()
    port = cluster.ports.other()
    cluster.kill("n1", "STOP")
    try:
        nodes = ", ".join(f"{HOST}:{cluster.port_of(name)}" for name in ("n1", "n2"))
        proxy_of(port, nodes, "--set", "proxy.request_timeout=60s")
        with wait_for(lambda: connected(port), "the proxy to listen") as client:
            wait_for(lambda: client.ask("GET", "watch:d") == b"$-1\r\n", "the proxy to serve")
    finally:
        cluster.kill("n1", "CONT")


def test_two_proxies(make_cluster):
    """What one wrote the other reads at once."""
    cluster = make_cluster("--proxies", 2)
    with cluster.client(1) as one, cluster.client(2) as two:
        for number in range(300):
            writer, reader = (one, two) if number % 2 else (two, one)
            assert writer.ask("SET", "watch:shared", number) == b"+OK\r\n"
            assert reader.ask("GET", "watch:shared") == bulk(b"%d" % number)
        one.ask("SET", "watch:count", "0")
        for _ in range(100):
            one.ask("INCR", "watch:count")
            two.ask("INCR", "watch:count")
        assert one.ask("GET", "watch:count") == bulk(b"200")
    cluster.kill("proxy1")
    with cluster.client(2) as two:
        assert two.ask("GET", "watch:count") == bulk(b"200")


def test_nobody_is_there_any_more(make_cluster):
    """Each node is asked and counted once, though cluster.nodes and the ring both name it."""
    cluster = make_cluster()
    for name in ("n1", "n2", "n3"):
        cluster.kill(name)
    wait_for(lambda: "nodes could be asked" in cluster.log("proxy1"), "the proxy to have asked them all")
    assert "ring: none of 3 nodes could be asked" in cluster.log("proxy1")
