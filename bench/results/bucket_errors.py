"""What an object store's errors mean: which pass by themselves, and what to do about the others."""

import errno
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from bench.results.object_stores import s3_endpoint

# As `pyarrow` puts them, of S3: trying again changes nothing.
_REFUSED = re.compile(
    r"AWS Error (ACCESS_DENIED|INVALID_ACCESS_KEY_ID|SIGNATURE_DOES_NOT_MATCH|INVALID_SIGNATURE|"
    r"MISSING_AUTHENTICATION_TOKEN|UNRECOGNIZED_CLIENT|INVALID_CLIENT_TOKEN_ID|OPT_IN_REQUIRED|"
    r"ACCOUNT_PROBLEM|REQUEST_EXPIRED|EXPIRED_TOKEN|VALIDATION)|HTTP status (401|403)|InvalidAccessKeyId|ExpiredToken"
)
_NO_BUCKET = re.compile(r"AWS Error NO_SUCH_BUCKET|NoSuchBucket|Bucket '[^']*' not found")
_STATIC = "AWS_ACCESS_KEY_ID"
_SOURCES = (
    *(_STATIC, "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
)


class UnreachableError(OSError):
    """A store that did not answer, or not well, however often it was asked."""

    def __init__(self, message: str, where: str):
        super().__init__(errno.EIO, message, where)

    def __str__(self) -> str:
        return str(self.strerror)


def is_final(error: Exception) -> bool:
    """Says whether trying again is of no use."""
    text = str(error)
    return isinstance(error, ValueError) or bool(_REFUSED.search(text) or _NO_BUCKET.search(text))


def say_why(error: Exception, url: str) -> str:
    """Returns an error of a store in a line, with what may help."""
    text = re.sub(
        r"^\[Errno \d+\] ", "", str(error).strip().splitlines()[0] if str(error) else type(error).__name__
    )
    # The first half repeats which file it is about.
    text = text.partition(": AWS Error ")[2] or text
    parts = urlsplit(url)
    if _NO_BUCKET.search(str(error)):
        return f"there is no bucket '{parts.netloc.rpartition('@')[2]}'; make it first, or mend the URL"
    if parts.scheme == "s3" and _REFUSED.search(str(error)):
        return f"refused ({text}); {_credentials(parts.username)}"
    endpoint = s3_endpoint()
    if parts.scheme == "s3" and endpoint and "endpoint_override" not in parts.query:
        return f"{text}; AWS_ENDPOINT_URL is {endpoint}"
    return text


def _credentials(in_url: str | None) -> str:
    if in_url:
        return "the credentials are those in the URL"
    used = [name for name in _SOURCES if os.environ.get(name)]
    if used:
        return f"the credentials are those of {used[0]} in the environment"
    files = [name for name in ("credentials", "config") if (Path.home() / ".aws" / name).exists()]
    if files:
        return f"the credentials are those of ~/.aws/{files[0]}"
    return (
        f"no credentials were found: set {_STATIC} and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or write "
        f"~/.aws/credentials"
    )
