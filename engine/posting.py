"""A form that puts one file straight into a bucket: an S3 POST policy under Signature Version 4.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
"""

import hmac
import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from engine.errors import StorageError
from engine.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Bucket:
    """A bucket we may sign for, and where senders reach it."""

    name: str
    prefix: str  #: before every key of ours
    url: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Posting:
    """Where a form goes, and its fields; the file comes behind them as `file`."""

    url: str
    fields: Mapping[str, str]


def shown_bucket(settings: Settings) -> Bucket | None:
    """The bucket of the file store, if the operator shows it to senders."""
    if not settings.s3_direct_url:
        return None
    if not (access_key := settings.s3_access_key.get_secret_value()):
        raise StorageError("REKNIT_S3_DIRECT_URL needs REKNIT_S3_ACCESS_KEY to sign with")
    place = urlsplit(settings.files)
    return Bucket(
        name=place.netloc,
        prefix=f"{place.path.strip('/')}/".lstrip("/"),
        url=settings.s3_direct_url,
        region=settings.s3_region,
        access_key=access_key,
        secret_key=settings.s3_secret_key.get_secret_value(),
    )


def posting(
    bucket: Bucket, key: str, *, size: int, content_type: str, now: datetime, until: datetime
) -> Posting:
    """The form that takes exactly `size` bytes of this type under the key, up to then."""
    scope = (f"{now:%Y%m%d}", bucket.region, "s3", "aws4_request")
    fields = {
        "key": bucket.prefix + key,
        "Content-Type": content_type,
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": "/".join((bucket.access_key, *scope)),
        "x-amz-date": f"{now:%Y%m%dT%H%M%SZ}",
    }
    conditions = [
        {"bucket": bucket.name},
        *({name: value} for name, value in fields.items()),
        ["content-length-range", size, size],
    ]
    told = {"expiration": f"{until:%Y-%m-%dT%H:%M:%SZ}", "conditions": conditions}
    policy = b64encode(json.dumps(told).encode())
    signature = _signature(bucket.secret_key, scope, policy)
    return Posting(
        url=bucket.url,
        fields={**fields, "policy": policy.decode(), "x-amz-signature": signature},
    )


def _signature(secret: str, scope: tuple[str, ...], policy: bytes) -> str:
    key = f"AWS4{secret}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, policy, "sha256").hex()
