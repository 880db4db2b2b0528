"""Random commands over few keys, most of them valid, for the comparison with a real Redis.

A grammar, one function a kind of argument. What the two servers could answer differently because of
their clocks is not drawn: times are far away, or over (test_differential.py lets some pass)."""

import random
import time

INTEGERS = [
    *(b"0", b"1", b"-1", b"2", b"5", b"-3", b"7", b"8", b"100", b"10", b"-100"),
    *(b"9223372036854775807", b"-9223372036854775808", b"9223372036854775806", b"4294967296", b"2147483647"),
]
NO_INTEGERS = [
    *(b"", b"-0", b"+1", b"01", b" 1", b"1 ", b"1e3", b"0x10", b"1.0", b"abc", b"-", b"9223372036854775808"),
    *(b"-9223372036854775809", b"18446744073709551616", b"1" * 30, b"1\0", b"nan"),
]
FLOATS = [
    *(b"0.1", b"-0.5", b"3.0e3", b"1e-10", b"5e17", b"1e20", b"-1.5", b"123456789.987654321", b"1e-400", b".5", b"5."),
    *(b"1e300", b"-1e4000", b"1e4931", b"0x1p3", b"inf", b"-inf", b"infinity", b"nan", b"1e9999", b"1e-9999", b"0.0"),
    *(b"0.30000000000000004", b"1e", b"--1", b" 2", b"2 ", b"3.14\0", b"1,5", b"1.5e-17", b"4.9e-18", b"0x1.8p1", b"\v1", b"."),
    *(b"99999999999999999.99", b"1.0000000000000000001", b"1e-4950", b"1.18e4932", b"1E5", b"-0.0", b"+inf", b"1" * 5119, b"1" * 5120),
]
TEXTS = [
    *(b"", b"text", b"\r\n", b"x" * 44, b"y" * 45, b"z" * 300, b"\0\xff\x80", b"\xff\xff\xff", b"\0\0\0", b"ohmytext"),
    *(b"mynewtext", b"foobar", b"\xff\xf0\x00", b"\x00\xff\xf0", b"a" * 20, b"Hello World"),
]
FAR_SECONDS = 10**6


