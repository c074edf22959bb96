"""A real object store for tests: SeaweedFS, started once per session."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from ports import free_port

from engine.settings import Settings

KEY, SECRET = "reknit-key", "reknit-secret"
ALL = {"name": "reknit", "credentials": [{"accessKey": KEY, "secretKey": SECRET}]}


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of an S3 server with the bucket `reknit`."""
    folder = tmp_path_factory.mktemp("seaweedfs")
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [{**ALL, "actions": ["Admin", "Read", "Write"]}]}))
    # Each listens for gRPC 10,000 ports higher.
    master, volume, filer, s3 = (free_port(twin=10_000) for _ in range(4))
    # It talks to the makers and opens further services on fixed ports unless told not to.
    command = [
        Path(sys.executable).with_name("weed"), "server", f"-dir={folder}", "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1", "-master.telemetry=false", f"-master.port={master}",
        f"-volume.port={volume}", "-filer", f"-filer.port={filer}", "-s3", f"-s3.port={s3}",
        f"-s3.config={config}", "-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=0",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        endpoint = f"http://127.0.0.1:{s3}"
        make_bucket(endpoint, "reknit", folder / "log", server)
        yield endpoint
    finally:
        server.kill()
        server.wait()


def make_bucket(endpoint: str, bucket: str, log: Path, server: subprocess.Popen[bytes]) -> None:
    client = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id=KEY, aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )  # fmt: skip
    deadline = monotonic() + 60
    while True:
        try:
            client.create_bucket(Bucket=bucket)
        except (BotoCoreError, ClientError) as error:
            if server.poll() is not None or monotonic() > deadline:
                raise RuntimeError(log.read_text()[-4_000:]) from error
            sleep(0.2)
        else:
            return


def s3_settings(endpoint: str, folder: Path, *, prefix: str) -> Settings:
    return Settings(
        data_dir=folder,
        files_url=f"s3://reknit/{prefix}",
        s3_endpoint=endpoint,
        s3_access_key=KEY,
        s3_secret_key=SECRET,
        s3_direct_url=f"{endpoint}/reknit",
    )
