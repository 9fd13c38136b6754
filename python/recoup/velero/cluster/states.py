"""What can be seen of Velero's objects, and what of it is a failure. Two states of an object that look alike are no change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..documents import part

#: Phases in which a Backup or Restore has ended.
FINAL_PHASES = frozenset({"Completed", "PartiallyFailed", "Failed", "FailedValidation"})
_FAILED_PHASES = frozenset({"PartiallyFailed", "Failed", "FailedValidation"})


@dataclass(frozen=True)
class State:
    """How an object looks to somebody who watches."""

    phase: str
    """Velero's word; "" is "New": the server has not taken it up."""
    details: tuple[str, ...] = ()
    """Each as "errors: 2"."""
    message: str = ""
    is_failure: bool = False
    is_final: bool = False
    """Nothing more will happen to it."""
    is_quiet: bool = False
    """Nothing about it is under way or wrong: whoever begins to watch need not be told of it."""

    def __str__(self) -> str:
        return ", ".join(part for part in (self.phase, *self.details, self.message) if part)


def state_of(document: Mapping[str, Any]) -> State:
    """Of a Backup, Restore, Schedule, PodVolumeBackup, BackupStorageLocation, …; what is not as it should be is left out."""
    kind = str(document.get("kind") or "")
    return _STATES.get(kind, _of_any)(part(document, "spec"), part(document, "status"))


def _of_run(spec: Mapping[str, Any], status: Mapping[str, Any]) -> State:
    phase = _text(status.get("phase")) or "New"
    details = [f"{key}: {status[key]}" for key in ("errors", "warnings") if isinstance(status.get(key), int) and status[key]]
    problems = [_text(status.get("failureReason")), *(_text(each) for each in _list(status.get("validationErrors")))]
    is_final = phase in FINAL_PHASES
    return State(
        phase,
        tuple(details),
        "; ".join(problem for problem in problems if problem),
        is_failure=phase in _FAILED_PHASES,
        is_final=is_final,
        is_quiet=is_final,
    )


def _of_volume(spec: Mapping[str, Any], status: Mapping[str, Any]) -> State:
    phase = _text(status.get("phase")) or "New"
    pod = part(spec, "pod")
    whose = f"volume {spec.get('volume')} of {pod.get('namespace')}/{pod.get('name')}"
    is_final = phase in ("Completed", "Failed", "Canceled")
    return State(
        phase,
        (whose,),
        _text(status.get("message")),
        is_failure=phase in ("Failed", "Canceled"),
        is_final=is_final,
        is_quiet=is_final,
    )


def _of_schedule(spec: Mapping[str, Any], status: Mapping[str, Any]) -> State:
    phase = _text(status.get("phase")) or "New"
    is_paused = bool(spec.get("paused"))
    details = [_text(spec.get("schedule")), "paused" if is_paused else ""]
    details += [f"{said}: {status[key]}" for key, said in (("lastBackup", "last backup"), ("lastSkipped", "skipped as asked")) if status.get(key)]
    is_wrong = phase == "FailedValidation"
    message = "; ".join(_text(each) for each in _list(status.get("validationErrors")))
    return State(phase, tuple(each for each in details if each), message, is_failure=is_wrong, is_quiet=not is_wrong and not is_paused)


def _of_location(spec: Mapping[str, Any], status: Mapping[str, Any]) -> State:
    phase = _text(status.get("phase")) or "New"
    is_read_only = spec.get("accessMode") == "ReadOnly"
    is_wrong = phase == "Unavailable"
    return State(
        phase,
        ("read only",) if is_read_only else (),
        _text(status.get("message")),
        is_failure=is_wrong,
        is_quiet=phase == "Available",
    )


def _of_any(spec: Mapping[str, Any], status: Mapping[str, Any]) -> State:
    return State(_text(status.get("phase")), (), _text(status.get("message")), is_quiet=True)


_STATES: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], State]] = {
    "Backup": _of_run,
    "Restore": _of_run,
    "Schedule": _of_schedule,
    "PodVolumeBackup": _of_volume,
    "PodVolumeRestore": _of_volume,
    "BackupStorageLocation": _of_location,
}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
