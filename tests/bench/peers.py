"""What ringkv is compared with, as clusters of this machine: etcd, Redis Cluster."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
sys.dont_write_bytecode = True

from harness import HOST, PortBlock, redis_server_program, ringlocal, wait_for  # noqa: E402

COMMAND_SECONDS_MAX = 600
REDIS_BUS_OFFSET = 40


class Peer:
    """A cluster: its processes, ports and folder."""

    def __init__(self, name):
        self.name = name
        self.folder = Path(tempfile.mkdtemp(prefix=f"ringkv-bench-{name}-"))
        self.ports = PortBlock()
        self.processes = []

    def spawn(self, folder, command, **options):
        with open(folder / "log", "ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
        self.processes.append(process)

    def remove(self):
        for process in self.processes:
            process.kill()
            process.wait()
        self.ports.release()
        shutil.rmtree(self.folder)


class Etcd(Peer):
    """Three members, or as many as are asked for."""

    def __init__(self, members=3):
        super().__init__("etcd")
        self.members = members
        for number in range(members):
            self.start(number)
        wait_for(self.is_healthy, "etcd to serve")

    def port(self, number):
        return self.ports.base + number

    def client(self, number):
        return f"http://{HOST}:{self.port(number)}"

    def peer(self, number):
        return f"http://{HOST}:{self.ports.base + 20 + number}"

    def endpoints(self):
        return ",".join(self.client(number) for number in range(self.members))

    def start(self, number):
        folder = self.folder / f"m{number}"
        folder.mkdir(mode=0o700)
        everybody = ",".join(f"m{other}={self.peer(other)}" for other in range(self.members))
        self.spawn(
            folder,
            [
                *("etcd", "--name", f"m{number}", "--data-dir", str(folder / "data")),
                *("--listen-client-urls", self.client(number), "--advertise-client-urls", self.client(number)),
                *("--listen-peer-urls", self.peer(number), "--initial-advertise-peer-urls", self.peer(number)),
                *("--initial-cluster", everybody, "--log-level", "error"),
            ],
        )

    def etcdctl(self, *words):
        return subprocess.run(
            ["etcdctl", "--endpoints", self.endpoints(), *words],
            env=dict(os.environ, ETCDCTL_API="3"),
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
        )

    def is_healthy(self):
        return self.etcdctl("endpoint", "health").returncode == 0


class RedisCluster(Peer):
    """Some servers, of which the first `members` are a cluster, each master with `replicas`; the others are
    empty and in none."""

    def __init__(self, servers, members, replicas=0):
        super().__init__("redis")
        self.nodes = [self.ports.base + number for number in range(servers)]
        for port in self.nodes:
            self.start(port)
        wait_for(lambda: all(map(ringlocal.answers, self.nodes)), "the redis servers")
        addresses = map(self.address, self.nodes[:members])
        self.cli("create", *addresses, "--cluster-replicas", str(replicas), "--cluster-yes")
        wait_for(lambda: all(self.knows(port, members) for port in self.nodes[:members]), "the cluster")
        wait_for(lambda: all(map(self.is_copy_whole, self.nodes[:members])), "the replicas to be copies")

    def address(self, port):
        return f"{HOST}:{port}"

    def start(self, port):
        folder = self.folder / str(port)
        folder.mkdir()
        self.spawn(
            folder,
            ["redis-server", "--port", str(port), "--bind", HOST, "--dir", str(folder), "--save", ""]
            + ["--appendonly", "yes", "--appendfsync", "everysec", "--cluster-enabled", "yes"]
            + ["--cluster-port", str(port + REDIS_BUS_OFFSET)],
            executable=redis_server_program(),
        )

    def ask(self, port, *words):
        command = ["redis-cli", "-p", str(port), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def cli(self, *words):
        done = subprocess.run(
            ["redis-cli", "--cluster", *words], capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX
        )
        if done.returncode != 0:
            sys.exit(f"redis-cli --cluster {' '.join(words)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")

    def knows(self, port, count):
        info = self.ask(port, "CLUSTER", "INFO")
        return "cluster_state:ok" in info and f"cluster_known_nodes:{count}" in info

    def is_copy_whole(self, port):
        """Of a master too, which is no copy. A replica that has never been one does not follow its master."""
        return "master_link_status:down" not in self.ask(port, "INFO", "replication")
