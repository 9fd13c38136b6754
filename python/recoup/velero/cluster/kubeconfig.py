"""The kubeconfig, read by the official client, and what that passes over in silence: it goes on without credentials, as nobody."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..._engine import AccessDeniedError, Error, InvalidArgumentError, NotFoundError, UnsupportedError


def client_module(name: str) -> Any:
    """Of the official client. Raises UnsupportedError where it is not installed."""
    try:
        return importlib.import_module(f"kubernetes.{name}")
    except ImportError as problem:
        raise UnsupportedError("this needs the official Kubernetes client for Python: pip install 'recoup[kubernetes]'") from problem


def configure(kubeconfig: str | os.PathLike[str] | None, context: str | None) -> tuple[Any, str]:
    """The client's configuration, and where it is from, for messages. Raises NotFoundError, InvalidArgumentError, UnsupportedError;
    AccessDeniedError where the program that gives the credentials fails."""
    config = client_module("config")
    configuration = client_module("client").Configuration()
    files = os.fspath(kubeconfig) if kubeconfig is not None else os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
    existing = [file for file in files.split(os.pathsep) if file and os.path.exists(os.path.expanduser(file))]
    try:
        if existing:
            place = f"context {context} in {files}" if context else f"the current context of {files}"
            with _log_of_client() as said:
                config.load_kube_config(config_file=files, context=context, client_configuration=configuration)
            _check_credentials(configuration, files, context, said)
        elif kubeconfig is not None or context is not None or not os.environ.get("KUBERNETES_SERVICE_HOST"):
            raise NotFoundError(
                f"no kubeconfig: {files} is not there. Give one with --kubeconfig or KUBECONFIG"
                + ("" if kubeconfig is not None else "; in a pod, its service account is used")
            )
        else:
            place = "as this pod's service account"
            config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException as problem:
        raise InvalidArgumentError(f"cannot use the kubeconfig {files if existing else 'of the pod'}: {problem}") from problem
    except Error:
        raise
    except (OSError, ValueError, TypeError, AttributeError, importlib.import_module("yaml").YAMLError) as problem:
        # The loader's own way of saying that a file is not what it should be.
        raise InvalidArgumentError(f"cannot read the kubeconfig {files}: {problem}") from problem
    return configuration, place


def _check_credentials(configuration: Any, files: str, context: str | None, said: list[str]) -> None:
    """Raises where the client has found none although there should be some: a server lets nobody ask for its version, so that all would
    be refused one by one."""
    if configuration.api_key or configuration.cert_file or configuration.username:
        return
    merged = client_module("config.kube_config").KubeConfigMerger(files).config.value
    name = (_named(merged, "contexts", context or merged.get("current-context"), "context") or {}).get("user")
    if not name:
        return  # a server that takes requests of anybody
    user = _named(merged, "users", name, "user")
    if user is None:
        raise InvalidArgumentError(f"cannot use the kubeconfig {files}: its context names the user {name}, and there is none of that name")
    plugin = user.get("exec") or user.get("auth-provider")
    if isinstance(plugin, Mapping):
        program = plugin.get("command") or f"the auth-provider {plugin.get('name')}"
        why = "; ".join(said) or "it gave neither a token nor a certificate"
        raise AccessDeniedError(f"no credentials for the user {name} of {files}: {program}: {why}. Does it work with kubectl? Log in again")


def _named(merged: Mapping[str, Any], kind: str, name: Any, field: str) -> Any:
    """What an entry of a list says. None: there is no such entry."""
    for each in merged.get(kind) or []:
        # The client wraps entries, to remember which file they are from.
        entry = getattr(each, "value", each)
        if entry.get("name") == name:
            return entry.get(field) or {}
    return None


@contextlib.contextmanager
def _log_of_client() -> Iterator[list[str]]:
    """What the client logs at the root, as of a program that gives no credentials; else it would be printed among what the user reads."""
    said: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    collector = Collector(logging.ERROR)
    root = logging.getLogger()
    root.addHandler(collector)
    try:
        yield said
    finally:
        root.removeHandler(collector)
