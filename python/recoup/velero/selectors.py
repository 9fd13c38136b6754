"""Label selectors, in Kubernetes' syntax: "app=web,tier!=cache,env in (prod, test),!legacy"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .._engine import InvalidArgumentError
from .fields import printable

_TOKEN = re.compile(r"\s*(?:(?P<symbol>==|!=|[=!(),<>])|(?P<word>[^\s=!(),<>]+))")
_WORD = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
_DOMAIN = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,19}")


@dataclass(frozen=True)
class Requirement:
    """One condition. An object without the label fulfils "notin" and "!exists", and nothing else."""

    key: str
    operator: str  # "in", "notin", "exists", "!exists", ">", "<"
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        if self.operator in ("exists", "!exists"):
            return (value is not None) == (self.operator == "exists")
        if value is None:
            return self.operator == "notin"
        if self.operator in ("in", "notin"):
            return (value in self.values) == (self.operator == "in")
        if not _WHOLE_NUMBER.fullmatch(value):
            return False
        (bound,) = self.values
        return int(value) > int(bound) if self.operator == ">" else int(value) < int(bound)


@dataclass(frozen=True)
class LabelSelector:
    """Conditions that must all be fulfilled. Without any, every object is selected."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(each.matches(labels) for each in self.requirements)

    @staticmethod
    def parse(text: str) -> LabelSelector:
        """Takes what `kubectl -l` takes. Raises InvalidArgumentError."""
        return LabelSelector(tuple(_Parser(text).parse()))


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [(found["symbol"], found["word"]) for found in _TOKEN.finditer(text)]
        self._next = 0

    def parse(self) -> Iterator[Requirement]:
        while self._tokens:
            yield self._requirement()
            if self._next == len(self._tokens):
                return
            self._expect(",")

    def _requirement(self) -> Requirement:
        if self._take("!"):
            return Requirement(self._key(), "!exists")
        key = self._key()
        symbol, word = self._peek()
        if symbol == "," or (symbol, word) == (None, None):
            return Requirement(key, "exists")
        self._next += 1
        if word in ("in", "notin"):
            return Requirement(key, word, frozenset(self._values()))
        if symbol in ("=", "==", "!="):
            return Requirement(key, "notin" if symbol == "!=" else "in", frozenset([self._value()]))
        if symbol in ("<", ">"):
            bound = self._value()
            if not _WHOLE_NUMBER.fullmatch(bound):
                raise self._wrong(f"after {symbol} comes a whole number")
            return Requirement(key, symbol, frozenset([bound]))
        raise self._wrong(f"after {printable(key)} comes =, ==, !=, in, notin, < or >, not {printable(symbol or word or '')}")

    def _values(self) -> Iterator[str]:
        self._expect("(")
        while True:
            yield self._value()
            if self._take(")"):
                return
            self._expect(",")

    def _value(self) -> str:
        """Nothing is a value as well: the empty one."""
        word = self._peek()[1]
        if word is None:
            return ""
        self._next += 1
        if len(word) > 63 or not _WORD.fullmatch(word):
            raise self._wrong(f"{printable(word)} is no value that a label can have")
        return word

    def _key(self) -> str:
        word = self._peek()[1]
        if word is None:
            raise self._wrong("the name of a label is missing")
        self._next += 1
        prefix, slash, name = word.rpartition("/")
        if len(name) > 63 or not _WORD.fullmatch(name) or (slash and (len(prefix) > 253 or not _DOMAIN.fullmatch(prefix))):
            raise self._wrong(f"{printable(word)} is no name that a label can have")
        return word

    def _peek(self) -> tuple[str | None, str | None]:
        return self._tokens[self._next] if self._next < len(self._tokens) else (None, None)

    def _take(self, symbol: str) -> bool:
        found = self._peek()[0] == symbol
        self._next += found
        return found

    def _expect(self, symbol: str) -> None:
        if not self._take(symbol):
            found = "".join(each or "" for each in self._peek())
            raise self._wrong(f"{symbol} is missing{' before ' + printable(found) if found else ' at the end'}")

    def _wrong(self, why: str) -> InvalidArgumentError:
        return InvalidArgumentError(
            f"{printable(self._text)!r} is no label selector: {why}. Selectors are written as for kubectl: app=web,env in (prod,test),!legacy"
        )
