"""Real S3 servers for the tests: MinIO, and Versity's gateway as a second one that shares no code with it.

    with Minio(folder) as server:
        bucket = server.make_bucket("backups", versioning=True)
        user = server.add_user(READ_ONLY("backups"))
        program.run("snapshots", env=server.environment(user) | {"RESTIC_REPOSITORY": server.location("backups", "prefix")})
        bucket.keys(); bucket.flip("prefix/config", 40)

Buckets and objects are looked at and altered through boto3: none of it goes through recoup. tools/s3-servers.sh builds the programs.
"""

from __future__ import annotations

import abc
import ctypes
import dataclasses
import json
import os
import pathlib
import random
import secrets
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any, Callable

import boto3
import botocore.config
import botocore.exceptions
import urllib3

from .tls import Certificate

# The tests' own look at a server whose certificate is bad on purpose.
urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

__all__ = [
    "APPEND_ONLY",
    "FULL",
    "NO_DELETE",
    "NO_LIST",
    "PUT_ONLY",
    "READ_ONLY",
    "Bucket",
    "Credentials",
    "Minio",
    "Server",
    "Versity",
    "free_port",
    "program",
]


def program(variable: str, name: str) -> pathlib.Path:
    cache = os.environ.get("RECOUP_TEST_CACHE") or "~/.cache/recoup-test"
    return pathlib.Path(os.environ.get(variable) or f"{cache}/bin/{name}").expanduser()


def free_port() -> int:
    """Below 32768, where Linux takes the ports of outgoing connections from: none of those is in the way of a restart."""
    for _ in range(200):
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port between 20000 and 32000")


def die_with_parent() -> None:
    """For `preexec_fn`: not even a killed test run leaves servers behind. It is the thread that counts, not the process."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


# ---- who may do what ------------------------------------------------------------------------------------------------

@dataclasses.dataclass(frozen=True)
class Credentials:
    access_key: str
    secret_key: str
    session_token: str | None = None

    def environment(self) -> dict[str, str]:
        found = {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}
        return found | ({"AWS_SESSION_TOKEN": self.session_token} if self.session_token else {})


def _policy(*statements: tuple[str, Sequence[str]]) -> Callable[[str], dict]:
    """(Allow or Deny, actions): bucket actions apply to the bucket, object actions to all objects in it."""
    def of(bucket: str) -> dict:
        made = []
        for effect, actions in statements:
            about_bucket = [a for a in actions if "Bucket" in a]
            about_objects = [a for a in actions if "Bucket" not in a]
            if about_bucket:
                made.append({"Effect": effect, "Action": about_bucket, "Resource": [f"arn:aws:s3:::{bucket}"]})
            if about_objects:
                made.append({"Effect": effect, "Action": about_objects, "Resource": [f"arn:aws:s3:::{bucket}/*"]})
        return {"Version": "2012-10-17", "Statement": made}
    return of


_LOOK = ["s3:ListBucket", "s3:GetBucketLocation"]
#: Policies by bucket name. Each is what a careful administrator would write.
READ_ONLY = _policy(("Allow", [*_LOOK, "s3:GetObject"]))
PUT_ONLY = _policy(("Allow", ["s3:PutObject", "s3:GetBucketLocation"]))
NO_LIST = _policy(("Allow", ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:GetBucketLocation"]))
NO_DELETE = _policy(("Allow", [*_LOOK, "s3:GetObject", "s3:PutObject"]))
FULL = _policy(("Allow", [*_LOOK, "s3:ListBucketMultipartUploads", "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload",
                          "s3:ListMultipartUploadParts"]))


def APPEND_ONLY(bucket: str, prefix: str = "") -> dict:
    """All may be read and added, only locks deleted: restic's own advice against a stolen key."""
    made = NO_DELETE(bucket)
    made["Statement"].append({"Effect": "Allow", "Action": ["s3:DeleteObject"], "Resource": [f"arn:aws:s3:::{bucket}/{prefix}locks/*"]})
    return made


# ---- a bucket -------------------------------------------------------------------------------------------------------

