"""Planned objects as YAML: one stream for kubectl, or a directory with a file for each, in the order of the restore."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from .._engine import InvalidArgumentError, StorageError
from ..arguments import Path
from .files import unfinished
from .manifests import PlannedObject

_Base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
# YAML 1.1, of which PyYAML, kubectl and others each know another part, has many ways to write numbers and truth. Only what
# begins like a word, and is none of these, goes without quotes.
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity"})
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./:@%+,*=;()-]*(?: [A-Za-z0-9_./@%+,*=;()-]+)*", re.ASCII)
# Lines of readable text, as scripts and configurations are.
_LINES = re.compile(r"(?:[^\s].*)?(?:\n.*)*", re.ASCII)
_WRITTEN = re.compile(r"[0-9]{4,}-.+\.yaml")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
# File systems take names of 255 bytes.
_LONGEST_PART = 70


class _Dumper(_Base):  # type: ignore[misc]  # whichever PyYAML has
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=_style(text))


def _style(text: str) -> str | None:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return None
    is_readable = all(each.isprintable() or each in "\n\t" for each in text)
    if "\n" in text and is_readable and _LINES.fullmatch(text):
        return "|"
    return "'" if is_readable and "\n" not in text and "\t" not in text else '"'


_Dumper.add_representer(str, _represent_text)


def to_yaml(document: Mapping[str, Any]) -> str:
    """What every YAML reader takes for the same document: "yes", "0123" and "1e3" stay text."""
    made: str = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=1_000_000
    )
    return made


def stream(objects: Iterable[PlannedObject]) -> Iterator[str]:
    """The objects as documents of one stream, for `kubectl apply --server-side -f -`."""
    for each in objects:
        yield "---\n" + to_yaml(each.document)


def file_name(number: int, each: PlannedObject) -> str:
    """Unique by its number, and harmless whatever the object is called."""
    parts = (each.resource, *([each.namespace] if each.namespace else []), each.name)
    return f"{number:04}-{'-'.join(_UNSAFE.sub('_', part)[:_LONGEST_PART] for part in parts)}.yaml"


def write_directory(objects: Iterable[PlannedObject], target: Path, *, replace: bool = False) -> list[str]:
    """Writes a file for each object, NNNN-RESOURCE-NAMESPACE-NAME.yaml, in the order of the restore, and returns their names.

    The directory comes into being whole or not at all. It must not be there, or be empty; with `replace` it may hold what an
    earlier call has written, and nothing else. Where Secrets are among the objects, only its owner can read it.

    Raises InvalidArgumentError, StorageError.
    """
    directory = os.path.abspath(os.fsdecode(target))
    planned = list(objects)
    _check_target(directory, replace)
    try:
        os.makedirs(os.path.dirname(directory), exist_ok=True)
        made = unfinished(directory)
        os.mkdir(made, 0o700)
        try:
            names = []
            for number, each in enumerate(planned, 1):
                names.append(file_name(number, each))
                with open(os.path.join(made, names[-1]), "x", encoding="utf-8") as file:
                    file.write(to_yaml(each.document))
            if not any(each.resource == "secrets" for each in planned):
                _open_to_all(made)
            _put_in_place(made, directory)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
    except OSError as problem:
        raise StorageError(f"cannot write the manifests into {directory}: {problem.strerror or problem}") from problem
    return names


def _check_target(directory: str, replace: bool) -> None:
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise InvalidArgumentError(f"{directory} is a file; name a directory for the manifests") from None
    except OSError as problem:
        raise StorageError(f"cannot look into {directory}: {problem.strerror}") from problem
    if names and not replace:
        raise InvalidArgumentError(
            f"{directory} is not empty; name another directory, or have what an earlier run has written there replaced"
        )
    foreign = sorted(each for each in names if not _WRITTEN.fullmatch(each))
    if foreign:
        raise InvalidArgumentError(
            f"{directory} holds {foreign[0]!r}, which is not of an earlier run: it is not replaced; name another directory"
        )


def _open_to_all(directory: str) -> None:
    """As a directory made in the usual way is: mkdtemp makes it private."""
    probe = os.path.join(directory, ".mode")
    os.mkdir(probe)
    os.chmod(directory, os.stat(probe).st_mode & 0o777)
    os.rmdir(probe)


def _put_in_place(made: str, directory: str) -> None:
    try:
        os.rename(made, directory)  # over nothing, or over an empty directory
        return
    except OSError:
        if not os.path.isdir(directory):
            raise
    old = unfinished(directory)
    os.rename(directory, old)
    try:
        os.rename(made, directory)
    except BaseException:
        os.rename(old, directory)
        raise
    shutil.rmtree(old)
