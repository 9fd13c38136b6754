"""Opening what belongs to a volume: the password, the place, the snapshot; and what is not it."""

from __future__ import annotations

import os
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from velero_volumes import (
    DEFAULT,
    MadeBucket,
    all_files,
    file_of,
    flip,
    noise,
    on_disk,
    rewrite_json,
    secret,
    snapshots_that_begin_alike,
    truncate,
)

import recoup
from recoup.velero import Repositories, find_volume, lost_backups, open_volume, volumes_of
from recoup.velero.repositories import passwords_in, place_candidates

NAME = "db/data-postgres-0"


@pytest.fixture
def made(tmp_path):
    return MadeBucket(tmp_path / "made")


def opened(bucket, name=NAME, **chosen):
    return open_volume(Repositories(bucket, **chosen), find_volume(bucket, name).volume)


# ---- passwords ----------------------------------------------------------------------------------------------------------


def test_password_of_genuine_buckets_is_found_in_their_secret(first_genuine):
    volume = opened(first_genuine.bucket)
    assert volume.password.origin == "the Secret velero/velero-repo-credentials in backup backup-20260103-000000"
    assert volume.password.is_default


def with_password(tmp_path, password, **secrets):
    made = MadeBucket(tmp_path / "secret", password)
    made.volume("b")
    return made.finish("b", **secrets)


def test_given_password_comes_first(tmp_path):
    made = with_password(tmp_path, "geheim", objects=[secret("geheim")])
    volume = opened(made.bucket, passwords=["wrong", b"geheim"])
    assert (volume.password.origin, volume.password.is_default) == ("given", False)


def test_secret_is_used_where_what_was_given_is_wrong(tmp_path):
    made = with_password(tmp_path, "geheim", objects=[secret("geheim")])
    assert (
        opened(made.bucket, passwords=["wrong"]).password.origin
        == "the Secret velero/velero-repo-credentials in backup b"
    )


def test_default_is_used_where_there_is_no_secret(tmp_path):
    made = with_password(tmp_path, DEFAULT)
    volume = opened(made.bucket)
    assert (volume.password.origin, volume.password.is_default) == ("Velero's default", True)


@pytest.mark.parametrize("name", ["velero-restic-credentials", "ark-restic-credentials"])
def test_secrets_of_old_versions_are_known(tmp_path, name):
    made = with_password(tmp_path, "geheim", objects=[secret("geheim", name=name)])
    assert opened(made.bucket).password.origin == f"the Secret velero/{name} in backup b"


def test_white_around_a_password_is_not_part_of_it(tmp_path):
    """As restic takes it from the file that Velero gives it."""
    made = with_password(tmp_path, "geheim", objects=[secret("geheim\n")])
    assert opened(made.bucket).password.value == b"geheim"


def test_secret_of_veleros_own_namespace_is_likelier(tmp_path):
    objects = [secret("another", "a"), secret("geheim", "velero")]
    made = with_password(tmp_path, "geheim", objects=objects)
    found = passwords_in(made.bucket.backup("b"))
    assert [each.value for each in found] == [b"geheim", b"another"]
    made.finish("b", objects=objects[:1])
    assert [each.origin for each in passwords_in(made.bucket.backup("b"))] == [
        "the Secret a/velero-repo-credentials in backup b"
    ]


def test_password_is_found_in_another_backup(tmp_path):
    """Backups of one namespace hold no Secret of Velero; the password may be that of the very first backup."""
    made = MadeBucket(tmp_path / "bucket", "geheim")
    for number in range(20):
        made.volume(f"b{number:02d}")
        objects = [secret("geheim")] if number == 0 else [secret("newer")] if number in (5, 12) else []
        made.finish(f"b{number:02d}", objects=objects, start=f"2026-01-{number + 1:02d}T00:00:00Z")
    assert opened(made.bucket).password.origin == "the Secret velero/velero-repo-credentials in backup b00"


