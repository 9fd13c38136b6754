"""`recoup engine` lists and reads objects of real servers, which boto3 has put there."""

import base64
import contextlib
import uuid

import pytest

from support.engine import Engine, Refused

pytestmark = pytest.mark.recoup_only

SMALL = {f"backups/b{number:02}/velero-backup.json": f"{{{number}}}".encode() for number in range(25)}
ODD = {"backups/b00/empty": b"", "backups/b00/ü + & ?": b"odd", "other": b"x" * 5000}


@pytest.fixture
def engine(tmp_path):
    with Engine(tmp_path) as made:
        yield made


@pytest.fixture
def where(engine, each_server):
    """A bucket with objects in it: what the engine is asked with."""
    user = each_server.root
    server = {
        "endpoint": f"{each_server.scheme}://127.0.0.1:{each_server.port}",
        "access_key": user.access_key,
        "secret_key": user.secret_key,
    }
    place = {"s3": server, "bucket": f"o{uuid.uuid4().hex[:12]}"}
    engine.call("bucket.create", **place)
    for key, content in (SMALL | ODD).items():
        each_server.bucket(place["bucket"]).write(key, content)
    yield place
    with contextlib.suppress(Refused):
        engine.call("bucket.delete", force=True, **place)


def test_listing(engine, where):
    everything = engine.call("object.list", **where)
    assert {each["key"]: each["size"] for each in everything["objects"]} == {
        key: len(content) for key, content in (SMALL | ODD).items()
    }
    assert not everything["truncated"] and everything["prefixes"] == []
    assert all(each["modified"].startswith("20") for each in everything["objects"])
    grouped = engine.call("object.list", prefix="backups/", delimiter="/", **where)
    assert grouped["objects"] == [] and grouped["prefixes"] == [f"backups/b{number:02}/" for number in range(25)]
    some = engine.call("object.list", prefix="backups/", delimiter="/", limit=3, **where)
    assert some["truncated"] and len(some["prefixes"]) == 3
    assert not engine.call("object.list", prefix="backups/", delimiter="/", limit=25, **where)["truncated"]


def test_reading(engine, where):
    wanted = [*SMALL, *ODD, "backups/missing"]
    found = engine.call("object.read", keys=wanted, limit=4999, **where)["objects"]
    assert [each["key"] for each in found] == wanted
    for each in found:
        if each["key"] == "other":
            assert (each["content"], each["problem"]) == (None, "too_large")
        elif each["key"] == "backups/missing":
            assert (each["content"], each["problem"]) == (None, "not_found")
        else:
            assert base64.b64decode(each["content"]) == (SMALL | ODD)[each["key"]]
    [whole] = engine.call("object.read", keys=["other"], limit=5000, **where)["objects"]
    assert base64.b64decode(whole["content"]) == ODD["other"]


@pytest.mark.parametrize("method, more", [("object.list", {}), ("object.read", {"keys": ["a"]})])
def test_no_such_bucket(engine, where, method, more):
    with pytest.raises(Refused) as why:
        engine.call(method, **(where | {"bucket": "there-is-no-such-bucket"}), **more)
    assert (why.value.code, why.value.attribute) == ("not_found", "bucket")
