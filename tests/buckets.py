"""A place of its own in the tests' object store, and a look at what lies there."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import boto3
import pytest
from objects import KEY, SECRET


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """A prefix of the bucket `reknit`."""

    endpoint: str
    prefix: str

    @property
    def url(self) -> str:
        return f"s3://reknit/{self.prefix}"

    @property
    def options(self) -> tuple[tuple[str, str], ...]:
        return (
            ("AWS_ENDPOINT_URL", self.endpoint),
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ALLOW_HTTP", "true"),
        )

    def objects(self) -> dict[str, bytes]:
        client: Any = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )
        found = client.list_objects_v2(Bucket="reknit", Prefix=f"{self.prefix}/").get(
            "Contents", []
        )
        return {
            each["Key"].removeprefix(f"{self.prefix}/"): client.get_object(
                Bucket="reknit", Key=each["Key"]
            )["Body"].read()
            for each in found
        }


@pytest.fixture
def bucket(object_store: str) -> Bucket:
    return Bucket(endpoint=object_store, prefix=uuid4().hex)
