"""The tables in doc/commands.md are what the proxy prints, and say of every command of Redis what is true."""

import re

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


def test_own_commands(redis_server, cluster):
    """What Redis has not is told to be so."""
    with redis_server.client() as theirs, cluster.client() as ours:
        own = names(ours) - names(theirs)
    said = set(re.findall(r"^\| `([A-Z]+).*?` \|.*\| (?:not in Redis|of Redis 7\.2.*?) \|", printed(), re.MULTILINE))
    assert {name.split("|")[0].upper() for name in own} == said
