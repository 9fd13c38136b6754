"""Options of `recoup velero` itself: they stand before a subcommand's name or after it, as people type them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click
from click.core import ParameterSource

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass
class Given:
    """What the command line and the environment say, wherever it stands; None: nothing."""

    bucket: str | None = None
    as_json: bool = False
    options: tuple[str, ...] = ()
    password_files: tuple[str, ...] = ()
    password_command: str | None = None
    kubeconfig: str | None = None
    context: str | None = None
    velero_namespace: str | None = None
    location: str | None = None


def given_in(context: click.Context) -> Given:
    """The same for a command and its subcommands."""
    given: Given = context.meta.setdefault(__name__, Given())
    return given


def _note(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """What may be given several times adds up; of the rest, what stands after the subcommand's name counts."""
    name = str(parameter.name)
    if context.get_parameter_source(name) not in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT):
        return
    given = given_in(context)
    setattr(given, name, (*getattr(given, name), *value) if parameter.multiple else value)


def option_everywhere(*declarations: str, **attributes: Any) -> Callable[[_Function], _Function]:
    """An option of the group, whose name is that of a field of `Given`."""
    return click.option(*declarations, expose_value=False, callback=_note, **attributes)


class Commands(click.Group):
    """Gives each subcommand the group's options as well, but for those whose words it has a meaning of its own for."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        own = {word for parameter in cmd.params for word in parameter.opts}
        also = [option for option in self.params if isinstance(option, click.Option) and not option.is_eager and own.isdisjoint(option.opts)]
        for option in also:
            hidden = copy.copy(option)
            hidden.hidden = True
            hidden.envvar = None  # the group has read it
            cmd.params.append(hidden)
        words = ", ".join(max(option.opts, key=len) for option in also)
        cmd.epilog = f"Options of `recoup velero`, which its help explains, may stand here, too: {words}."
        super().add_command(cmd, name)
