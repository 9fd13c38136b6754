"""Where Velero's bucket is and how it is opened, as the cluster's BackupStorageLocation says."""

from __future__ import annotations

import base64
import binascii
import configparser
import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ..._engine import AccessDeniedError, InvalidArgumentError, NotFoundError, UnsupportedError
from ..fields import Fields
from .answers import Refused
from .api import KubernetesApi

_LOCATIONS = "/apis/velero.io/v1/namespaces/{namespace}/backupstoragelocations"
# What the engine would take before, beside or instead of the keys of the location.
_COMPETING = (
    "AWS_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN", "RESTIC_AWS_ASSUME_ROLE_ARN",
)  # fmt: skip


@dataclass(frozen=True)
class Credentials:
    """Keys for S3. Neither is in its repr."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)
    source: str = ""
    """For messages: "Secret velero/cloud-credentials, key cloud, profile default"."""

    def __str__(self) -> str:
        return self.source

    def environment(self) -> dict[str, str]:
        """The variables from which the engine takes them."""
        found = {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}
        return {**found, "AWS_SESSION_TOKEN": self.session_token} if self.session_token else found


@dataclass(frozen=True)
class BucketPlace:
    """What open_objects() and recoup.open() need."""

    name: str
    """Of the BackupStorageLocation."""
    location: str
    """"s3:http://minio.lan:9000/velero-backups/prefix"."""
    options: Mapping[str, str]
    ca_certificate: bytes | None = field(repr=False)
    """PEM."""
    insecure_tls: bool
    credentials: Credentials | None
    """None: the cluster has no Secret with keys, as with roles of nodes and pods; the engine looks where it always does."""

    @contextlib.contextmanager
    def as_environment(self) -> Iterator[tuple[str, ...]]:
        """While it is entered, the engine finds the credentials, and the files that are yielded hold the certificates to trust: for
        Network(root_certificates=…). It sets variables of this process, so it is for programs with one bucket, such as the command.
        """
        before = dict(os.environ)
        try:
            if self.credentials is not None:
                for name in _COMPETING:
                    os.environ.pop(name, None)
                os.environ.update(self.credentials.environment())
            with tempfile.TemporaryDirectory(prefix="recoup-velero-") as directory:
                files: tuple[str, ...] = ()
                if self.ca_certificate is not None:
                    file = os.path.join(directory, "ca.pem")
                    with open(file, "wb") as written:
                        written.write(self.ca_certificate)
                    files = (file,)
                yield files
        finally:
            for name in {*_COMPETING, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}:
                os.environ.pop(name, None)
                if name in before:
                    os.environ[name] = before[name]


def find_place(api: KubernetesApi, namespace: str, name: str | None, *, is_outside: bool = True) -> BucketPlace:
    """`is_outside`: publicUrl, if the location has one, is the address for programs outside the cluster."""
    document = _storage_location(api, namespace, name)
    where = f"BackupStorageLocation {namespace}/{document['metadata']['name']}"
    spec = Fields(document, where).fields("spec")
    provider = spec.text("provider")
    if provider.rpartition("/")[2] != "aws":
        raise UnsupportedError(
            f"{where} is of the provider {provider!r}; recoup reads S3 (aws). With a copy of the bucket in a directory: --bucket DIRECTORY"
        )
    storage, config = spec.fields("objectStorage"), spec.texts("config")
    for key in ("customerKeyEncryptionFile", "customerKeyEncryptionSecret"):
        if config.get(key):
            raise UnsupportedError(f"{where} encrypts with a key of its own ({key}), which recoup cannot")
    options = {"s3.region": config["region"]} if config.get("region") else {}
    if config.get("s3ForcePathStyle", "").lower() == "true":
        options["s3.bucket-lookup"] = "path"
    return BucketPlace(
        name=document["metadata"]["name"],
        location=_location(storage, config, where, is_outside),
        options=options,
        ca_certificate=_certificates(api, namespace, storage, where),
        insecure_tls=config.get("insecureSkipTLSVerify", "").lower() == "true",
        credentials=_credentials(api, namespace, spec, config.get("profile") or "default"),
    )


def _storage_location(api: KubernetesApi, namespace: str, name: str | None) -> dict[str, Any]:
    path = _LOCATIONS.format(namespace=quote(namespace, safe=""))
    try:
        found = {str(each["metadata"]["name"]): dict(each) for each in api.get(path).get("items") or []}
    except Refused as problem:
        if problem.is_missing:
            raise NotFoundError(
                f"the cluster {api} has no BackupStorageLocation at all: Velero is not installed there. Give the bucket with --bucket"
            ) from problem
        raise problem.error(f"list the BackupStorageLocations in namespace {namespace}") from problem
    if name is not None:
        if name not in found:
            raise NotFoundError(f"there is no BackupStorageLocation {namespace}/{name}; there are: {', '.join(sorted(found)) or 'none'}")
        return found[name]
    if not found:
        raise NotFoundError(
            f"namespace {namespace} has no BackupStorageLocation. Is Velero in another one (recoup velero -n NAME)? Or give the bucket with --bucket"
        )
    defaults = [each for each in found.values() if (each.get("spec") or {}).get("default")]
    if len(defaults) == 1:
        return defaults[0]
    if "default" in found:
        return found["default"]
    if len(found) == 1:
        return next(iter(found.values()))
    raise InvalidArgumentError(
        f"namespace {namespace} has several BackupStorageLocations and none is the default: name one of {', '.join(sorted(found))}"
    )


def _location(storage: Fields, config: Mapping[str, str], where: str, is_outside: bool) -> str:
    bucket = storage.text("bucket")
    if not bucket:
        raise InvalidArgumentError(f"{where} names no bucket")
    url = (config.get("publicUrl") if is_outside else None) or config.get("s3Url")
    if not url:
        region = config.get("region", "")
        suffix = ".cn" if region.startswith("cn-") else ""
        url = f"https://s3.{region}.amazonaws.com{suffix}" if region else "https://s3.amazonaws.com"
    if "://" not in url:
        raise InvalidArgumentError(f"{where}: s3Url {url!r} is no URL such as http://minio:9000")
    prefix = storage.text("prefix").strip("/")
    # In a URL, percent signs and spaces have to be written as such.
    parts = [url.rstrip("/"), quote(bucket, safe=""), *([quote(prefix, safe="/")] if prefix else [])]
    return "s3:" + "/".join(parts)


def _certificates(api: KubernetesApi, namespace: str, storage: Fields, where: str) -> bytes | None:
    reference = storage.fields("caCertRef")  # since Velero 1.18
    if reference.text("name"):
        key = reference.text("key", "ca-bundle.crt")
        value = _secret(api, namespace, reference.text("name"), required_by=where)
        if value is None or key not in value:
            raise NotFoundError(f"{where}: caCertRef: Secret {namespace}/{reference.text('name')} has no key {key}")
        return value[key]
    encoded = storage.text("caCert")
    if not encoded:
        return None
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as problem:
        raise InvalidArgumentError(f"{where}: caCert is not base64") from problem


def _credentials(api: KubernetesApi, namespace: str, spec: Fields, profile: str) -> Credentials | None:
    reference = spec.fields("credential")
    name, key = reference.text("name"), reference.text("key", "cloud")
    is_named = bool(name)
    if not is_named:
        name, key = _servers_secret(api, namespace), "cloud"
    try:
        content = _secret(api, namespace, name, required_by="the BackupStorageLocation" if is_named else "")
    except AccessDeniedError:
        if os.environ.get("AWS_ACCESS_KEY_ID"):
            return None  # whoever asks has keys of their own
        raise
    if content is None:
        if is_named:
            raise NotFoundError(f"the credentials of the BackupStorageLocation are in the Secret {namespace}/{name}, which is not there")
        return None
    if key not in content:
        raise NotFoundError(f"Secret {namespace}/{name} has no key {key!r} with the credentials; it has: {', '.join(sorted(content)) or 'none'}")
    return parse_credentials(content[key], profile, f"Secret {namespace}/{name}, key {key}")


def _servers_secret(api: KubernetesApi, namespace: str) -> str:
    """The one that Velero's Deployment mounts: the Helm chart gives it other names than `velero install`."""
    try:
        deployment = api.get(f"/apis/apps/v1/namespaces/{quote(namespace, safe='')}/deployments/velero")
    except Refused:
        return "cloud-credentials"
    pod = Fields(deployment, "Deployment velero").fields("spec").fields("template").fields("spec")
    for volume in pod.each("volumes"):
        if volume.text("name") == "cloud-credentials" and volume.fields("secret").text("secretName"):
            return volume.fields("secret").text("secretName")
    return "cloud-credentials"


