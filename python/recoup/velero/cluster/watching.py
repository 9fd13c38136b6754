"""What happens to Velero's objects, one event for each change that can be seen, and schedules that do not run as they should."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, final

from ..._engine import InvalidArgumentError
from ..cron import Cron
from ..fields import parse_time
from ..stripping import valid_label
from .answers import Refused
from .following import Ended, Follower, Listed, Message, Seen
from .requests import BACKUP_LABEL, SCHEDULE_LABEL, VeleroRequests
from .states import State, state_of

KINDS = ("backups", "restores", "schedules", "podvolumebackups", "backupstoragelocations")
#: Velero's server looks every minute; a busy one may take a little longer.
GRACE = timedelta(minutes=5)
_RELIST_SECONDS = 300.0
_TICK_SECONDS = 5.0
_LINGER_SECONDS = 1.0

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Event:
    """A change, or what was there when watching began."""

    time: datetime
    kind: str
    namespace: str
    name: str
    before: State | None
    """None: it is new, or the watch is."""
    after: State | None
    """None: it is gone."""
    is_failure: bool
    is_initial: bool = False
    """It was so before the watch began."""
    note: str = ""
    """What no object says: that a schedule is overdue, and why."""
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def phase(self) -> str:
        return "deleted" if self.after is None else self.after.phase

    def __str__(self) -> str:
        whose = f"{self.kind} {self.name}"
        if self.note:
            return f"{whose}: {self.note}"
        if self.after is None:
            return f"{whose}: deleted"
        return f"{whose}: {f'{self.before.phase} -> ' if self.before and self.before.phase != self.after.phase else ''}{self.after}"


@final
class Watch:
    """An iterator of events. It ends when it is closed, after `timeout` seconds, or soon after `until` says so of what is there.

    Not for several threads at once. Close it, or use it in a with statement: it has a connection for each kind.
    """

    def __init__(
        self,
        requests: VeleroRequests,
        kinds: Sequence[str] = KINDS,
        *,
        everything: bool = False,
        only: Callable[[Document], bool] = lambda document: True,
        until: Callable[[Sequence[Document]], bool] | None = None,
        timeout: float | None = None,
        grace: timedelta = GRACE,
        relist: float = _RELIST_SECONDS,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self._requests = requests
        self._now = now
        self._everything = everything
        self._only = only
        self._until = until
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._messages: queue.Queue[Message] = queue.Queue()
        self._states: dict[str, State] = {}
        self._documents: dict[str, Mapping[str, Any]] = {}
        self._unlisted = set(kinds)
        self._timetable = _Timetable(grace)
        self._is_closed = False
        self.is_done = False
        """`until` was true."""
        self._followers = [
            Follower(requests.api, requests.path(plural), plural, self._messages, relist=relist) for plural in kinds
        ]
        for follower in self._followers:
            follower.start()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._is_closed = True
        self._messages.put(None)
        for follower in self._followers:
            follower.stop()
        for follower in self._followers:
            follower.join(timeout=2.0)

    def __iter__(self) -> Iterator[Event]:
        """Raises recoup's errors where the server refuses, or cannot be reached when the watch begins."""
        next_look = time.monotonic()
        try:
            while not self._is_closed:
                now = time.monotonic()
                if self._deadline is not None and now >= self._deadline:
                    return
                if now >= next_look and self.is_listed:
                    yield from self._timetable.look(self._now(), self.documents)
                    next_look = now + _TICK_SECONDS
                end = now + _TICK_SECONDS if self._deadline is None else min(now + _TICK_SECONDS, self._deadline)
                try:
                    message = self._messages.get(timeout=max(0.01, end - now))
                except queue.Empty:
                    continue
                yield from self._take(message)
                self._end_soon_if_done()
        finally:
            self.close()

    def _end_soon_if_done(self) -> None:
        if self._until is not None and self.is_listed and self._until(self.documents):
            # Kinds come by different connections: what belongs to a backup may be told after its end.
            end = time.monotonic() + _LINGER_SECONDS
            self._deadline = end if self._deadline is None else min(self._deadline, end)
            self._until = None
            self.is_done = True

    @property
    def documents(self) -> list[Document]:
        """All that is there now, as far as the iterator has come."""
        return list(self._documents.values())

    @property
    def is_listed(self) -> bool:
        """Every kind has been listed once."""
        return not self._unlisted

    def _take(self, message: Message) -> Iterator[Event]:
        if message is None:
            return
        if isinstance(message, Ended):
            problem = message.problem
            raise self._requests.listing_error(problem, message.plural) if isinstance(problem, Refused) else problem
        if isinstance(message, Listed):
            self._unlisted.discard(message.plural)
        elif message.document is not None and not self._only(message.document):
            return
        elif message.document is None:
            yield from self._take_deleted(message.uid)
        else:
            yield from self._take_seen(message)

    def _take_deleted(self, uid: str) -> Iterator[Event]:
        before, document = self._states.pop(uid, None), self._documents.pop(uid, None)
        if before is not None and document is not None:
            yield self._event(document, before, None, is_failure=False, is_initial=False)

    def _take_seen(self, seen: Seen) -> Iterator[Event]:
        document = seen.document or {}
        before, after = self._states.get(seen.uid), state_of(document)
        self._states[seen.uid], self._documents[seen.uid] = after, document
        if before == after:
            return
        if seen.is_first_listing and after.is_quiet and not self._everything:
            return
        # What failed before the watch began is no news; what is wrong now is.
        is_failure = after.is_failure and not (seen.is_first_listing and after.is_final) and not (before is not None and before.is_failure)
        yield self._event(document, before, after, is_failure=is_failure, is_initial=seen.is_first_listing)

    def _event(self, document: Document, before: State | None, after: State | None, *, is_failure: bool, is_initial: bool) -> Event:
        metadata = document["metadata"]
        return Event(
            time=self._now(),
            kind=str(document.get("kind") or ""),
            namespace=str(metadata.get("namespace") or ""),
            name=str(metadata.get("name") or ""),
            before=before,
            after=after,
            is_failure=is_failure,
            is_initial=is_initial,
            document=document,
        )


