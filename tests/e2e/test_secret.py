"""The cluster's secret: who does not know it is let in nowhere."""

import hashlib
import hmac
import os

import frames
import pytest
from harness import BIN, HOST, Cluster, Program, RawClient, bulk, run, wait_for

SECRET = "3f9c1a60d0c44b7a9f1e5d2b8a7c6e5f"


@pytest.fixture(scope="module")
def secret_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("secret") / "secret"
    path.write_text(SECRET + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def guarded(shared_cluster, secret_file):  # the shared one must be made before ringctl has a secret
    os.environ["RINGCTL_SECRET_FILE"] = str(secret_file)
    cluster = Cluster("--node", f"security.secret_file={secret_file}", "--proxy", f"security.secret_file={secret_file}")
    try:
        yield cluster.up()
    finally:
        cluster.remove()
        del os.environ["RINGCTL_SECRET_FILE"]


def test_who_knows_it_is_served(guarded):
    """ringctl made the ring, the nodes replicate, the proxy reads and writes; also after a node was away."""
    with guarded.client() as client:
        assert client.ask("SET", "secret:a", "1") == b"+OK\r\n"
        leader = guarded.locate("secret:a")[0]
        guarded.kill(leader)
        assert client.ask("SET", "secret:a", "2") == b"+OK\r\n"
        guarded.start(leader)
        assert client.ask("GET", "secret:a") == bulk(b"2")
        wait_for(lambda: all(member["state"] == "up" for member in guarded.status()["members"]), "the node to be back")


def control(cluster, *words, secret=None):
    environment = {name: value for name, value in os.environ.items() if name != "RINGCTL_SECRET_FILE"}
    option = ["--secret-file", secret] if secret else []
    return run(BIN / "ringctl", "--nodes", cluster.addresses(), *option, *words, env=environment)


def test_ringctl(guarded, secret_file, tmp_path):
    assert control(guarded, "status", secret=secret_file).returncode == 0
    done = control(guarded, "status")
    assert done.returncode != 0 and "--secret-file" in done.stderr
    other = tmp_path / "other"
    other.write_text("quite another secret")
    other.chmod(0o600)
    done = control(guarded, "status", secret=other)
    assert done.returncode != 0 and "not the cluster's secret" in done.stderr


@pytest.mark.parametrize("text, mode, word", [("short", 0o600, "16 bytes"), (SECRET, 0o644, "chmod o-rwx"), (None, 0, "cannot be read")])
def test_files_that_are_refused(tmp_path, text, mode, word):
    path = tmp_path / "secret"
    if text:
        path.write_text(text)
        path.chmod(mode)
    done = run(BIN / "ringctl", "--nodes", f"{HOST}:1", "--secret-file", path, "status")
    assert done.returncode != 0 and word in done.stderr
    for program, setting in (("ringproxy", "cluster.nodes=127.0.0.1:1"), ("ringnode", f"node.data={tmp_path / 'data'}")):
        with Program(program, "--set", setting, "--set", f"security.secret_file={path}") as started:
            status, output = started.wait()
            assert status == 1 and word in output


def test_proxy_without_it(guarded):
    """It gets no ring, and says why in its log."""
    port = guarded.ports.other(1)
    with Program("ringproxy", "--set", f"proxy.listen={HOST}:{port}", "--set", f"cluster.nodes={guarded.addresses()}") as proxy:
        def refused():
            try:
                with RawClient(port) as client:
                    return client.ask("GET", "secret:a").startswith(b"-NOQUORUM no ring yet")
            except ConnectionRefusedError:
                return False
        wait_for(refused, "the proxy to answer")
        proxy.process.terminate()
        _, output = proxy.wait()
        assert "secret_file" in output


def test_nodes_without_it_are_not_trusted(shared_cluster, secret_file):
    """Who connects with a secret wants it known on the other side: it could be anybody."""
    done = run(BIN / "ringctl", "--nodes", shared_cluster.addresses(), "--secret-file", secret_file, "status")
    assert done.returncode != 0 and "does not know the cluster's secret" in done.stderr


def prove(side, challenge, answer, secret=SECRET):
    key = hashlib.sha256(secret.encode()).digest()
    return hmac.digest(key, side + challenge + answer, "sha256")


class Stranger(frames.Peer):
    def challenge(self):
        self.send(frames.hello())
        kind, body = self.receive()
        assert kind == 6 and len(body) == 32
        return body


def outcome(guarded, proof_of):
    """What a node answers to a PROOF."""
    with Stranger(guarded.port_of("n1")) as stranger:
        challenge = stranger.challenge()
        stranger.send(frames.frame(7, proof_of(challenge)))
        return stranger.receive()


def test_proofs(guarded):
    nonce = bytes(range(32))
    kind, body = outcome(guarded, lambda challenge: nonce + prove(b"c", challenge, nonce))
    assert kind == frames.WELCOME
    with Stranger(guarded.port_of("n1")) as one, Stranger(guarded.port_of("n1")) as two:
        first, second = one.challenge(), two.challenge()
        assert first != second
        # The proof of another connection, and that of the other side.
        one.send(frames.frame(7, nonce + prove(b"c", second, nonce)))
        assert one.receive()[0] == frames.GOODBYE
        two.send(frames.frame(7, nonce + prove(b"a", second, nonce)))
        assert two.receive()[0] == frames.GOODBYE
    for wrong in (b"", bytes(64), nonce, bytes(65), bytes(1000)):
        assert outcome(guarded, lambda challenge, wrong=wrong: wrong)[0] == frames.GOODBYE
    with Stranger(guarded.port_of("n1")) as stranger:
        stranger.challenge()
        stranger.send(frames.frame(frames.STATUS_GET, bytes(8)))
        assert stranger.receive()[0] == frames.GOODBYE
    with Stranger(guarded.port_of("n1")) as stranger:
        stranger.challenge()
        stranger.send(frames.hello())
        assert stranger.receive()[0] == frames.GOODBYE