def test_wrong_password_says_what_was_tried_and_what_to_give(tmp_path):
    made = with_password(tmp_path, "geheim", objects=[secret("newer")])
    with pytest.raises(recoup.WrongPasswordError) as problem:
        opened(made.bucket, passwords=["wrong"])
    said = str(problem.value)
    assert "restic/db" in said
    assert "Tried: 1 that was given; the Secret velero/velero-repo-credentials in backup b; Velero's default" in said
    assert "Give the one that the Secret velero-repo-credentials" in said
    assert "geheim" not in said
    assert "newer" not in said
    made.finish("b")
    with pytest.raises(
        recoup.WrongPasswordError, match="Tried: Velero's default; no Secret, as the manifests hold none"
    ):
        opened(made.bucket)


@pytest.mark.parametrize("data", [None, "text", {}, {"repository-password": None}, {"repository-password": "***"}])
def test_odd_secrets_hold_no_password(tmp_path, data):
    odd = secret("x")
    odd["data"] = data
    made = with_password(tmp_path, DEFAULT, objects=[odd])
    assert passwords_in(made.bucket.backup("b")) == []
    assert opened(made.bucket).password.is_default


def test_password_before_the_damage_of_an_archive_is_found(tmp_path):
    objects = [secret("geheim"), *(secret(noise(4000, number).hex(), name=f"other-{number}") for number in range(50))]
    made = with_password(tmp_path, "geheim", objects=objects)
    truncate(file_of(made.path, "b", ".tar.gz"))
    assert opened(made.bucket).password.origin.startswith("the Secret")


def test_password_is_in_no_representation(tmp_path):
    made = with_password(tmp_path, "geheim", objects=[secret("geheim")])
    volume = opened(made.bucket)
    assert "geheim" not in repr(volume.password) + repr(volume) + repr(volume.repository)


# ---- places -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("identifier", "wanted"),
    [
        ("", ["restic/db"]),
        ("s3:http://127.0.0.1:9000/velero-backups/restic/db", ["restic/db"]),
        ("s3:https://s3.example.org/bucket/one/two/restic/db", ["one/two/restic/db", "two/restic/db", "restic/db"]),
        ("s3:s3-eu-west-1.amazonaws.com/bucket/restic/db", ["restic/db"]),
        ("s3:http://h/bucket/own/repos/db", ["own/repos/db", "repos/db", "db", "restic/db"]),
        ("azure:container:/restic/db", ["restic/db"]),
        ("gs:bucket:/p/restic/db", ["p/restic/db", "restic/db"]),
        ("s3:http://h/bucket/restic/other", ["restic/db"]),
        ("s3:http://h/bucket/../../restic/db", ["restic/db"]),
        ("s3:http://h/bucket//restic/db", ["restic/db"]),
        ("/etc/restic/db", ["restic/db"]),
        ("s3:http://h/bucket/" + "x/" * 100 + "db", ["restic/db"]),
    ],
)
def test_places_that_an_identifier_may_mean(identifier, wanted):
    assert place_candidates(identifier, "db") == wanted


@pytest.mark.parametrize("namespace", ["", ".", "..", "a/b", "a\0b", "../../etc"])
def test_what_is_no_namespace_names_no_place(namespace):
    with pytest.raises(recoup.DamagedError, match="is no namespace"):
        place_candidates("", namespace)


@given(st.text(), st.from_regex(r"[a-z]{1,8}", fullmatch=True))
def test_places_never_leave_the_bucket(rest, namespace):
    for prefix in ("s3:http://h/b/", "s3:", "azure:c:/", ""):
        found = place_candidates(f"{prefix}{rest}/{namespace}", namespace)
        assert found[-1] == f"restic/{namespace}"
        for each in found:
            assert each.split("/")[-1] == namespace
            assert not {"", ".", ".."} & set(each.split("/"))


def test_repository_lies_where_the_identifier_says(tmp_path):
    """Velero's resticRepoPrefix. The address in it does not exist, and is not asked for anything."""
    made = MadeBucket(tmp_path / "bucket")
    there = {"repoIdentifier": "s3:http://192.0.2.1:9000/velero-backups/own/place/db"}
    made.volume("b", prefix="own/place/db", spec=there)
    made.finish("b")
    assert opened(made.bucket).repository.place.prefix == "own/place/db"


def test_prefix_of_velero_in_the_bucket_is_not_part_of_keys(tmp_path):
    made = MadeBucket(tmp_path / "bucket")
    made.volume("b", spec={"repoIdentifier": "s3:http://192.0.2.1:9000/velero-backups/homelab/restic/db"})
    made.finish("b")
    assert opened(made.bucket).repository.place.prefix == "restic/db"


