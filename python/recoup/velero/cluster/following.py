"""One kind of object followed: listed, watched from there on, and listed again after whatever may have been missed."""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Union

from ..._engine import AccessDeniedError, Error
from .answers import Refused
from .api import KubernetesApi, Stream, Unreachable

_log = logging.getLogger("recoup")
_PAGE = "500"
# How long a connection that died unseen stays unseen.
_LONGEST_WATCH = 60.0


@dataclass(frozen=True)
class Seen:
    """An object as it is now; `document` is None where it is gone."""

    plural: str
    uid: str
    document: Mapping[str, Any] | None
    is_first_listing: bool = False


@dataclass(frozen=True)
class Listed:
    """The first listing of a kind is complete."""

    plural: str


@dataclass(frozen=True)
class Ended:
    """Following ended, as the server refuses it for good."""

    plural: str
    problem: Error | Refused


Message = Union[Seen, Listed, Ended, None]
"""None wakes whoever waits for the next one."""


class Follower(threading.Thread):
    """Puts Seen into the queue, also of objects that have not changed: telling that is for who knows what counts as a change.

    A watch goes on from the last version that was seen, so a broken connection loses nothing. Where the server has forgotten that
    version (410 Gone), and every `relist` seconds, everything is listed again; what is then missing was deleted.
    """

    def __init__(self, api: KubernetesApi, path: str, plural: str, messages: queue.Queue[Message], *, relist: float) -> None:
        super().__init__(name=f"recoup watches {plural}", daemon=True)
        self._api = api
        self._path = path
        self._plural = plural
        self._messages = messages
        self._relist = relist
        self._stopping = threading.Event()
        self._stream: Stream | None = None
        self._known: set[str] = set()
        self._is_first = True

    def stop(self) -> None:
        self._stopping.set()
        stream = self._stream
        if stream is not None:
            stream.close()

    def run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                version = self._list()
                failures = 0
                self._watch(version)
            except Refused as problem:
                if not problem.is_passing and problem.status != 410:
                    self._messages.put(Ended(self._plural, problem))
                    return
                failures += 1
                self._pause(failures, str(problem))
            except Unreachable as problem:
                failures += 1
                self._pause(failures, str(problem))
            except Error as problem:
                if self._is_first or isinstance(problem, AccessDeniedError):
                    # It never worked, as with a wrong address, or will not any more.
                    self._messages.put(Ended(self._plural, problem))
                    return
                failures += 1
                self._pause(failures, str(problem))

    def _pause(self, failures: int, why: str) -> None:
        if not self._stopping.is_set():
            _log.warning("watching %s: %s; trying again", self._plural, why)
        self._stopping.wait(min(30.0, 0.5 * 2 ** min(failures, 6)))

    def _list(self) -> str:
        found: set[str] = set()
        query = {"limit": _PAGE}
        while True:
            listed = self._api.get(self._path, query)
            metadata = listed.get("metadata") or {}
            kind = str(listed.get("kind") or "").removesuffix("List")
            for document in listed.get("items") or []:
                # Items of a list do not always say what they are.
                document = {"kind": kind, "apiVersion": listed.get("apiVersion"), **document}
                found.add(str(document["metadata"]["uid"]))
                self._put(document)
            if not metadata.get("continue"):
                break
            query["continue"] = str(metadata["continue"])
        for uid in self._known - found:
            self._messages.put(Seen(self._plural, uid, None))
        self._known = found
        if self._is_first:
            self._messages.put(Listed(self._plural))
            self._is_first = False
        return str(metadata.get("resourceVersion") or "0")

    def _put(self, document: Mapping[str, Any]) -> None:
        self._messages.put(Seen(self._plural, str(document["metadata"]["uid"]), document, self._is_first))

    def _watch(self, version: str) -> None:
        """Until it is time to list again."""
        until = time.monotonic() + self._relist
        failures = 0
        while not self._stopping.is_set() and time.monotonic() < until:
            seconds = max(1, round(min(_LONGEST_WATCH, until - time.monotonic())))
            query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version, "timeoutSeconds": str(seconds)}
            try:
                # The server ends it after `seconds`. Where even that does not come, the connection is dead.
                self._stream = self._api.stream(self._path, query, seconds + 15.0)
                if self._stopping.is_set():  # stop() came before there was a stream to close
                    self._stream.close()
                    return
                for event in self._stream:
                    if self._stopping.is_set():
                        return
                    version = self._take(event) or version
                    failures = 0
            except Unreachable as problem:
                if self._stopping.is_set():
                    return
                failures += 1
                _log.info("watching %s: %s; going on from version %s", self._plural, problem, version)
                self._stopping.wait(min(30.0, 0.25 * 2 ** min(failures, 7)))
            finally:
                self._stream = None

    def _take(self, event: Mapping[str, Any]) -> str:
        """The version from which to go on. Raises Refused for what the server says in the stream: 410 where it has forgotten."""
        document = event.get("object") or {}
        kind = event.get("type")
        if kind == "ERROR":
            raise Refused.parse(int(document.get("code") or 500), json.dumps(document).encode())
        metadata = document.get("metadata") or {}
        uid = str(metadata.get("uid") or "")
        if kind == "DELETED":
            self._known.discard(uid)
            self._messages.put(Seen(self._plural, uid, None))
        elif kind in ("ADDED", "MODIFIED"):
            self._known.add(uid)
            self._put(document)
        return str(metadata.get("resourceVersion") or "")
