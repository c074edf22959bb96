import hashlib
import json
import os
import re
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from botocore.auth import S3SigV4PostAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from objects import s3_settings

from engine.errors import Conflict, NotFound, StorageError, UploadMismatch
from engine.files import Files, open_files, read_chunks, result_key, run_prefix
from engine.ids import Kind, new_id, utcnow
from engine.posting import Bucket, posting
from engine.settings import Settings

PARTNER, COMPANY, RUN = new_id(Kind.PARTNER), new_id(Kind.COMPANY), new_id(Kind.RUN)


@pytest.fixture(params=["folder", "s3"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    if request.param == "folder":
        return open_files(Settings(data_dir=tmp_path))
    endpoint = request.getfixturevalue("object_store")
    return open_files(s3_settings(endpoint, tmp_path, prefix=uuid4().hex))


def broken(*chunks: bytes) -> Iterator[bytes]:
    yield from chunks
    raise ConnectionResetError("the sender went away")


def test_bytes_come_back_whole_and_in_ranges(files: Files) -> None:
    data = os.urandom(20_000_003)
    key = result_key(PARTNER, COMPANY, RUN)
    stored = files.put(key, (data[at : at + 999_999] for at in range(0, len(data), 999_999)))
    assert (stored.size, stored.digest) == (len(data), hashlib.sha256(data).hexdigest())
    assert b"".join(files.get(key)) == data
    for start, end in ((0, 1), (8 << 20, (8 << 20) + 5), (len(data) - 7, None), (5, 10**9)):
        assert b"".join(files.get(key, start=start, end=end)) == data[start:end]
    assert files.size(key) == len(data)


def test_an_upload_lies_at_its_digest_once(files: Files) -> None:
    first = files.put_content(PARTNER, COMPANY, [b"a,b\n", b"1,2\n"], size=8)
    again = files.put_content(PARTNER, COMPANY, [b"a,b\n1,2\n"], digest=first.digest)
    assert first == again
    assert re.fullmatch(r"[0-9a-f/]+", first.key)
    assert files.keys(f"{first.key.split('/')[0]}/") == [first.key]
    assert list(files.incoming.iterdir()) == []


@pytest.mark.parametrize(
    ("chunks", "declared"),
    [
        ([b"12345"], {"size": 4}),
        ([b"123"], {"size": 4}),
        ([b"1234"], {"digest": "0" * 64}),
    ],
)
def test_other_bytes_than_declared_are_refused_and_leave_nothing(
    files: Files, chunks: list[bytes], declared: dict[str, object]
) -> None:
    with pytest.raises(UploadMismatch):
        files.put_content(PARTNER, COMPANY, chunks, **declared)
    assert files.keys("") == []
    assert list(files.incoming.iterdir()) == []


def test_a_sender_that_goes_away_leaves_nothing(files: Files) -> None:
    with pytest.raises(ConnectionResetError):
        files.put(result_key(PARTNER, COMPANY, RUN), broken(b"x" * 9_000_000))
    assert files.keys("") == []
    assert list(files.incoming.iterdir()) == []


def test_an_upload_goes_on_where_it_was_cut(files: Files) -> None:
    upload, data = new_id(Kind.UPLOAD), os.urandom(100_000)
    offset = 0
    for cut in (10, 5_000, 5_000, 70_001):
        with pytest.raises(ConnectionResetError):
            files.append(upload, offset, broken(data[offset:cut]), most=len(data))
        # The call's answer was lost: the caller knows an older offset than the disk.
        offset = max(0, cut - 3)
    assert files.append(upload, offset, [data[offset:]], most=len(data)) == len(data)
    stored = files.assemble(upload, PARTNER, COMPANY, size=len(data))
    assert b"".join(files.get(stored.key)) == data


def test_an_upload_takes_no_gap_and_no_more_than_declared(files: Files) -> None:
    upload = new_id(Kind.UPLOAD)
    with pytest.raises(Conflict, match="0 bytes"):
        files.append(upload, 5, [b"x"], most=10)
    with pytest.raises(UploadMismatch):
        files.append(upload, 0, [b"x" * 11], most=10)
    files.append(upload, 0, [b"x" * 4], most=10)
    with pytest.raises(UploadMismatch, match="4 bytes"):
        files.assemble(upload, PARTNER, COMPANY, size=10)
    files.abandon(upload)
    assert list(files.incoming.iterdir()) == []


def test_two_senders_cannot_write_one_upload(files: Files) -> None:
    upload = new_id(Kind.UPLOAD)

    def other() -> Iterator[bytes]:
        yield b"a"
        with pytest.raises(Conflict, match="another"):
            files.append(upload, 0, [b"b"], most=9)
        yield b"c"

    assert files.append(upload, 0, other(), most=9) == 2


def test_missing_files_and_strange_keys_are_errors_of_ours(files: Files) -> None:
    with pytest.raises(NotFound):
        files.get("ab/cd")
    files.delete(["ab/cd"])
    for key in ("../outside", "a/../../b", "/etc/passwd", "a//b", "", "a\0", "a\n", "CON"):
        for act in (files.get, files.local, lambda key: files.put(key, [b"x"])):
            if act != files.local or files.root:
                with pytest.raises(StorageError, match="no key"):
                    act(key)


def test_a_flipped_byte_is_noticed_on_the_way_back(files: Files, tmp_path: Path) -> None:
    key = result_key(PARTNER, COMPANY, RUN)
    stored = files.put(key, [b"value"])
    assert files.fetch(key, tmp_path, digest=stored.digest).read_bytes() == b"value"
    files.put(key, [b"vakue"])
    with pytest.raises(UploadMismatch):
        files.fetch(key, tmp_path, digest=stored.digest)


def test_a_prefix_goes_as_a_whole(files: Files) -> None:
    for _ in range(3):
        files.put(result_key(PARTNER, COMPANY, RUN), [b"x"])
    other = files.put_content(PARTNER, COMPANY, [b"y"])
    assert files.delete_prefix(run_prefix(PARTNER, COMPANY, RUN)) == 3
    assert files.keys("") == [other.key]


def test_a_policy_has_the_signature_amazon_calculates() -> None:
    now, until = datetime(2026, 11, 22, 6, tzinfo=UTC), datetime(2026, 11, 22, 7, tzinfo=UTC)
    bucket = Bucket(
        name="b", prefix="p/", url="https://b.example/", region="eu-1", access_key="k",
        secret_key="s",
    )  # fmt: skip
    made = posting(bucket, "0/ab", size=7, content_type="text/csv", now=now, until=until)
    policy = json.loads(b64decode(made.fields["policy"]))
    theirs = S3SigV4PostAuth(Credentials("k", "s"), "s3", "eu-1")
    request = AWSRequest(method="POST", url=made.url)
    request.context["timestamp"] = made.fields["x-amz-date"]

    assert theirs.signature(made.fields["policy"], request) == made.fields["x-amz-signature"]
    assert policy["expiration"] == "2026-11-22T07:00:00Z"
    assert ["content-length-range", 7, 7] in policy["conditions"]
    assert {"key": "p/0/ab"} in policy["conditions"]


def test_what_nobody_took_from_the_bucket_is_swept(object_store: str, tmp_path: Path) -> None:
    files = open_files(s3_settings(object_store, tmp_path, prefix=uuid4().hex))
    upload, until = new_id(Kind.UPLOAD), utcnow() + timedelta(minutes=1)
    form = files.direct(upload, size=3, content_type="text/csv", until=until)
    assert form is not None
    sent = httpx.post(form.url, data=form.fields, files={"file": b"a,b"}, trust_env=False)
    assert sent.status_code == 204, sent.text
    assert (files.sweep(older_seconds=3_600), files.sweep(older_seconds=-60)) == (0, 1)
    assert files.keys("") == []


def test_a_bucket_is_shown_to_senders_only_with_keys_to_sign_with(tmp_path: Path) -> None:
    said = {"files_url": "s3://b", "s3_direct_url": "https://b.example"}
    with pytest.raises(StorageError, match="REKNIT_S3_ACCESS_KEY"):
        open_files(Settings(data_dir=tmp_path, **said))


def test_a_folder_takes_nothing_directly_and_needs_no_copy(tmp_path: Path) -> None:
    files = open_files(Settings(data_dir=tmp_path))
    stored = files.put("ab/cd", [b"x"])
    until = utcnow() + timedelta(minutes=1)
    assert files.direct(new_id(Kind.UPLOAD), size=1, content_type="text/csv", until=until) is None
    assert files.local("ab/cd") == tmp_path / "files/ab/cd"
    assert files.fetch("ab/cd", tmp_path, digest=stored.digest) == tmp_path / "files/ab/cd"
    assert b"".join(read_chunks(tmp_path / "files/ab/cd")) == b"x"


def test_a_file_is_on_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    sync, replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        calls.append("sync " + os.readlink(f"/proc/self/fd/{descriptor}"))
        sync(descriptor)

    def rename(before: Path, after: Path) -> None:
        calls.append("rename")
        replace(before, after)

    files = open_files(Settings(data_dir=tmp_path))
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", rename)
    files.put("ab/cd", [b"x"])
    root = tmp_path / "files"
    assert calls[0].startswith(f"sync {root}/.incoming/")
    assert calls[1:] == ["rename", f"sync {root}/ab", f"sync {root}"]


def test_what_interrupted_uploads_left_is_swept(tmp_path: Path) -> None:
    files = open_files(Settings(data_dir=tmp_path))
    old, new = files.incoming / "0a", files.incoming / "0b"
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (1, 1))
    assert files.sweep(older_seconds=3_600) == 1
    assert list(files.incoming.iterdir()) == [new]
