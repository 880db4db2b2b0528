"""The tables in doc/commands.md are what the proxy prints, and say of every command of Redis what is true."""

import re

import pytest
from harness import BIN, ROOT, elements, run


def printed():
    done = run(BIN / "ringproxy", "--help-commands")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_document():
    """Put in anew what `ringproxy --help-commands` prints."""
    assert printed() in (ROOT / "doc/commands.md").read_text()


def names(client):
    return {name.decode() for name in elements(client.ask("COMMAND", "LIST"))}


def not_there():
    rows = re.findall(r"^\| [a-z-]+ \| ([A-Z].*) \|$", printed().split("that are not there |")[1], re.MULTILINE)
    return {name.lower().replace(" ", "|") for row in rows for name in row.split(", ")}


def test_absences(redis_server, cluster):
    """Each command of Redis is there, or in the table of those that are not; a container stands for its
    subcommands there."""
    with redis_server.client() as theirs, cluster.client() as ours:
        missing = names(theirs) - names(ours)
    listed = not_there()
    assert listed <= missing
    assert {name for name in missing if name.split("|")[0] not in listed} <= listed


def shown(argument):
    """As redis-cli's help shows an argument."""
    fields = {argument[i].decode(): argument[i + 1] for i in range(0, len(argument), 2)}
    kind, token = fields["type"].decode(), fields.get("token", b"").decode()
    flags = fields.get("flags", [])
    between = {"oneof": "|", "block": " "}.get(kind)
    if between:
        text = between.join(map(shown, fields["arguments"]))
    else:
        text = "" if kind == "pure-token" else fields["name"].decode()
    text = f"{text} [{text} ...]" if b"multiple" in flags else text
    text = " ".join(filter(None, (token, text)))
    return f"[{text}]" if b"optional" in flags else text


def arguments_of(client, name):
    (_, docs) = elements(client.ask("COMMAND", "DOCS", name))
    found = dict(zip(docs[::2], docs[1::2])).get(b"arguments", [])
    return " ".join(map(shown, found))


def test_arguments(cluster):
    """What redis-cli makes of COMMAND DOCS is the syntax in the table."""
    rows = re.findall(r"^\| `([A-Z]+(?: [A-Z-]+)?)(?: (.*?))?` \| \S+ \| .*\|$", printed(), re.MULTILINE)
    assert len(rows) > 100
    with cluster.client() as client:
        table = names(client)
        for name, syntax in rows:
            command = name.lower().replace(" ", "|")
            # A word in capitals may be the first argument.
            command, syntax = (command, syntax) if command in table else (command.partition("|")[0], name.partition(" ")[2] + " " + syntax)
            if not syntax or command == "command":
                continue
            wanted = syntax.replace("\\|", "|").replace(" | ", "|")
            wanted = re.sub(r"^\[([a-z-]+) \.\.\.\]$", r"[\1 [\1 ...]]", wanted)
            assert arguments_of(client, command) == wanted


@pytest.mark.parametrize("name", ["set", "getex", "mset", "del", "expire", "copy", "lcs", "bitpos", "bitcount", "scan", "memory|usage", "rename"])
def test_arguments_as_in_redis(redis_server, cluster, name):
    """What is shown, and names and types of arguments that are no groups."""

    def leaves(arguments):
        for argument in arguments:
            fields = dict(zip(argument[::2], argument[1::2]))
            if fields[b"type"] in (b"oneof", b"block"):
                yield from leaves(fields[b"arguments"])
            else:
                yield {key: fields.get(key) for key in (b"name", b"type", b"token", b"key_spec_index", b"flags")}

    with redis_server.client() as theirs, cluster.client() as ours:
        assert arguments_of(ours, name) == arguments_of(theirs, name)
        found = []
        for client in (theirs, ours):
            (_, docs) = elements(client.ask("COMMAND", "DOCS", name))
            found.append(list(leaves(dict(zip(docs[::2], docs[1::2]))[b"arguments"])))
        assert found[0] == found[1]


def test_own_commands(redis_server, cluster):
    """What Redis has not is told to be so."""
    with redis_server.client() as theirs, cluster.client() as ours:
        own = names(ours) - names(theirs)
    said = set(re.findall(r"^\| `([A-Z]+).*?` \|.*\| (?:not in Redis|of Redis 7\.2.*?) \|", printed(), re.MULTILINE))
    assert {name.split("|")[0].upper() for name in own} == said