def test_repository_that_is_not_there_says_where_it_was_looked_for(quick, tmp_path):
    spoiled = quick.copy(tmp_path / "bucket")
    shutil.rmtree(spoiled.path / "restic" / "db")
    with pytest.raises(
        recoup.RepositoryMissingError, match=r"restic/db is no repository: it has no config.*resticRepoPrefix"
    ):
        opened(spoiled.bucket)


def test_hostile_namespace_in_the_list_leads_nowhere(tmp_path):
    made = MadeBucket(tmp_path / "bucket")
    made.volume("b")
    made.finish("b")
    path = file_of(made.path, "b", "-podvolumebackups.json.gz")
    rewrite_json(path, lambda stored: stored[0]["spec"]["pod"].update(namespace="../../elsewhere"))
    [volume] = volumes_of(made.bucket, made.bucket.backup("b"))
    with pytest.raises(recoup.DamagedError, match="is no namespace"):
        open_volume(Repositories(made.bucket), volume)


# ---- snapshots ------------------------------------------------------------------------------------------------------------


def test_snapshot_of_another_volume_is_not_restored(tmp_path):
    made = MadeBucket(tmp_path / "bucket")
    made.volume("b")
    other = made.volume("b", volume="logs", claim="logs")
    made.finish("b")
    path = file_of(made.path, "b", "-podvolumebackups.json.gz")
    rewrite_json(path, lambda stored: stored[0]["status"].update(snapshotID=other[:8]))
    volume = next(each for each in volumes_of(made.bucket, made.bucket.backup("b")) if each.name == NAME)
    with pytest.raises(recoup.DamagedError) as problem:
        open_volume(Repositories(made.bucket), volume).restore(tmp_path / "target")
    assert f"snapshot {other[:8]}" in str(problem.value)
    assert "its tag volume is 'logs', not 'data'" in str(problem.value)
    assert "Nothing was restored" in str(problem.value)
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("tag", ["ns", "volume", "pod", "backup", "backup-uid", "pvc-uid"])
def test_each_tag_must_be_right(tmp_path, tag):
    made = MadeBucket(tmp_path / "bucket")
    tags = made.tags("b", "db", "postgres-0", "data", "data-postgres-0")
    made.volume("b", tags={**tags, tag: "other"})
    made.finish("b")
    with pytest.raises(recoup.DamagedError, match=f"its tag {tag} is 'other'"):
        opened(made.bucket)
    del tags[tag]
    made = MadeBucket(tmp_path / "without")
    made.volume("b", tags=tags)
    made.finish("b")
    with pytest.raises(recoup.DamagedError, match=f"its tag {tag} is ''"):
        opened(made.bucket)


@pytest.mark.parametrize("snapshot", ["x", "1234567", "latest", "latest~1", "ABCDEF01", "../../x", "0" * 65])
def test_what_is_no_id_is_not_looked_for(tmp_path, snapshot):
    made = MadeBucket(tmp_path / "bucket")
    made.volume("b")
    made.finish("b")
    path = file_of(made.path, "b", "-podvolumebackups.json.gz")
    rewrite_json(path, lambda stored: stored[0]["status"].update(snapshotID=snapshot))
    with pytest.raises(recoup.DamagedError, match="that is no ID of restic's"):
        opened(made.bucket)


def test_lost_snapshot_names_those_that_are_left(quick, tmp_path):
    spoiled = quick.copy(tmp_path / "bucket")
    next((spoiled.path / "restic/db/snapshots").glob("89133493*")).unlink()
    with pytest.raises(recoup.NotFoundError) as problem:
        opened(spoiled.bucket)
    assert "has no snapshot 89133493, which backup backup-20260103-000000 says is db/data-postgres-0" in str(
        problem.value
    )
    assert "68804a66 of backup backup-20260101-000000, 3a615bf7 of backup backup-20260102-000000" in str(problem.value)


def test_damaged_snapshot_is_an_error(quick, tmp_path):
    spoiled = quick.copy(tmp_path / "bucket")
    flip(next((spoiled.path / "restic/db/snapshots").glob("89133493*")), 40)
    with pytest.raises(recoup.DamagedError):
        opened(spoiled.bucket)


