"""What the tests about S3 itself need: servers, the proxy that goes wrong, certificates, a long line.

`minio` and `second_server` (one of each for the session) come from the conftest above.
"""

from __future__ import annotations

import uuid

import pytest

from support import s3, storage, tls
from support.link import Link
from support.programs import Repository
from support.proxy import Proxy


@pytest.fixture
def new_minio(tmp_path):
    """new_minio(region=…, certificate=…): a MinIO of the test's own, to be killed, filled or given users."""
    made = []

    def start(**options) -> s3.Minio:
        made.append(s3.Minio(tmp_path / f"minio-{len(made)}", **options))
        return made[-1]

    yield start
    for server in made:
        server.kill()


@pytest.fixture
def new_second_server(tmp_path):
    """As new_minio, with Versity's gateway."""
    made = []

    def start(**options) -> s3.Versity:
        made.append(s3.Versity(tmp_path / f"versitygw-{len(made)}", **options))
        return made[-1]

    yield start
    for server in made:
        server.kill()


@pytest.fixture(params=["minio", "second_server"])
def each_server(request) -> s3.Server:
    """The session's MinIO, then its second server."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def bucket(minio):
    """A bucket of the test's own on the session's MinIO, emptied at the end."""
    made = minio.make_bucket(f"test-{uuid.uuid4().hex[:12]}")
    yield made
    made.delete_below("")
    made.client.delete_bucket(Bucket=made.name)


@pytest.fixture
def proxy(minio):
    """Between the programs and the session's MinIO: `proxy.add(fault, …)`, programs reach it with `repo.through(proxy.endpoint)`."""
    with Proxy(minio.endpoint) as made:
        yield made


@pytest.fixture
def link(minio):
    """link(rtt=0.05, bandwidth=None): a long line to the session's MinIO."""
    made = []

    def start(**line) -> Link:
        made.append(Link(("127.0.0.1", minio.port), **line).__enter__())
        return made[-1]

    yield start
    for each in made:
        each.__exit__()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory) -> tls.Certificates:
    return tls.Certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def bucket_repo(bucket, minio, template):
    """bucket_repo("name", version=2): an empty repository in the test's bucket, whatever --storage says of the others."""
    def make(name: str = "repo", version: int = 2, server: s3.Server = minio, inside: s3.Bucket = bucket) -> Repository:
        path = storage.BucketPath(server, inside, name)
        storage.copy_tree(template[version].path, path)
        return Repository(path, version)
    return make
