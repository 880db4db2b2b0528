#!/usr/bin/python3
"""Stands before nodes and passes on what others send them, or does not: cut links, links that are
silent in one direction or in both, slow links.

  relay.py '{"nodes": {"n1": [LISTEN_PORT, NODE_PORT], ...}, "identities": {"HEX": "n1", ...}}'

Who connects is read from its HELLO: a node by its identity, "proxy" for all proxies, "control" for
ringctl. Each line of the standard input says anew what is wrong, as {"cut": [[A, B]...], "held":
[[FROM, TO]...], "slow": [[FROM, TO, SECONDS]...]}; "ok" is answered when that is so. What was held
is not lost: it is passed on late.
"""

import asyncio
import contextlib
import json
import sys

HOST = "127.0.0.1"
HEADER_SIZE = 12
ROLE_AT, IDENTITY_AT = HEADER_SIZE, HEADER_SIZE + 28
HELLO_SIZE = HEADER_SIZE + 60
ROLES = {1: "proxy", 3: "control"}
CHUNK_SIZE = 64 << 10


class Relay:
    def __init__(self, nodes, identities):
        self.nodes = nodes
        self.identities = identities
        self.cut, self.held, self.slow = set(), set(), {}
        self.changed = asyncio.Event()
        self.open = {}  # writer: (who connects, node)

    def set_faults(self, faults):
        self.cut = {frozenset(pair) for pair in faults.get("cut", [])}
        self.held = {tuple(pair) for pair in faults.get("held", [])}
        self.slow = {(a, b): seconds for a, b, seconds in faults.get("slow", [])}
        for writer, pair in list(self.open.items()):
            if frozenset(pair) in self.cut:
                writer.transport.abort()
        self.changed.set()
        self.changed = asyncio.Event()

    async def accepted(self, node, reader, writer):
        try:
            hello = await reader.readexactly(HELLO_SIZE)
            who = ROLES.get(hello[ROLE_AT])
            identity = hello[IDENTITY_AT : IDENTITY_AT + 16].hex()
            who = who or self.identities.get(identity, "stranger")
            if frozenset((who, node)) not in self.cut:
                await self.connect(who, node, hello, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def connect(self, who, node, hello, reader, writer):
        back, forth = await asyncio.open_connection(HOST, self.nodes[node][1])
        self.open[writer], self.open[forth] = (who, node), (who, node)
        forth.write(hello)
        ways = [
            asyncio.create_task(self.pump(reader, forth, (who, node))),
            asyncio.create_task(self.pump(back, writer, (node, who))),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            del self.open[writer], self.open[forth]
            forth.close()

    async def pump(self, reader, writer, way):
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_SIZE):
                if way in self.slow:
                    await asyncio.sleep(self.slow[way])
                while way in self.held:
                    await self.changed.wait()
                writer.write(data)
                await writer.drain()

    async def run(self):
        for node, (port, _) in self.nodes.items():
            await asyncio.start_server(
                lambda reader, writer, node=node: self.accepted(node, reader, writer), HOST, port
            )
        print("ok", flush=True)
        orders = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
        )
        while line := await orders.readline():
            self.set_faults(json.loads(line))
            print("ok", flush=True)


async def main():
    await Relay(**json.loads(sys.argv[1])).run()


if __name__ == "__main__":
    asyncio.run(main())
