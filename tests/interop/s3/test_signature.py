"""Our Signature Version 4 against botocore's, on requests that chance puts together.

The seed is printed with a failure; RECOUP_SEED repeats it."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import random
import subprocess
import urllib.parse
from unittest import mock

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.utils
import pytest

from support import programs

SEED = int(os.environ.get("RECOUP_SEED") or random.SystemRandom().randrange(2**32))
PROGRAM = programs.REPOSITORY_ROOT / "build/release/tests/sign_requests"
CASES = 600
#: what keys and values are put together from: all that some part of the way could take for something else
PIECES = [" ", "+", "=", "%", "%20", "%2F", "&", "?", "#", "/", "//", ".", "..", "/../", "/./", "~", "*", "'", "(", ")", "!", "$",
          ",", ":", ";", "@", "[", "]", "|", "\\", '"', "<", ">", "`", "^", "{", "}", "-", "_", "a", "Z", "0", "ä", "\u1234",
          "\U0001f600", "\u0301", "\u00a0", "\x01", "\t", "\n", "\x7f"]


def text(chance: random.Random, most: int) -> str:
    return "".join(chance.choice(PIECES) for _ in range(chance.randint(0, most)))


def header_value(chance: random.Random) -> str:
    letters = "abc=;,/\"'+%~ \t"
    return "".join(chance.choice(letters) for _ in range(chance.randint(0, 12)))


def case(chance: random.Random, presigned: bool) -> dict:
    names = ["prefix", "Prefix", "prefix-a", "list-type", "uploadId", "versions", "delimiter", "ä", "x y"]
    query = [(chance.choice(names), text(chance, 6)) for _ in range(chance.randint(0, 5))]
    if presigned:  # there botocore knows each name once
        query = list({name: (name, value) for name, value in query}.values())
    headers = {name: header_value(chance) for name in chance.sample(
        ["Range", "x-amz-meta-a", "X-Amz-Meta-B", "x-amz-storage-class", "Content-MD5", "x-amz-copy-source", "if-match"],
        chance.randint(0, 4))}
    body = b"" if presigned else chance.randbytes(chance.randint(0, 40))
    return {"method": chance.choice(["GET", "PUT", "POST", "DELETE", "HEAD"]),
            "host": chance.choice(["host", "bucket.s3.eu-west-1.amazonaws.com", "127.0.0.1:9000", "[::1]:9000"]),
            "path": "/" + text(chance, 12), "query": query, "headers": list(headers.items()), "body": body,
            "payload_hash": hashlib.sha256(body).hexdigest(), "region": chance.choice(["us-east-1", "eu-west-1", "garage"]),
            "id": "AKIA" + "".join(chance.choices("ABCDEFGH234567", k=16)),
            "secret": "".join(chance.choices("abcDEF019/+=", k=40)),
            "token": chance.choice(["", "FwoGZXIvYXdzE//+=="]),
            "time": chance.randint(1_000_000_000, 4_000_000_000), "lifetime": chance.randint(1, 604800) if presigned else 0}


@pytest.fixture(scope="module")
def ours():
    """ours(cases): what our program makes of each."""
    assert os.access(PROGRAM, os.X_OK), f"build the target sign_requests: there is no {PROGRAM}"

    def run(cases: list[dict]) -> list[dict]:
        lines = "".join(json.dumps({key: value for key, value in each.items() if key != "body"}) + "\n" for each in cases)
        said = subprocess.run([PROGRAM], input=lines, capture_output=True, text=True, encoding="utf-8", timeout=180)
        assert said.returncode == 0, said.stderr
        answers = [json.loads(line) for line in said.stdout.splitlines()]
        assert len(answers) == len(cases)
        return answers

    return run


def signed_by_botocore(each: dict, signer) -> botocore.awsrequest.AWSRequest:
    path = botocore.utils.percent_encode(each["path"], safe="/~")
    request = botocore.awsrequest.AWSRequest(each["method"], "http://" + each["host"] + path, dict(each["headers"]),
                                             each["body"], params=each["query"])
    moment = datetime.datetime.fromtimestamp(each["time"], datetime.timezone.utc)
    with mock.patch("botocore.auth.get_current_datetime", return_value=moment):
        signer.add_auth(request)
    return request


def credentials(each: dict) -> botocore.credentials.Credentials:
    return botocore.credentials.Credentials(each["id"], each["secret"], each["token"] or None)


def test_headers_are_botocores(ours):
    chance = random.Random(SEED)
    cases = [case(chance, presigned=False) for _ in range(CASES)]
    for number, (each, made) in enumerate(zip(cases, ours(cases))):
        peer = signed_by_botocore(each, botocore.auth.S3SigV4Auth(credentials(each), "s3", each["region"]))
        shown = f"RECOUP_SEED={SEED}, case {number}: {each}"
        path, _, query = made["target"].partition("?")
        assert path == botocore.utils.percent_encode(each["path"], safe="/~"), shown
        assert urllib.parse.parse_qsl(query, keep_blank_values=True) == sorted(
            each["query"], key=lambda pair: tuple(botocore.utils.percent_encode(part, safe="~") for part in pair)), shown
        for name in ("authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"):
            assert made["headers"].get(name) == peer.headers.get(name), shown


def test_presigned_urls_are_botocores(ours):
    chance = random.Random(SEED + 1)
    cases = [case(chance, presigned=True) for _ in range(CASES)]
    for number, (each, made) in enumerate(zip(cases, ours(cases))):
        each["query"] = dict(each["query"])
        signer = botocore.auth.S3SigV4QueryAuth(credentials(each), "s3", each["region"], expires=each["lifetime"])
        peer = signed_by_botocore(each, signer)
        shown = f"RECOUP_SEED={SEED + 1}, case {number}: {each}"
        expected = urllib.parse.urlsplit(peer.url)
        path, _, query = made["target"].partition("?")
        assert path == expected.path, shown
        parsed = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        assert parsed == dict(urllib.parse.parse_qsl(expected.query, keep_blank_values=True)), shown
