"""Uploads: exactly what was announced, by a URL that nobody can bend, resumable after any cut."""

import base64
import random
import re
import socket
from hashlib import sha256
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx
import pytest
from serving import company, deployment, planned, post

from engine import signatures
from engine.ids import utcnow
from engine.store import partners

CONTENT = b"Name,Email\nAnn,ann@x.example\n" * 50
TUS = {"content-type": "application/offset+octet-stream"}

NAMES = [
    "../../etc/passwd", "..\\..\\x", "C:\\x.csv", "/abs.csv", ".hidden", "con", "a\nb.csv",
    "x" * 900, "\u202egnp.csv", "😀.csv", "a;b.csv", 'quo"te.csv', "%2e%2e%2f", "a\r\nX-Evil: 1",
    "ü.csv", " lead", "trail ", "a/b/c.csv", "~root", "$(id).csv", "`id`.csv", "a|b", "a>b", "*.csv",
    "COM1.csv", "nul", "\u202a\u2066x\u2069.csv", "a\u200bb.csv", "e\u0301.csv", "\ufeffbom.csv", "...", "a:b",
    "file://x.csv", "//host/share", "\\\\host\\share", "a\tb", "-rf", "=cmd()", "<script>.csv", "x\x7f.csv",
]  # fmt: skip


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    with deployment(tmp_path_factory.mktemp("data"), worker=False) as running:
        yield running


@pytest.fixture(scope="module")
def company_id(client) -> str:
    return company(client)["id"]


def ticket(client, company_id, **said) -> dict:
    body = {"name": "contacts.csv", "content_type": "text/csv", "size": len(CONTENT), **said}
    return post(client, f"/v1/companies/{company_id}/uploads", body)


def put(told: dict, content: bytes = CONTENT, **headers: str) -> httpx.Response:
    sent = {**told["headers"], **headers}
    return httpx.put(told["upload_url"], content=content, headers=sent, trust_env=False)


def test_the_announced_bytes_are_stored_and_again_is_no_error(client, company_id):
    told = ticket(client, company_id)

    assert put(told).json()["status"] == "stored"
    again = put(told)
    assert (again.status_code, again.json()["sha256"]) == (200, sha256(CONTENT).hexdigest())
    assert client.get(f"/v1/uploads/{told['id']}").json()["received"] == len(CONTENT)


def test_other_bytes_under_the_same_reference_are_a_conflict(client, company_id):
    told = ticket(client, company_id)
    put(told)
    other = put(told, CONTENT[::-1])

    assert (other.status_code, other.json()["code"]) == (409, "upload_conflict")


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (CONTENT, {"Content-Type": "text/plain"}, 415, "unsupported_file_type"),
        (CONTENT[:-1], {}, 400, "validation_error"),
        (CONTENT + b"x", {}, 413, "payload_too_large"),
        (CONTENT, {"Content-Digest": f"sha-256=:{base64.b64encode(b'0' * 32).decode()}:"}, 400,
         "validation_error"),
    ],
)  # fmt: skip
def test_anything_but_the_announced_file_is_refused(
    client, company_id, content, headers, status, code
):
    told = ticket(client, company_id)
    answer = put(told, content, **headers)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_body_without_a_length_is_cut_at_the_announced_size(client, company_id):
    told = ticket(client, company_id)
    chunks = iter([CONTENT, b"more"])
    answer = httpx.put(told["upload_url"], content=chunks, headers=told["headers"], trust_env=False)

    assert answer.status_code == 413


def test_the_right_content_digest_is_accepted(client, company_id):
    digest = base64.b64encode(sha256(CONTENT).digest()).decode()

    told = ticket(client, company_id, sha256=sha256(CONTENT).hexdigest())
    assert put(told, **{"Content-Digest": f"sha-256=:{digest}:"}).status_code == 200


def test_a_wrong_announced_digest_refuses_the_bytes(client, company_id):
    told = ticket(client, company_id, sha256="0" * 64)

    assert put(told).status_code == 400


