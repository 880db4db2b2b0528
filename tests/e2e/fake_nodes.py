"""Nodes that only take part in deciding rings, in the test's own process: they have no data, copy at
once, and misbehave on request. So what ringctl does is seen alone, and at moments that real nodes
seldom offer."""

import os
import socket
import struct
import threading

import frames
from harness import HOST, PortBlock

PREPARE, PROMISE, ACCEPT, PROGRESS_GET, PROGRESS = 26, 27, 28, 29, 40
REFUSED = 18
LEARNED_AND_READY = 3
NONE = bytes(16)


def ballot(raw):
    return struct.unpack("<QQ", raw)


def epoch_of(ring):
    return struct.unpack("<Q", ring[24:32])[0] if ring else 0


class FakeNode:
    """One node. `on(kind)`, when it is set, is called before a message of that kind is handled: it returns
    what is done instead of answering: "drop" (no answer), "close", or None."""

    def __init__(self, port, partitions, version="0.1.0", frame_version=frames.VERSION):
        self.port = port
        self.partitions = partitions
        self.version = version
        self.frame_version = frame_version
        self.identity = os.urandom(16)
        self.ring = b""
        self.promised, self.accepted, self.accepted_ring = (0, 0), (0, 0), b""
        self.copied = 0
        self.ready = True
        self.promise_error = 0
        self.on = lambda kind: None
        self.lock = threading.Lock()
        self.listener = socket.create_server((HOST, port))
        self.connections = []
        self.alive = True
        threading.Thread(target=self.accept_all, daemon=True).start()

    def address(self):
        return f"{HOST}:{self.port}"

    def stop(self):
        """As kill -9, but what was promised and accepted stays, as a file would."""
        self.alive = False
        # Only that wakes a thread that waits in accept().
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            connection.close()

    def start(self):
        self.alive = True
        self.listener = socket.create_server((HOST, self.port))
        threading.Thread(target=self.accept_all, daemon=True).start()

    def accept_all(self):
        listener = self.listener
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            peer = frames.Peer.__new__(frames.Peer)
            peer.socket, peer.stream = connection, connection.makefile("rb")
            self.connections.append(connection)
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        try:
            while True:
                kind, body = peer.receive()
                if kind is None or not self.alive:
                    break
                with self.lock:
                    instead = self.on(kind)
                    answer = None if instead else self.answer(kind, body)
                if instead == "close":
                    break
                if answer:
                    peer.socket.sendall(answer)
        except (OSError, ValueError):
            pass
        finally:
            peer.stream.close()
            peer.socket.close()

    def frame(self, kind, body):
        return frames.frame(kind, body, version=self.frame_version)

    def answer(self, kind, body):
        return {
            frames.HELLO: self.hello,
            frames.RING_GET: lambda body: self.frame(frames.RING, body + self.ring),
            frames.RING_PUT: self.put,
            frames.STATUS_GET: self.status,
            PREPARE: self.prepare,
            ACCEPT: self.take,
            PROGRESS_GET: self.progress,
        }[kind](body)

    def hello(self, body):
        target = body[44:60]
        if target not in (NONE, self.identity):
            return self.frame(frames.GOODBYE, bytes([frames.MEMBER]) + b"another node answers here")
        cluster = self.ring[8:24] if self.ring else NONE
        return self.frame(frames.WELCOME, struct.pack("<HQ", 1, epoch_of(self.ring)) + cluster + self.identity)

    def done(self, tag, error=0, text=b""):
        return self.frame(frames.DONE, tag + struct.pack("<QB", epoch_of(self.ring), error) + text)

    def become(self, ring):
        if epoch_of(ring) > epoch_of(self.ring):
            self.ring = ring
            self.promised, self.accepted, self.accepted_ring = (0, 0), (0, 0), b""

    def put(self, body):
        tag, expected, ring = body[:8], struct.unpack("<Q", body[8:16])[0], body[16:]
        if expected != epoch_of(self.ring):
            return self.done(tag, frames.EPOCH, b"another epoch")
        self.become(ring)
        return self.done(tag)

    def status(self, body):
        lines = f"version={self.version}\nepoch={epoch_of(self.ring)}\nkeys=1000\nlive_bytes=100000\n"
        return self.frame(frames.STATUS, body + lines.encode())

    def prepare(self, body):
        tag, slot, asked = body[:8], struct.unpack("<Q", body[8:16])[0], ballot(body[16:32])
        error = 0
        if self.promise_error:
            error = self.promise_error
        elif slot != epoch_of(self.ring) + 1:
            error = frames.EPOCH
        elif asked < self.promised:
            error = REFUSED
        else:
            self.promised = asked
        head = tag + struct.pack("<BQQQQQ", error, epoch_of(self.ring), *self.promised, *self.accepted)
        return self.frame(PROMISE, head + self.accepted_ring)

    def take(self, body):
        tag, asked, ring = body[:8], ballot(body[8:24]), body[24:]
        if epoch_of(ring) != epoch_of(self.ring) + 1:
            return self.done(tag, frames.EPOCH, b"another epoch")
        if asked < self.promised:
            return self.done(tag, REFUSED, b"a higher ballot was promised")
        self.promised = self.accepted = asked
        self.accepted_ring = ring
        return self.done(tag)

    def progress(self, body):
        self.copied += 100 if self.ready else 0
        flags = LEARNED_AND_READY if self.ready else 0
        entries = b"".join(struct.pack("<IB", p, flags) for p in range(self.partitions))
        head = struct.pack("<QQQI", epoch_of(self.ring), self.copied, 100 * self.copied, self.partitions)
        return self.frame(PROGRESS, body + head + entries)


class FakeNodes:
    """Some of them, each on a port of its own."""

    def __init__(self, count, partitions=64):
        self.ports = PortBlock()
        self.partitions = partitions
        self.nodes = [FakeNode(self.ports.base + i, partitions) for i in range(count)]

    def add(self, **options):
        self.nodes.append(FakeNode(self.ports.base + len(self.nodes), self.partitions, **options))
        return self.nodes[-1]

    def spread(self):
        """What nodes do among each other: who has an older ring gets the newest."""
        newest = max((node.ring for node in self.nodes), key=epoch_of)
        for node in self.nodes:
            with node.lock:
                if node.ring:
                    node.become(newest)

    def ready_soon(self, seconds):
        """All have what they are to have, after a while."""

        def be_ready():
            for node in self.nodes:
                node.ready = True

        threading.Timer(seconds, be_ready).start()

    def remove(self):
        for node in self.nodes:
            if node.alive:
                node.stop()
        self.ports.release()