class _Timetable:
    """Schedules whose time has passed: Velero says nothing about them, least of all when its server does not run."""

    def __init__(self, grace: timedelta) -> None:
        self._grace = grace
        self._told: dict[str, datetime] = {}  # uid to the time that was missed

    def look(self, now: datetime, everything: Sequence[Document]) -> Iterator[Event]:
        for schedule in everything:
            if schedule.get("kind") == "Schedule":
                yield from self._look_at(now, schedule, everything)

    def _look_at(self, now: datetime, schedule: Document, everything: Sequence[Document]) -> Iterator[Event]:
        uid = str(schedule["metadata"]["uid"])
        due = due_of(schedule)
        if due is None or now <= due + self._grace:
            self._told.pop(uid, None)
            return
        if self._told.get(uid) == due:
            return
        self._told[uid] = due
        name = str(schedule["metadata"]["name"])
        running = [each for each in everything if _is_running_backup_of(each, name)]
        if running:
            other = running[0]["metadata"]["name"]
            note = (
                f"its backup of {due:%Y-%m-%d %H:%M} UTC is skipped, as {other} is still {state_of(running[0]).phase}; Velero makes one when that "
                f"has ended, however many were missed"
            )
        else:
            note = f"overdue since {due:%Y-%m-%d %H:%M} UTC, and no backup is under way: does Velero's server run? (kubectl get pods)"
        state, namespace = state_of(schedule), str(schedule["metadata"].get("namespace") or "")
        yield Event(now, "Schedule", namespace, name, state, state, is_failure=True, note=note, document=schedule)


def due_of(schedule: Document) -> datetime | None:
    """When the schedule is or was due next (V:pkg/controller/schedule_controller.go getNextRunTime). None: it is paused, or not valid."""
    spec, status, metadata = schedule.get("spec") or {}, schedule.get("status") or {}, schedule["metadata"]
    if spec.get("paused") or status.get("phase") == "FailedValidation":
        return None
    try:
        last = parse_time(str(status.get("lastBackup") or metadata["creationTimestamp"]))
        if status.get("lastSkipped"):
            last = max(last, parse_time(str(status["lastSkipped"])))
        return Cron.parse(str(spec.get("schedule") or "")).next(last)
    except (InvalidArgumentError, ValueError, KeyError):
        return None


def is_of_backup(document: Document, name: str) -> bool:
    """The Backup of that name, or one of its volumes."""
    metadata = document.get("metadata") or {}
    if document.get("kind") == "Backup":
        return bool(metadata.get("name") == name)
    return bool((metadata.get("labels") or {}).get(BACKUP_LABEL) == valid_label(name))


def is_running(document: Document) -> bool:
    """A Backup, Restore or volume that has not ended."""
    return document.get("kind") in ("Backup", "Restore", "PodVolumeBackup", "PodVolumeRestore") and not state_of(document).is_final


def _is_running_backup_of(document: Document, schedule: str) -> bool:
    labels = document.get("metadata", {}).get("labels") or {}
    return document.get("kind") == "Backup" and labels.get(SCHEDULE_LABEL) == schedule and not state_of(document).is_final
