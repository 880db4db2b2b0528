"""Fixtures. A test that only talks to a cluster shares one with its module; a test that kills or
configures makes its own."""

import signal

import pytest
from harness import Cluster, RedisServer

LOG_TAIL_LINES = 25

# More than one of each even where the defaults say one, so that what goes between threads is tested.
THREADS = ["--node", "shards=2", "--proxy", "threads=2"]

# In the background, or below nohup, tests are run with these ignored. Programs would inherit that, and keep
# to it, as they should.
for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the ends of the logs of every cluster that a failed test may have used."""
    report = (yield).get_result()
    if not report.failed:
        return
    for cluster in Cluster.alive:
        for name, text in cluster.logs().items():
            tail = "\n".join(text.splitlines()[-LOG_TAIL_LINES:])
            report.sections.append((f"log of {name} in {cluster.folder}", tail))


@pytest.fixture(scope="module")
def shared_cluster():
    """Three nodes, N = 3, one proxy."""
    cluster = Cluster(*THREADS)
    try:
        yield cluster.up()
    finally:
        cluster.remove()


@pytest.fixture
def cluster(shared_cluster):
    """The module's cluster; every process must outlive the test."""
    before = shared_cluster.pids()
    yield shared_cluster
    assert shared_cluster.pids() == before, "a process ended"
    shared_cluster.check_healthy()


@pytest.fixture
def make_cluster():
    """make_cluster(OPTION...) starts a cluster of the test's own, with ringlocal's options."""
    made = []

    def make(*options, up=True):
        cluster = Cluster(*THREADS, *options)
        made.append(cluster)
        return cluster.up() if up else cluster

    yield make
    for cluster in made:
        cluster.remove()


@pytest.fixture(scope="module")
def redis_server():
    server = RedisServer()
    yield server
    server.stop()
