"""Opens object stores, so that a network that is gone is an error soon and not a wait without end."""

import os
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import pyarrow as pa

from bench.errors import ResultsError

CONNECT_S = 5.0
SILENCE_S = 10.0
"""Longest that a connection may stand still; without this the client waits for ever."""
_BUCKETS = ("s3", "gs", "gcs", "abfs", "abfss")
_WORDS = {"region": "region", "scheme": "scheme", "endpoint_override": "endpoint_override"}


def check_url(url: str) -> None:
    """Refuses what cannot be a place; opens nothing.

    Raises:
        ResultsError: If so.
    """
    parts = urlsplit(url)
    if parts.scheme in _BUCKETS and not parts.netloc.rpartition("@")[2]:
        raise ResultsError(f"{url}: names no bucket; expected e.g. {parts.scheme}://bucket/prefix")
    unknown = (
        [name for name, _ in parse_qsl(parts.query) if name not in _WORDS] if parts.scheme == "s3" else []
    )
    if unknown:
        raise ResultsError(f"{url}: knows no '{unknown[0]}'; expected any of {', '.join(_WORDS)}")
    if parts.scheme in _BUCKETS:
        return
    if parts.scheme in ("hdfs", "viewfs"):
        # A file there cannot be replaced in one step.
        raise ResultsError(
            f"{url}: HDFS is no place for results; expected a folder, or e.g. s3://bucket/prefix"
        )
    from pyarrow.fs import FileSystem

    try:
        FileSystem.from_uri(url)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ResultsError(
            f"{url}: no place for results ({error}); expected a folder, or a URL such as s3://bucket/prefix"
        ) from error


@lru_cache
def opened(url: str) -> tuple[Any, str]:
    """Returns a file system and the path in it that a URL says; errors as `pyarrow.fs` raises them."""
    from pyarrow.fs import FileSystem

    parts = urlsplit(url)
    if parts.scheme == "s3":
        bucket = parts.netloc.rpartition("@")[2]
        return _s3(url, bucket), f"{bucket}{unquote(parts.path)}".rstrip("/")
    if parts.scheme in ("gs", "gcs"):
        query = {"retry_limit_seconds": f"{SILENCE_S:g}", **dict(parse_qsl(parts.query))}
        url = urlunsplit(parts._replace(query=urlencode(query)))
    system, base = FileSystem.from_uri(url)
    return system, base.rstrip("/")


def _s3(url: str, bucket: str) -> Any:
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem, resolve_s3_region

    parts = urlsplit(url)
    options = {_WORDS[name]: value for name, value in parse_qsl(parts.query)}
    if parts.username:
        options |= {"access_key": unquote(parts.username), "secret_key": unquote(parts.password or "")}
    endpoint = s3_endpoint()
    if endpoint and "endpoint_override" not in options:
        scheme, sign, rest = endpoint.partition("://")
        options |= {"endpoint_override": rest if sign else endpoint, "scheme": scheme if sign else "https"}
    if not {"region", "endpoint_override"} & set(options):
        options["region"] = resolve_s3_region(bucket)
    return S3FileSystem(
        connect_timeout=CONNECT_S,
        request_timeout=SILENCE_S,
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=2),
        # A small file then is one request, not three.
        allow_delayed_open=True,
        **options,
    )


def s3_endpoint() -> str:
    """Returns where S3 is according to the environment; empty: at Amazon's."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