def test_of_two_snapshots_that_begin_alike_the_tags_tell_which(tmp_path):
    made = MadeBucket(tmp_path / "bucket")
    first = made.volume("b")
    repository = made.repository("db")
    tree = repository.load("snapshots", first)["tree"]
    right = [f"{name}={value}" for name, value in made.tags("b", "db", "postgres-0", "data", "data-postgres-0").items()]
    wrong = [each.replace("backup=b", "backup=other") for each in right]
    names = snapshots_that_begin_alike(repository, tree, [right, wrong])
    assert names[0][:8] == names[1][:8]
    made.finish("b")
    path = file_of(made.path, "b", "-podvolumebackups.json.gz")
    rewrite_json(path, lambda stored: stored[0]["status"].update(snapshotID=names[0][:8]))
    assert opened(made.bucket).snapshot.id == names[0]
    # Now both are of this volume and this backup.
    for name in names:
        os.unlink(repository.path / "snapshots" / name)
    names = snapshots_that_begin_alike(repository, tree, [right, right])
    rewrite_json(path, lambda stored: stored[0]["status"].update(snapshotID=names[0][:8]))
    with pytest.raises(recoup.DamagedError) as problem:
        opened(made.bucket)
    assert f"has 2 snapshots {names[0][:8]}… of {NAME}" in str(problem.value)
    assert all(name in str(problem.value) for name in names)


def test_file_that_only_is_called_like_the_snapshot_is_not_in_the_way(quick, tmp_path):
    spoiled = quick.copy(tmp_path / "bucket")
    genuine = next((spoiled.path / "restic/db/snapshots").glob("89133493*"))
    shutil.copy(genuine, genuine.with_name("89133493" + "0" * 56))
    assert opened(spoiled.bucket).snapshot.id == genuine.name


# ---- data -----------------------------------------------------------------------------------------------------------------


def largest_pack(path):
    return max((each for each in (path / "data").rglob("*") if each.is_file()), key=lambda each: each.stat().st_size)


@pytest.mark.parametrize("damage", ["unlink", "flip", "truncate"])
def test_damaged_pack_leaves_errors_and_never_wrong_content(quick, tmp_path, damage):
    spoiled = quick.copy(tmp_path / "bucket")
    pack = largest_pack(spoiled.path / "restic/db")
    if damage == "unlink":
        pack.unlink()
    elif damage == "flip":
        flip(pack, 1000)
    else:
        truncate(pack)
    done = opened(spoiled.bucket).restore(tmp_path / "target")
    assert done.result.errors
    with pytest.raises(recoup.IncompleteError):
        done.raise_for_errors()
    whole = tmp_path / "whole"
    opened(quick.bucket).restore(whole).raise_for_errors()
    wanted, there = on_disk(whole), on_disk(tmp_path / "target")
    failed = {each.path for each in done.result.errors}
    for path, facts in there.items():
        if facts["type"] == "file" and facts["sha256"] != wanted[path]["sha256"]:
            assert any(each.endswith(os.fsdecode(path)) for each in failed), path


def test_forged_names_leave_no_file_outside(tmp_path):
    def tree(writer):
        return [
            writer.file(b"../outside", b"x"),
            writer.folder(b"..", [writer.file(b"outside", b"x")]),
            writer.file(b"/etc/outside", b"x"),
            writer.file(b"good", b"good"),
        ]

    made = MadeBucket(tmp_path / "bucket")
    made.volume("b", tree=tree)
    made.finish("b")
    target = tmp_path / "deep" / "target"
    before = all_files(tmp_path)
    try:
        done = opened(made.bucket).restore(target)
        assert done.result.errors
    except recoup.DamagedError:
        pass
    assert {name for name in all_files(tmp_path) if name not in before} <= {"deep/target/good"}


def test_repository_with_a_lock_is_read_and_gets_none(tmp_path):
    """Velero's own maintenance may hold one, or have left one behind."""
    made = MadeBucket(tmp_path / "bucket")
    made.volume("b")
    made.repository("db").save_lock(1, exclusive=True, host="elsewhere")
    made.finish("b")
    before = all_files(made.path)
    opened(made.bucket).restore(tmp_path / "target").raise_for_errors()
    assert lost_backups(made.bucket) == []
    assert all_files(made.path) == before
