"""What several rooms test with."""

import os
from collections.abc import Iterator

import pyarrow.fs
import pytest
from object_store import ObjectStore, serve

from bench.results import bucket
from bench.results.object_stores import opened

Retries = pyarrow.fs.AwsStandardS3RetryStrategy


@pytest.fixture(scope="module", autouse=True)
def unflushed() -> Iterator[None]:
    """Files need not outlive the machine here: to flush each to the disk takes longer than to write it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """An object store of this process, reached by the environment, as users do; clients do not try again."""
    with serve() as store:
        environment = {
            "AWS_ACCESS_KEY_ID": "me",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": store.url,
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(bucket, "FIRST_WAIT_S", 0.01)
        monkeypatch.setattr(bucket, "PATIENCE_S", 0.2)
        monkeypatch.setattr(
            pyarrow.fs, "AwsStandardS3RetryStrategy", lambda **options: Retries(max_attempts=1)
        )
        monkeypatch.setattr(bucket, "_silent_since", {})
        opened.cache_clear()
        yield store
        opened.cache_clear()