def _secret(api: KubernetesApi, namespace: str, name: str, required_by: str) -> dict[str, bytes] | None:
    try:
        document = api.get(f"/api/v1/namespaces/{quote(namespace, safe='')}/secrets/{quote(name, safe='')}")
    except Refused as problem:
        if problem.is_missing:
            return None
        if problem.status == 403:
            raise AccessDeniedError(
                f"may not read the Secret {namespace}/{name}{f', which {required_by} names' if required_by else ''}: {problem.message}. Give the "
                f"bucket with --bucket, and its keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ) from problem
        raise problem.error(f"read the Secret {namespace}/{name}") from problem
    return {key: base64.b64decode(value) for key, value in (document.get("data") or {}).items()}


def parse_credentials(content: bytes, profile: str, where: str) -> Credentials:
    """A file in AWS's form, as Velero's Secret holds it. Only keys are taken: what else the form has would run a command that the
    cluster names, or ask others for a role."""
    parser = configparser.ConfigParser(interpolation=None, strict=False, default_section="")
    try:
        parser.read_string(content.decode())
    except (configparser.Error, UnicodeDecodeError) as problem:
        # Not `from problem`: the parser quotes the line, and a line can be a key.
        what = type(problem).__name__
        raise InvalidArgumentError(
            f"{where}: not credentials in AWS's form ([default], aws_access_key_id=…, aws_secret_access_key=…): {what}"
        ) from None
    section = profile if parser.has_section(profile) else f"profile {profile}"
    if not parser.has_section(section):
        raise NotFoundError(f"{where}: no profile {profile!r}; there are: {', '.join(parser.sections()) or 'none'}")
    found = {key: value.strip() for key, value in parser[section].items() if value}
    access_key, secret_key = found.get("aws_access_key_id", ""), found.get("aws_secret_access_key", "")
    if not access_key or not secret_key:
        others = [key for key in ("role_arn", "credential_process", "web_identity_token_file") if key in found]
        if others:
            raise UnsupportedError(
                f"{where}, profile {profile}: it has {', '.join(others)} in place of keys. Give the bucket with --bucket, and its keys in "
                f"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        raise InvalidArgumentError(f"{where}, profile {profile}: aws_access_key_id or aws_secret_access_key is missing")
    return Credentials(access_key, secret_key, found.get("aws_session_token", ""), f"{where}, profile {profile}")