def mutations(url: str) -> list[str]:
    """The URL with one thing changed at a time."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    last = query["signature"][-2]
    changes = [
        {"partner": "ptn_" + "0" * 26}, {"expires": str(int(query["expires"]) + 1)}, {"size": "1"},
        {"type": "text/plain"}, {"nonce": "x"}, {"key": "other"}, {"signature": ""},
        {"signature": query["signature"][:-2] + ("A" if last != "A" else "B") + "A"},
        {"signature": query["signature"] + "="}, {"extra": "1"}, {"expires": "9" * 12},
        {"expires": "-1"},
    ]  # fmt: skip
    urls = [urlunsplit(parts._replace(query=urlencode({**query, **each}))) for each in changes]
    missing = {name: each for name, each in query.items() if name != "nonce"}
    other = re.sub(r"up_[0-9A-Z]{26}", "up_" + "0" * 26, parts.path)
    return [
        *urls,
        urlunsplit(parts._replace(query=urlencode(missing))),
        urlunsplit(parts._replace(path=other)),
    ]


def test_every_change_to_the_url_is_refused_with_the_same_words(client, company_id):
    told = ticket(client, company_id)
    answers = [
        httpx.put(url, content=CONTENT, headers=told["headers"], trust_env=False)
        for url in mutations(told["upload_url"])
    ]

    assert len(answers) == 14
    assert {each.status_code for each in answers} == {403}
    assert len({each.json()["detail"] for each in answers}) == 1


def test_a_url_whose_time_is_over_is_gone(there, client, company_id):
    told = ticket(client, company_id)
    path = urlsplit(told["upload_url"]).path
    partner = dict(parse_qsl(urlsplit(told["upload_url"]).query))["partner"]
    old = signatures.grant("PUT", path, partner=partner, now=utcnow(), seconds=-5)
    url = f"{there.url}{path}?{signatures.sign(there.services.secrets, old)}"
    answer = httpx.put(url, content=CONTENT, headers=told["headers"], trust_env=False)

    assert (answer.status_code, answer.json()["code"]) == (410, "expired")


def test_an_upload_cut_ten_times_is_whole_in_the_end(client, company_id):
    content = random.Random(7).randbytes(300_000)
    told = ticket(client, company_id, size=len(content))
    offset = 0
    for _ in range(10):
        offset = cut_off(told["upload_url"], content, offset=offset, sent=20_000)
    answer = httpx.patch(
        told["upload_url"],
        content=content[offset:],
        headers={**TUS, "upload-offset": str(offset)},
        trust_env=False,
    )

    assert answer.status_code == 204, answer.text
    assert answer.headers["upload-offset"] == str(len(content))
    stored = client.get(f"/v1/uploads/{told['id']}").json()
    assert (stored["status"], stored["sha256"]) == ("stored", sha256(content).hexdigest())


def cut_off(url: str, content: bytes, *, offset: int, sent: int) -> int:
    """Announce all that is left, send a part of it, hang up; where the server stands then."""
    parts = urlsplit(url)
    left = content[offset:]
    head = (
        f"PATCH {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\nUpload-Offset: {offset}\r\n"
        f"Content-Type: {TUS['content-type']}\r\nContent-Length: {len(left)}\r\n\r\n"
    )
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.sendall(head.encode() + left[:sent])
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(5)
        connection.recv(1_000)
    answer = httpx.head(url, trust_env=False)
    stands = int(answer.headers["upload-offset"])
    assert offset <= stands <= offset + sent
    return stands


def test_a_piece_at_the_wrong_place_is_a_conflict(client, company_id):
    told = ticket(client, company_id)
    answer = httpx.patch(
        told["upload_url"],
        content=CONTENT[5:],
        headers={**TUS, "upload-offset": "5"},
        trust_env=False,
    )

    assert answer.status_code == 409
    assert answer.headers["upload-offset"] == "0"


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_hostile_name_is_only_ever_shown(there, client, company_id, name):
    told = ticket(client, company_id, name=name)
    put(told)
    root = there.services.files.root
    stored = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]

    assert client.get(f"/v1/uploads/{told['id']}").json()["name"] == name
    assert all(re.fullmatch(r"[0-9a-f/]+", path) for path in stored if ".incoming" not in path)


def test_a_name_with_a_nul_is_no_name(client, company_id):
    body = {"name": "a\0.csv", "size": 1}

    assert client.post(f"/v1/companies/{company_id}/uploads", json=body).status_code == 400


def test_a_quota_refuses_and_deleting_frees_it(there):
    partner = there.partner("small")
    with there.services.database.begin() as c:
        partners.limit(c, partner, limits={"stored_bytes": 2_000})
    client = there.client(there.key(partner))
    planned(client)
    first = company(client)["id"]
    put(ticket(client, first, size=len(CONTENT)))
    body = {"name": "b.csv", "size": 1_500}
    refused = client.post(f"/v1/companies/{first}/uploads", json=body)

    assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
    client.delete(f"/v1/companies/{first}")
    second = company(client)["id"]
    assert client.post(f"/v1/companies/{second}/uploads", json=body).status_code == 201


def test_a_full_disk_refuses_new_files_before_it_is_full(tmp_path):
    with deployment(tmp_path, worker=False) as there:
        settings = there.services.settings.model_copy(update={"min_free_bytes": 1 << 60})
        object.__setattr__(there.services, "settings", settings)
        client = there.client()
        planned(client)
        body = {"name": "b.csv", "size": 1_500}
        refused = client.post(f"/v1/companies/{company(client)['id']}/uploads", json=body)

    assert (refused.status_code, refused.json()["code"]) == (503, "storage_full")
    assert refused.headers["retry-after"]