class Bucket:
    """A bucket as it is, whatever recoup says of it."""

    def __init__(self, client: Any, name: str):
        self.client, self.name = client, name

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Key -> bytes of everything below `prefix`."""
        found = {}
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
            found.update({each["Key"]: each["Size"] for each in page.get("Contents", [])})
        return found

    def keys(self, prefix: str = "") -> list[str]:
        return sorted(self.sizes(prefix))

    def exists(self, key: str) -> bool:
        try:
            self.client.head_object(Bucket=self.name, Key=key)
        except botocore.exceptions.ClientError as why:
            if why.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return False
            raise
        return True

    def head(self, key: str, **more: Any) -> dict:
        return self.client.head_object(Bucket=self.name, Key=key, **more)

    def read(self, key: str, offset: int = 0, length: int | None = None, version: str | None = None) -> bytes:
        more: dict[str, Any] = {"VersionId": version} if version else {}
        if length == 0:
            return b""
        if offset or length is not None:
            more["Range"] = f"bytes={offset}-{'' if length is None else offset + length - 1}"
        try:
            return self.client.get_object(Bucket=self.name, Key=key, **more)["Body"].read()
        except botocore.exceptions.ClientError as why:
            if why.response["Error"]["Code"] == "NoSuchKey":
                raise FileNotFoundError(f"{self.name}/{key}") from why
            raise

    def write(self, key: str, content: bytes, **more: Any) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=content, **more)

    def edit(self, key: str, change: Callable[[bytearray], bytes]) -> None:
        """Replaces the object by what `change` makes of its contents."""
        self.write(key, bytes(change(bytearray(self.read(key)))))

    def flip(self, key: str, at: int) -> None:
        def change(raw: bytearray) -> bytearray:
            raw[at] ^= 0x10
            return raw
        self.edit(key, change)

    def delete(self, *keys: str) -> None:
        for key in keys:
            self.client.delete_object(Bucket=self.name, Key=key)

    def delete_below(self, prefix: str) -> None:
        keys = self.keys(prefix)
        for begin in range(0, len(keys), 1000):
            self.client.delete_objects(Bucket=self.name, Delete={"Objects": [{"Key": k} for k in keys[begin:begin + 1000]], "Quiet": True})

    def versions(self, prefix: str = "") -> list[dict]:
        """Every version, newest first; delete markers too, with `"deleted": True`."""
        found = []
        for page in self.client.get_paginator("list_object_versions").paginate(Bucket=self.name, Prefix=prefix):
            found += [v | {"deleted": False} for v in page.get("Versions", [])] + [m | {"deleted": True} for m in page.get("DeleteMarkers", [])]
        return sorted(found, key=lambda v: (v["Key"], -v["LastModified"].timestamp()))

    def uploads(self) -> list[dict]:
        """Multipart uploads that were begun and neither completed nor aborted."""
        return self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])

    def retention(self, key: str) -> dict | None:
        try:
            return self.client.get_object_retention(Bucket=self.name, Key=key)["Retention"]
        except botocore.exceptions.ClientError as why:
            if why.response["Error"]["Code"] == "NoSuchObjectLockConfiguration":
                return None
            raise


# ---- servers --------------------------------------------------------------------------------------------------------

class Server(abc.ABC):
    """One server on a free port of `address`, with a directory and credentials of its own; ready once made."""

    variable = name = ""

    def __init__(self, folder: os.PathLike | str, *, certificate: Certificate | None = None, region: str = "us-east-1", domain: str = "",
                 environment: Mapping[str, str] | None = None, address: str = "127.0.0.1"):
        """`certificate`: serve over TLS. `domain`: take the bucket from the Host header BUCKET.domain too. `environment`: more
        settings of the server's own. `address`: another one of this machine, for clients elsewhere."""
        self.folder, self.address = pathlib.Path(folder), address
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = self.folder / "data"
        for part in ("data", "home", "iam", "versions", "client"):
            (self.folder / part).mkdir(exist_ok=True)
        self.region, self.domain, self.certificate = region, domain, certificate
        self.root = Credentials(secrets.token_hex(10), secrets.token_hex(20))
        self.more = dict(environment or {})
        self.process: subprocess.Popen | None = None
        self._clients: dict[Any, Any] = {}
        for attempt in range(5):
            self.port = free_port()
            if self._try_start():
                return
        raise RuntimeError(f"{self.name} does not start; it said:\n{self.log()}")

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def __repr__(self) -> str:
        return f"<{self.name} at {self.endpoint}>"

    # -- what differs between the two

    @abc.abstractmethod
    def _arguments(self) -> list[Any]: ...

    @abc.abstractmethod
    def _environment(self) -> dict[str, str]: ...

    @abc.abstractmethod
    def _is_ready(self) -> bool: ...

    @abc.abstractmethod
    def add_user(self, policy: Mapping | None = None) -> Credentials:
        """A user who may do what `policy` says, and nothing without one."""

    # -- running

    @property
    def scheme(self) -> str:
        return "https" if self.certificate else "http"

    @property
    def endpoint(self) -> str:
        return f"{self.scheme}://{self.address}:{self.port}"

    def log(self) -> str:
        file = self.folder / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    def _status(self, path: str) -> int:
        """The status of an unsigned GET; 0 for no answer."""
        context = None
        if self.certificate:  # whether it is a good certificate is not the question here
            context = ssl._create_unverified_context()
        try:
            with urllib.request.urlopen(self.endpoint + path, timeout=10, context=context) as answer:
                return answer.status
        except urllib.error.HTTPError as why:
            return why.code
        except OSError:
            return 0

    def _try_start(self) -> bool:
        executable = program(self.variable, self.name)
        if not os.access(executable, os.X_OK):
            raise RuntimeError(f"no {self.name} at {executable}: run tools/s3-servers.sh, or set {self.variable}")
        env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(self.folder / "home"), **self._environment(), **self.more}
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([executable, *map(str, self._arguments())], env=env, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, preexec_fn=die_with_parent, start_new_session=True)
        end = time.monotonic() + 180
        while time.monotonic() < end:
            if self.process.poll() is not None:
                self.process = None
                return False
            if self._is_ready():
                return True
            time.sleep(0.02)
        self.kill()
        return False

    def _end(self, number: int) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.send_signal(signal.SIGCONT)
            self.process.wait()
            self.process = None

    def kill(self) -> None:
        """As a power failure would end it."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Orderly: what is running may finish."""
        self._end(signal.SIGTERM)

    def start(self) -> None:
        """After kill() or stop(): the same port, data and credentials."""
        for _ in range(5):
            if self.process is not None or self._try_start():
                return
        raise RuntimeError(f"{self.name} does not start again; it said:\n{self.log()}")

    def restart(self, down: float = 0) -> None:
        """Killed, `down` seconds away, back again."""
        self.kill()
        time.sleep(down)
        self.start()

    def pause(self) -> None:
        """Connections stand, and nothing is answered, until resume()."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    # -- using it

    def environment(self, user: Credentials | None = None) -> dict[str, str]:
        """What a program needs in its environment to be this user; root if none is given."""
        found = (user or self.root).environment()
        return found | ({"RESTIC_CACERT": str(self.certificate.authority)} if self.certificate and self.certificate.authority else {})

    def location(self, bucket: str, prefix: str = "", endpoint: str | None = None) -> str:
        """A repository's location, as restic writes it: a URL, in which only what would be taken for an escape needs one. `endpoint`: that
        of a proxy in front."""
        return f"s3:{endpoint or self.endpoint}/{bucket}" + (f"/{prefix.replace('%', '%25')}" if prefix else "")

    def client(self, user: Credentials | None = None, endpoint: str | None = None, service: str = "s3") -> Any:
        user = user or self.root
        if (user, endpoint, service) not in self._clients:
            # What this asks must not be repeated behind the test's back, nor checked by sums that some servers lack.
            config = botocore.config.Config(retries={"total_max_attempts": 1, "mode": "standard"}, s3={"addressing_style": "path"},
                                            request_checksum_calculation="when_required", response_checksum_validation="when_required",
                                            connect_timeout=60, read_timeout=180)
            self._clients[user, endpoint, service] = boto3.session.Session().client(
                service, endpoint_url=endpoint or self.endpoint, aws_access_key_id=user.access_key, aws_secret_access_key=user.secret_key,
                aws_session_token=user.session_token, region_name=self.region, config=config, verify=False)
        return self._clients[user, endpoint, service]

    def bucket(self, name: str, user: Credentials | None = None) -> Bucket:
        return Bucket(self.client(user), name)

    def make_bucket(self, name: str, *, versioning: bool = False, object_lock: bool = False, retention_days: int = 0) -> Bucket:
        """`retention_days`: every new object is locked that long, in compliance mode (nobody can shorten it)."""
        client = self.client()
        client.create_bucket(Bucket=name, **({"ObjectLockEnabledForBucket": True} if object_lock or retention_days else {}))
        if versioning:
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        if retention_days:
            rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": retention_days}}
            client.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule})
        return self.bucket(name)


class Minio(Server):
    variable, name = "MINIO", "minio"

    def __init__(self, *args: Any, **more: Any):
        self._attached: set[str] = set()
        super().__init__(*args, **more)

    def _arguments(self) -> list[Any]:
        secure: list[Any] = []
        if self.certificate:
            folder = self.folder / "certificates"
            folder.mkdir(exist_ok=True)
            (folder / "public.crt").write_bytes(self.certificate.chain.read_bytes())
            (folder / "private.key").write_bytes(self.certificate.key.read_bytes())
            secure = ["--certs-dir", folder]
        return ["server", "--quiet", "--address", f"{self.address}:{self.port}", *secure, self.data]

    def _environment(self) -> dict[str, str]:
        settings = {"MINIO_ROOT_USER": self.root.access_key, "MINIO_ROOT_PASSWORD": self.root.secret_key, "MINIO_SITE_REGION": self.region,
                    "MINIO_BROWSER": "off", "MINIO_UPDATE": "off"}
        return settings | ({"MINIO_DOMAIN": self.domain} if self.domain else {})

    def _is_ready(self) -> bool:
        # An unsigned request is refused only once it knows its users; /minio/health/ready says yes before that.
        return self._status("/recoup-is-it-ready/") == 403

    def mc(self, *args: str, stdin: str = "", code: int = 0) -> str:
        """MinIO's own client, as root; the server is called `x`."""
        env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(self.folder / "client"),
               "MC_HOST_x": f"{self.scheme}://{self.root.access_key}:{self.root.secret_key}@{self.address}:{self.port}"}
        done = subprocess.run([program("MC", "mc"), "--config-dir", self.folder / "client", "--insecure", "--json", *args], env=env,
                              input=stdin, capture_output=True, text=True, timeout=600)
        assert done.returncode == code, f"mc {' '.join(args)}: {done.stdout}{done.stderr}"
        return done.stdout

    def add_user(self, policy: Mapping | None = None) -> Credentials:
        made = Credentials(f"u{secrets.token_hex(6)}", secrets.token_hex(20))
        self.mc("admin", "user", "add", "x", stdin=f"{made.access_key}\n{made.secret_key}\n")
        if policy is not None:
            self.set_policy(made, policy)
        return made

    def set_policy(self, user: Credentials, policy: Mapping) -> None:
        """Instead of what the user could do before."""
        name = f"of-{user.access_key}"
        file = self.folder / "client" / name
        file.write_text(json.dumps(policy))
        self.mc("admin", "policy", "create", "x", name, str(file))
        if name not in self._attached:
            self.mc("admin", "policy", "attach", "x", name, "--user", user.access_key)
            self._attached.add(name)

    def remove_user(self, user: Credentials) -> None:
        self.mc("admin", "user", "remove", "x", user.access_key)

    def temporary(self, user: Credentials | None = None, seconds: int = 900) -> Credentials:
        """Credentials with a session token, as STS gives them: what `user` may do, for `seconds` (900 at least)."""
        user = user or self.add_user(FULL("*"))
        said = self.client(user, service="sts").assume_role(RoleArn="arn:aws:iam::000000000000:role/any", RoleSessionName="any", DurationSeconds=seconds)
        given = said["Credentials"]
        return Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])


