"""Connecting to a real API server, and finding Velero's bucket through it."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys

import pytest
import yaml

import recoup
from recoup.velero.cluster import Cluster
from support import s3

pytest_plugins = ["kubernetes_server"]

SECRET_KEY = "wJalrXUtnFEMIsecretEXAMPLEKEY"
CREDENTIALS = f"[default]\naws_access_key_id=AKIAIOSFODNN7EXAMPLE\naws_secret_access_key={SECRET_KEY}\n"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def secret(namespace: str, name: str = "cloud-credentials", **values: str) -> dict:
    return {
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace},
        "data": {key: encoded(value) for key, value in values.items()},
    }  # fmt: skip


def storage_location(namespace: str, name: str = "default", config: dict | None = None, storage: dict | None = None, **spec) -> dict:
    return {
        "apiVersion": "velero.io/v1", "kind": "BackupStorageLocation", "metadata": {"name": name, "namespace": namespace},
        "spec": {"provider": "aws", "objectStorage": {"bucket": "velero-backups", **(storage or {})}, "config": config or {}, **spec},
    }  # fmt: skip


class TestConnecting:
    def test_a_server_is_reached_by_its_kubeconfig(self, server, monkeypatch):
        assert Cluster.connect(server.kubeconfig).address == server.address
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
        assert Cluster.connect(context="test").address == server.address

    def test_no_kubeconfig(self, server, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.delenv("KUBECONFIG", raising=False)
        with pytest.raises(recoup.NotFoundError, match="no kubeconfig.*--kubeconfig or KUBECONFIG"):
            Cluster.connect()
        with pytest.raises(recoup.NotFoundError, match="nowhere.yaml is not there"):
            Cluster.connect(tmp_path / "nowhere.yaml")

    @pytest.mark.parametrize("content", ["", "- a list", "{unclosed", "clusters: 5", "\0"])
    def test_a_kubeconfig_that_is_none(self, server, tmp_path, content):
        (tmp_path / "config").write_text(content)
        with pytest.raises(recoup.InvalidArgumentError, match=str(tmp_path)):
            Cluster.connect(tmp_path / "config")

    def test_a_context_that_is_not_there(self, server):
        with pytest.raises(recoup.InvalidArgumentError, match="other"):
            Cluster.connect(server.kubeconfig, context="other")

    def test_nobody_listens(self, server):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            kubeconfig = server.write_kubeconfig("admin", file="nobody.kubeconfig", server=f"https://127.0.0.1:{unused.getsockname()[1]}")
            with pytest.raises(recoup.StorageError, match="cannot reach the Kubernetes API server https://127.0.0.1.*refused.*Is the cluster running"):
                Cluster.connect(kubeconfig)

    def test_a_client_certificate_that_has_run_out(self, server):
        server.authority.issue("expired", "system:masters", days=-2)
        with pytest.raises(recoup.AccessDeniedError, match=r"client certificate has expired on \d{4}-\d\d-\d\d .*kubeadm"):
            Cluster.connect(server.write_kubeconfig("expired"))

    def test_a_token_that_is_wrong(self, server):
        kubeconfig = server.write_kubeconfig("admin", file="token.kubeconfig")
        config = yaml.safe_load(kubeconfig.read_text())
        config["users"][0]["user"] = {"token": "no-such-token"}
        kubeconfig.write_text(yaml.safe_dump(config))
        with pytest.raises(recoup.AccessDeniedError, match="does not know who asks.*log in again"):
            Cluster.connect(kubeconfig)

    @pytest.mark.parametrize(("token", "words"), [("geheim\n", "does not know who asks"), ("geh\neim", "line break"), ("gehéim", "that no token has")])
    def test_a_token_that_no_header_can_have(self, server, tmp_path, token, words):
        """The library for HTTP would quote it in its error."""
        (tmp_path / "token").write_text(token)
        with pytest.raises(recoup.AccessDeniedError, match=words) as raised:
            Cluster.connect(self.with_user(server, tmp_path, {"tokenFile": str(tmp_path / "token")}))
        assert "eim" not in str(raised.value).replace(str(tmp_path), "")

    @pytest.mark.parametrize(
        ("command", "words"),
        [
            ("/no/such/plugin", "/no/such/plugin: .*No such file.* Log in again"),
            ("failing", "failing: exec: process returned 1. please log in. Does it work"),
            ("silent", "silent: exec: failed to decode process output"),
        ],
    )
    def test_a_program_for_credentials_that_gives_none(self, server, tmp_path, capfd, command, words):
        """Without them the server would know who asks as system:anonymous, and refuse all there is one by one."""
        for name, script in (("failing", "echo please log in >&2; exit 1"), ("silent", "")):
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / name).chmod(0o755)
        program = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(tmp_path / command), "interactiveMode": "Never"}
        with pytest.raises(recoup.AccessDeniedError, match=f"no credentials for the user admin of .*{words}"):
            Cluster.connect(self.with_user(server, tmp_path, {"exec": program}))
        assert capfd.readouterr().err == ""

    def test_a_program_for_credentials(self, server, tmp_path):
        keys = {f"client{part}Data": (server.directory / f"admin.{ending}").read_text() for part, ending in (("Certificate", "crt"), ("Key", "key"))}
        told = json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": keys})
        (tmp_path / "plugin").write_text(f"#!/bin/sh\ncat <<'END'\n{told}\nEND\n")
        (tmp_path / "plugin").chmod(0o755)
        program = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(tmp_path / "plugin"), "interactiveMode": "Never"}
        kubeconfig = self.with_user(server, tmp_path, {"exec": program})
        with Cluster.connect(kubeconfig, namespace="kube-system") as cluster:
            assert cluster._api.get("/api/v1/nodes")["kind"] == "NodeList"

    def test_a_user_who_is_not_there(self, server, tmp_path):
        kubeconfig = self.with_user(server, tmp_path, {}, name="somebody")
        with pytest.raises(recoup.InvalidArgumentError, match="names the user admin, and there is none of that name"):
            Cluster.connect(kubeconfig)

    @staticmethod
    def with_user(server, tmp_path, user, name="admin"):
        config = yaml.safe_load(server.kubeconfig.read_text())
        config["users"] = [{"name": name, "user": user}]
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
        return tmp_path / "kubeconfig"

    def test_a_server_of_another_authority(self, server):
        kubeconfig = server.write_kubeconfig("admin", file="stranger.kubeconfig", authority="service-accounts.crt")
        with pytest.raises(recoup.StorageError, match="is not trusted.*certificate authority"):
            Cluster.connect(kubeconfig)

    def test_something_else_that_listens(self, server):
        """etcd speaks plain HTTP."""
        kubeconfig = server.write_kubeconfig("admin", file="etcd.kubeconfig", server=f"http://127.0.0.1:{server._etcd_port}")
        with pytest.raises(recoup.Error):
            Cluster.connect(kubeconfig).bucket_location()

    def test_without_the_official_client_it_says_what_to_install(self, server, tmp_path):
        (tmp_path / "kubernetes").mkdir()
        (tmp_path / "kubernetes" / "__init__.py").write_text("raise ImportError('not installed')")
        program = f"import recoup.velero.cluster as c\ntry: c.Cluster.connect({str(server.kubeconfig)!r})\nexcept Exception as e: print(type(e).__name__, e)"
        path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
        said = subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True).stdout
        assert said.startswith("UnsupportedError") and "pip install 'recoup[kubernetes]'" in said


class TestBucketLocation:
    def test_a_minio_with_everything(self, server, cluster, namespace):
        server.create(secret(namespace, cloud=CREDENTIALS))
        server.create(storage_location(
            namespace,
            config={"region": "minio", "s3ForcePathStyle": "true", "s3Url": "http://minio.lan:9000/"},
            storage={"prefix": "home lab/", "caCert": encoded("PEM")},
            default=True,
        ))  # fmt: skip
        place = cluster.bucket_location()
        assert place.location == "s3:http://minio.lan:9000/velero-backups/home%20lab"
        assert place.options == {"s3.region": "minio", "s3.bucket-lookup": "path"}
        assert place.ca_certificate == b"PEM" and not place.insecure_tls
        assert place.credentials.access_key == "AKIAIOSFODNN7EXAMPLE" and place.credentials.secret_key == SECRET_KEY
        assert SECRET_KEY not in repr(place) + str(place) + str(place.credentials) + repr(cluster)

    def test_the_environment_is_as_before_afterwards(self, server, cluster, namespace, monkeypatch):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
        monkeypatch.setenv("AWS_SESSION_TOKEN", "mine too")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
        server.create(secret(namespace, cloud=CREDENTIALS))
        server.create(storage_location(namespace, storage={"caCert": encoded("PEM")}))
        before = dict(os.environ)
        with cluster.bucket_location().as_environment() as certificates:
            assert os.environ["AWS_SECRET_ACCESS_KEY"] == SECRET_KEY and "AWS_SESSION_TOKEN" not in os.environ
            with open(certificates[0], "rb") as file:
                assert file.read() == b"PEM"
        assert dict(os.environ) == before and not os.path.exists(certificates[0])

    def test_a_region_of_aws(self, server, cluster, namespace):
        server.create(storage_location(namespace, config={"region": "eu-central-1"}))
        place = cluster.bucket_location()
        assert place.location == "s3:https://s3.eu-central-1.amazonaws.com/velero-backups"
        assert place.credentials is None

    def test_the_address_for_those_outside(self, server, cluster, namespace, monkeypatch):
        server.create(storage_location(namespace, config={"s3Url": "http://minio.minio.svc:9000", "publicUrl": "https://s3.home.lan"}))
        assert cluster.bucket_location().location == "s3:https://s3.home.lan/velero-backups"
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        assert cluster.bucket_location().location == "s3:http://minio.minio.svc:9000/velero-backups"

    def test_credentials_of_its_own_with_a_profile(self, server, cluster, namespace):
        server.create(secret(namespace, "own", keys="[nas]\naws_access_key_id = KEY\naws_secret_access_key = a%b=c\naws_session_token = T\n"))
        server.create(secret(namespace, cloud=CREDENTIALS))
        server.create(storage_location(namespace, config={"profile": "nas"}, credential={"name": "own", "key": "keys"}))
        found = cluster.bucket_location().credentials
        assert (found.access_key, found.secret_key, found.session_token) == ("KEY", "a%b=c", "T")

    def test_the_secret_that_the_server_mounts(self, server, cluster, namespace):
        """As the Helm chart names it."""
        server.create(secret(namespace, "my-release-velero", cloud=CREDENTIALS))
        container = {"name": "velero", "image": "velero"}
        volumes = [{"name": "plugins", "emptyDir": {}}, {"name": "cloud-credentials", "secret": {"secretName": "my-release-velero"}}]
        labels = {"app": "velero"}
        server.create({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "velero", "namespace": namespace},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container], "volumes": volumes}},
            },
        })  # fmt: skip
        server.create(storage_location(namespace))
        assert cluster.bucket_location().credentials.secret_key == SECRET_KEY

    def test_which_one_of_several(self, server, cluster, namespace):
        server.create(storage_location(namespace, "a"))
        assert cluster.bucket_location().name == "a"
        server.create(storage_location(namespace, "b"))
        with pytest.raises(recoup.InvalidArgumentError, match="several.*a, b"):
            cluster.bucket_location()
        assert cluster.bucket_location("a").name == "a"
        with pytest.raises(recoup.NotFoundError, match="there are: a, b"):
            cluster.bucket_location("c")
        server.create(storage_location(namespace, "default"))
        assert cluster.bucket_location().name == "default"
        server.patch(storage_location(namespace, "b"), {"spec": {"default": True}})
        assert cluster.bucket_location().name == "b"

    def test_none(self, server, cluster, namespace):
        with pytest.raises(recoup.NotFoundError, match=f"{namespace} has no BackupStorageLocation.*--bucket"):
            cluster.bucket_location()

    def test_other_providers_and_keys_are_refused(self, server, cluster, namespace):
        server.create(storage_location(namespace, "gcp", provider="velero.io/gcp"))
        server.create(storage_location(namespace, "sse", config={"customerKeyEncryptionFile": "/credentials/key"}))
        with pytest.raises(recoup.UnsupportedError, match="velero.io/gcp"):
            cluster.bucket_location("gcp")
        with pytest.raises(recoup.UnsupportedError, match="customerKeyEncryptionFile"):
            cluster.bucket_location("sse")

    @pytest.mark.parametrize(
        ("content", "error", "words"),
        [
            ("[other]\naws_access_key_id=a\naws_secret_access_key=b\n", recoup.NotFoundError, "no profile 'default'; there are: other"),
            ("[default]\naws_access_key_id=a\n", recoup.InvalidArgumentError, "aws_secret_access_key is missing"),
            ("[default]\ncredential_process=/bin/sh -c 'touch /tmp/owned'\n", recoup.UnsupportedError, "credential_process"),
            (f"{SECRET_KEY}\n", recoup.InvalidArgumentError, "not credentials in AWS's form"),
            ("\xff\0", recoup.InvalidArgumentError, "not credentials in AWS's form"),
        ],
    )
    def test_credentials_that_are_none(self, server, cluster, namespace, content, error, words):
        server.create(secret(namespace, cloud=content))
        server.create(storage_location(namespace))
        with pytest.raises(error, match=words) as problem:
            cluster.bucket_location()
        assert SECRET_KEY not in str(problem.value)

    def test_a_user_who_may_not_read_secrets(self, server, namespace, monkeypatch):
        monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
        server.create(secret(namespace, cloud=CREDENTIALS))
        server.create(storage_location(namespace))
        kubeconfig = server.user(f"reader-{namespace}", {"apiGroups": ["velero.io"], "resources": ["*"], "verbs": ["get", "list"]})
        with Cluster.connect(kubeconfig, namespace=namespace) as cluster:
            with pytest.raises(recoup.AccessDeniedError, match="may not read the Secret.*AWS_ACCESS_KEY_ID"):
                cluster.bucket_location()
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
            assert cluster.bucket_location().credentials is None

    def test_a_user_who_may_nothing(self, server, namespace):
        kubeconfig, words = server.user(f"nobody-{namespace}"), "A Role or ClusterRole has to allow list on backupstoragelocations"
        with Cluster.connect(kubeconfig, namespace=namespace) as cluster, pytest.raises(recoup.AccessDeniedError, match=words):
            cluster.bucket_location()


class TestCommand:
    """`recoup velero` without --bucket: the cluster says which it is."""

    def test_it_opens_the_bucket_of_the_cluster(self, server, namespace, tmp_path):
        from click.testing import CliRunner

        from recoup.velero.command import main

        runner = CliRunner()
        arguments = ["--kubeconfig", str(server.kubeconfig), "-n", namespace, "--json", "backups"]
        said = runner.invoke(main, arguments)
        assert said.exit_code == 2 and "which bucket?" in said.output and "has no BackupStorageLocation" in said.output
        server.create(secret(namespace, cloud=CREDENTIALS))
        with socket.socket() as listening:
            # Something accepts connections there, and never says a word of S3: that it is asked is what counts here.
            listening.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            server.create(storage_location(namespace, config={"s3Url": address, "s3ForcePathStyle": "true", "region": "minio"}))
            said = runner.invoke(main, arguments)
        assert isinstance(said.exception, recoup.Error)
        assert address.removeprefix("http://") in str(said.exception)
        assert SECRET_KEY not in said.output + str(said.exception)

    @pytest.mark.skipif(not os.environ.get("MINIO"), reason="MINIO not set: eval $(tools/s3-servers.sh)")
    def test_with_a_real_bucket(self, server, namespace, tmp_path):
        """Keys and address are known to the cluster only."""
        from click.testing import CliRunner

        from recoup.velero.command import main

        with s3.Minio(tmp_path / "minio", environment={"MINIO_ROOT_USER": "AKIAIOSFODNN7EXAMPLE", "MINIO_ROOT_PASSWORD": SECRET_KEY}) as minio:
            minio.root = s3.Credentials("AKIAIOSFODNN7EXAMPLE", SECRET_KEY)
            bucket = minio.make_bucket("velero-backups")
            record = {"kind": "Backup", "metadata": {"name": "b1"}, "status": {"phase": "Failed"}}
            bucket.write("lab/backups/b1/velero-backup.json", json.dumps(record).encode())
            server.create(secret(namespace, cloud=CREDENTIALS))
            server.create(storage_location(namespace, config={"s3Url": minio.endpoint, "s3ForcePathStyle": "true"}, storage={"prefix": "lab"}))
            said = CliRunner().invoke(main, ["--kubeconfig", str(server.kubeconfig), "-n", namespace, "--json", "backups"])
            assert said.exit_code == 0, said.output
            assert [each["name"] for each in json.loads(said.output)] == ["b1"]
