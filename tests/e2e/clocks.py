"""Programs whose time of day is another one (libfaketime). Monotonic clocks have no setting, so they stay
what they are."""

from harness import BIN

FAKETIME = "/usr/$LIB/faketime/libfaketimeMT.so.1"  # the loader knows the $LIB
FILE_SECONDS = 1  # after so long a clock's file is read again


def faked(folder, clock_of, names):
    """A folder of programs in which each process has a time of day of its own: clock_of(NAME) is what
    the shell sets for it."""
    folder.mkdir()
    for program in ("ringnode", "ringproxy"):
        lines = ["#!/bin/sh", 'case "$*" in']
        lines += [f"*/{name}/*) export {clock_of(name)} ;;" for name in names]
        lines += ["esac", "FAKETIME_DONT_FAKE_MONOTONIC=1 LD_PRELOAD='" + FAKETIME + "' \\"]
        lines += [f'    exec {BIN / program} "$@"', ""]
        (folder / program).write_text("\n".join(lines))
        (folder / program).chmod(0o755)
    (folder / "ringctl").symlink_to(BIN / "ringctl")
    return folder


class Clocks:
    """Clocks that can be set while the programs run, by a file for each."""

    def __init__(self, folder, names):
        self.folder = folder
        self.names = names
        folder.mkdir()
        self.set(dict.fromkeys(names, "+0"))

    def programs(self, folder):
        return faked(folder, self.environment, self.names)

    def environment(self, name):
        return f"FAKETIME_TIMESTAMP_FILE={self.folder / name} FAKETIME_CACHE_DURATION={FILE_SECONDS}"

    def set(self, settings):
        """{NAME: as the variable FAKETIME}: "+5h" goes on from there, "2026-01-01 00:00:00" stands
        still."""
        for name, setting in settings.items():
            # In one piece: an empty file would mean no setting.
            new = self.folder / f"{name}.new"
            new.write_text(setting + "\n")
            new.rename(self.folder / name)

    def set_all(self, setting):
        self.set(dict.fromkeys(self.names, setting))