class Commands:
    """Draws commands from one seed."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        # Half of them share a partition, as the commands on several keys need.
        self.tagged = [b"{differ}%d" % number for number in range(5)]
        self.keys = self.tagged + [b"differ:%d" % number for number in range(5)]
        self.forms = [form for form, weight in FORMS for _ in range(weight)]

    def draw(self):
        """One command, or those of a transaction, each a list of words."""
        if self.chance.random() < 0.01:
            return self.transaction()
        form = self.chance.choice(self.forms)
        command = self.fill(form)
        # With a key elsewhere, ringkv would refuse what Redis does.
        return [command if form in TOGETHER else self.spoil(command)]

    def fill(self, form):
        words = [self.word(letter) for letter in form.split()]
        return [word for some in words for word in (some if isinstance(some, list) else [some])]

    def transaction(self):
        """What tells of time is left out: its replies stand within that of EXEC."""
        forms = [form for form in self.forms if not form.startswith(TELLING_TIME)]
        queued = [self.fill(self.in_one_partition(self.chance.choice(forms))) for _ in range(self.chance.randint(0, 6))]
        end = b"EXEC" if self.chance.random() < 0.9 else b"DISCARD"
        return [[b"MULTI"], *queued, [end]]

    @staticmethod
    def in_one_partition(form):
        tagged = {"k": "t", "k*": "t*", "kv*": "tv*"}
        return " ".join(tagged.get(letter, letter) for letter in form.split())

    def spoil(self, command):
        """Most commands stay as they are; some get another case, or lose or get an argument."""
        roll = self.chance.random()
        if roll < 0.05:
            command[0] = command[0].lower()
        elif roll < 0.08:
            command[0] = command[0].title()
        elif roll < 0.10 and len(command) > 1:
            command.pop()
        elif roll < 0.12:
            # No integer behind an EX that has none: the key would go in the midst of the commands.
            numbers = [] if command[-1] == b"EX" else INTEGERS
            command.append(self.chance.choice([*numbers, b"NX", b"LEN", b"nonsense"]))
        elif roll < 0.13 and len(command) > 2:
            command[self.chance.randrange(2, len(command))] = self.chance.choice(TEXTS[1:])
        return command

    def word(self, letter):
        kinds = {
            "k": lambda: self.chance.choice(self.keys),
            "t": lambda: self.chance.choice(self.tagged),
            "t*": lambda: self.chance.choices(self.tagged, k=self.chance.randint(1, 5)),
            "tv*": lambda: [w for k in self.word("t*") for w in (k, self.value())],
            "k*": lambda: self.chance.choices(self.keys, k=self.chance.randint(1, 5)),
            "kv*": lambda: [w for k in self.word("k*") for w in (k, self.value())],
            "v": self.value,
            "i": self.integer,
            "f": lambda: self.chance.choice([*FLOATS, *FLOATS, *INTEGERS, *NO_INTEGERS]),
            "o": self.offset,
            "r": lambda: self.number(self.chance.randint(-12, 12)),
            "b": lambda: self.chance.choice([b"0", b"1", b"0", b"1", b"2", b"-1", b"x", b""]),
            "set*": self.set_options,
            "getex*": self.getex_options,
            "expire*": lambda: self.some([b"NX", b"XX", b"GT", b"LT", b"gt", b"what"], 0.5),
            "lcs*": lambda: self.some([b"LEN", b"IDX", b"idx", b"WITHMATCHLEN", b"MINMATCHLEN", b"4", b"x"], 0.6),
            "copy*": lambda: self.some([b"REPLACE", b"replace", b"what"], 0.5),
            "samples*": lambda: self.some([b"SAMPLES", b"samples", b"0", b"5", b"-1", b"x"], 0.7),
            "command*": self.whole_command,
            "unit*": lambda: self.some([b"BIT", b"BYTE", b"bit", b"bytes"], 0.7)[:1],
            "s": self.seconds,
            "m": self.milliseconds,
            "S": lambda: self.moment(1),
            "M": lambda: self.moment(1000),
        }
        return kinds[letter]() if letter in kinds else letter.encode()

    @staticmethod
    def number(value):
        return b"%d" % value

    def some(self, words, more):
        found = []
        while self.chance.random() < more:
            found.append(self.chance.choice(words))
        return found

    def text(self):
        return self.chance.choice(TEXTS)

    def value(self):
        return self.chance.choice([self.text(), self.text(), self.integer(), self.chance.choice(FLOATS)])

    def integer(self):
        return self.chance.choice(NO_INTEGERS if self.chance.random() < 0.15 else INTEGERS)

    def offset(self):
        """Of bytes or bits: small ones, or such as no value can have."""
        if self.chance.random() < 0.15:
            return self.chance.choice([*NO_INTEGERS, b"-1", b"4294967296", b"9223372036854775807"])
        return self.number(self.chance.randint(0, 200))

    def bad_time(self):
        edges = [b"0", b"-1", b"-9223372036854775808", b"9223372036854775807", b"9223372036854775", b"9223372036854776"]
        return self.chance.choice([*NO_INTEGERS, *edges, b"-9223372036854775", b"-9223372036854776"])

    def seconds(self):
        if self.chance.random() < 0.2:
            return self.bad_time()
        return self.number(self.chance.randrange(1000, FAR_SECONDS))

    def milliseconds(self):
        if self.chance.random() < 0.2:
            bad = self.bad_time()
            # These are allowed. The same one twice, and GT and LT would tell how far the clock went on between.
            far = bad in (b"9223372036854775", b"9223372036854776")
            return self.number(int(bad) - self.chance.randrange(10**9)) if far else bad
        return self.number(self.chance.randrange(10**6, FAR_SECONDS * 1000))

    def moment(self, unit):
        if self.chance.random() < 0.2:
            return self.bad_time()
        if self.chance.random() < 0.2:
            return self.number(self.chance.randrange(1, 10**6))
        return self.number((int(time.time()) + self.chance.randrange(1000, FAR_SECONDS)) * unit)

    def times(self):
        option, kind = self.chance.choice([("EX", "s"), ("px", "m"), ("EXAT", "S"), ("pxAT", "M")])
        return [option.encode(), self.word(kind)]

    def set_options(self):
        options = []
        while self.chance.random() < 0.55:
            options += self.chance.choice(
                [self.times(), self.times(), [b"NX"], [b"xx"], [b"GET"], [b"KEEPTTL"], [b"what"], [b"PERSIST"], [b"EX"]]
            )
        return options

    def whole_command(self):
        """Of which COMMAND GETKEYS finds the keys, if its arity is right."""
        name = self.chance.choice([b"GET", b"mset", b"MSETNX", b"DEL", b"LCS", b"copy", b"OBJECT", b"memory", b"PING", b"BITPOS", b"what"])
        return [name, *self.some([b"USAGE", b"encoding", b"a", b"b", b""], 0.75)]

    def getex_options(self):
        options = []
        while self.chance.random() < 0.5:
            options += self.chance.choice([self.times(), self.times(), [b"PERSIST"], [b"persist"], [b"NX"], [b"PXAT"]])
        return options


# A form and how often it is drawn. Letters as in Commands.word; other words are themselves.
FORMS = [
    *[("GET k", 6), ("SET k v", 10), ("SET k v set*", 14), ("SETEX k s v", 3), ("PSETEX k m v", 3), ("SETNX k v", 3)],
    *[("GETSET k v", 3), ("GETDEL k", 3), ("GETEX k getex*", 8), ("GETRANGE k r r", 6), ("GETRANGE k i i", 2)],
    *[("SUBSTR k r r", 2), ("SETRANGE k o v", 6), ("APPEND k v", 4), ("STRLEN k", 3), ("INCR k", 3), ("DECR k", 3)],
    *[("INCRBY k i", 4), ("DECRBY k i", 4), ("INCRBYFLOAT k f", 10), ("MGET k*", 3), ("MSET kv*", 3)],
    *[("LCS t t lcs*", 6), ("SETBIT k o b", 6), ("GETBIT k o", 4), ("BITCOUNT k", 2), ("BITCOUNT k r r unit*", 6)],
    *[("BITCOUNT k i i unit*", 2), ("BITCOUNT k o", 1), ("BITPOS k b", 3), ("BITPOS k b r", 4), ("BITPOS k b r r unit*", 8)],
    *[("BITPOS k b i i unit*", 2), ("DEL k*", 4), ("UNLINK k*", 2), ("EXISTS k*", 3), ("TOUCH k*", 2), ("TYPE k", 2)],
    *[("EXPIRE k s expire*", 5), ("PEXPIRE k m expire*", 5), ("EXPIREAT k S expire*", 5), ("PEXPIREAT k M expire*", 5)],
    *[("TTL k", 5), ("PTTL k", 5), ("EXPIRETIME k", 5), ("PEXPIRETIME k", 5), ("PERSIST k", 4)],
    *[("NONSENSE k v", 1), ("PING", 1), ("ECHO v", 1), ("OBJECT FREQ k", 1), ("COMMAND GETKEYS command*", 2)],
    *[("MEMORY USAGE {differ}none samples*", 1)],
    *[("MSETNX tv*", 2), ("RENAME t t", 3), ("RENAMENX t t", 3), ("COPY t t copy*", 4)],
]
TOGETHER = {"MSETNX tv*", "RENAME t t", "RENAMENX t t", "COPY t t copy*"}
TELLING_TIME = ("TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME")
