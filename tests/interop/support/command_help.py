"""What `PROGRAM [COMMAND...] --help` lists: commands and flags, read from its text as both programs print it."""

from __future__ import annotations

import dataclasses
import re

from .programs import Program

_FLAG = re.compile(r" +(?:-(?P<short>\w), )?--(?P<long>[\w-]+)(?: (?P<value>\S+))?(?: {3,}|$)")


@dataclasses.dataclass(frozen=True)
class Flag:
    """One line below "Flags:"; `value` is the placeholder, "" for a switch."""

    long: str
    short: str
    value: str


def _sections(text: str) -> dict[str, list[str]]:
    """The indented lines below each line that ends in a colon."""
    found: dict[str, list[str]] = {}
    title = None
    for line in text.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            title = line[:-1]
        elif title and line.startswith("  "):
            found.setdefault(title, []).append(line)
        else:
            title = None
    return found


def commands_below(program: Program, *command: str) -> list[str]:
    """The names that the help of a command lists below it, under whatever headings; "help" itself is left out."""
    listed = _sections(program.run(*command, "--help").text)
    return [line.split()[0] for title, lines in listed.items() if title.endswith((" Commands", " Options"))
            for line in lines if line.split()[0] != "help"]


def all_commands(program: Program, *above: str) -> list[tuple[str, ...]]:
    """Every command as its words, those below others too: ("key",), ("key", "add"), ..."""
    found = []
    for name in commands_below(program, *above):
        found.append((*above, name))
        if not above:
            found += all_commands(program, name)
    return found


def flags_of(program: Program, *command: str) -> dict[str, Flag]:
    """The command's own flags and the global ones, by their long names."""
    listed = _sections(program.run(*command, "--help").text)
    found = {}
    for line in listed.get("Flags", []) + listed.get("Global Flags", []):
        match = _FLAG.match(line)
        assert match, f"{command}: not a flag: {line!r}"
        found[match["long"]] = Flag(match["long"], match["short"] or "", match["value"] or "")
    return found