class Versity(Server):
    variable, name = "VERSITYGW", "versitygw"

    def _arguments(self) -> list[Any]:
        secure = ["--cert", self.certificate.chain, "--key", self.certificate.key] if self.certificate else []
        named = ["--virtual-domain", self.domain] if self.domain else []
        return ["--port", f"127.0.0.1:{self.port}", "--quiet", "--keep-alive", "--health", "/health", "--region", self.region, "--iam-dir",
                self.folder / "iam", "--iam-cache-disable", *secure, *named, "posix", "--versioning-dir", self.folder / "versions", self.data]

    def _environment(self) -> dict[str, str]:
        return {"ROOT_ACCESS_KEY_ID": self.root.access_key, "ROOT_SECRET_ACCESS_KEY": self.root.secret_key}

    def _is_ready(self) -> bool:
        return self._status("/health") == 200

    def add_user(self, policy: Mapping | None = None) -> Credentials:
        """The gateway has policies of buckets only: the user is put into that of the bucket that the policy names."""
        made = Credentials(f"u{secrets.token_hex(6)}", secrets.token_hex(20))
        env = {"PATH": "/usr/bin:/bin", "ADMIN_ACCESS_KEY": self.root.access_key, "ADMIN_SECRET_KEY": self.root.secret_key,
               "ADMIN_ENDPOINT_URL": self.endpoint}
        subprocess.run([program(self.variable, self.name), "admin", "--allow-insecure", "create-user", "--access", made.access_key,
                        "--secret", made.secret_key, "--role", "user"], env=env, check=True, capture_output=True, timeout=600)
        if policy is not None:
            self.set_policy(made, policy)
        return made

    def set_policy(self, user: Credentials, policy: Mapping) -> None:
        statements = [s | {"Principal": [user.access_key]} for s in policy["Statement"]]
        (bucket,) = {r.removeprefix("arn:aws:s3:::").split("/")[0] for s in statements for r in s["Resource"]}
        self.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
