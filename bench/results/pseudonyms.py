"""Names that stand for cases and patients, and the salt behind them."""

import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from bench.errors import ResultsError
from bench.results.files import write_atomic

LEAST_SALT = 16
DIGITS = 16
PSEUDONYM = re.compile(rf"(case|patient)-[0-9a-f]{{{DIGITS}}}")
SALT_MARK = "pseudonyms"
"""Key in `suite.json`: tells apart the salts of de-identified results, without telling the salt."""
ALREADY = "export them without --deidentify"


@dataclass(frozen=True)
class Pseudonyms:
    """Names that stand for cases and patients: the same for the same name, by whatever table and task.

    They are the first 16 hexadecimal digits of an HMAC-SHA-256. Without the salt nobody can tell whose they are, nor
    try names until one fits.

    Args:
        salt: Secret bytes; by default new ones that nobody keeps.
    """

    salt: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    _given: dict[tuple[str, str], str] = field(default_factory=dict, repr=False, compare=False)

    def of(self, kind: str, name: str) -> str:
        """Returns the pseudonym of a name.

        Args:
            kind: ``"case"`` or ``"patient"``; of hashes that are made of names ``"data"`` or ``"split"``.
            name: Of it.

        Raises:
            ResultsError: If it is one already: a second one would make two of the patient when results are merged.
        """
        if (kind, name) not in self._given:
            if PSEUDONYM.fullmatch(name):
                raise ResultsError(f"{name} is a name of results that are de-identified already; {ALREADY}")
            self._given[kind, name] = f"{kind}-{self._digest(kind, name)}"
        return self._given[kind, name]

    @property
    def mark(self) -> str:
        """What tells this salt from another one."""
        return self._digest("salt", "")

    def _digest(self, kind: str, name: str) -> str:
        return hmac.new(self.salt, f"{kind}\0{name}".encode(), hashlib.sha256).hexdigest()[:DIGITS]


def read_salt(path: Path) -> bytes:
    """Returns the salt in a file; where there is none, a new one is put there, for its owner only.

    Raises:
        ResultsError: If the file cannot be read or written, or holds less than 16 bytes.
    """
    try:
        if not path.exists():
            write_atomic(path, lambda draft: _write_secret(draft, secrets.token_hex(32)))
        salt = path.read_bytes().strip()
    except OSError as error:
        raise ResultsError(f"{path}: no salt can be kept there ({error.strerror or error})") from error
    if len(salt) < LEAST_SALT:
        raise ResultsError(f"{path}: a salt needs {LEAST_SALT} bytes or more, got {len(salt)}")
    return salt


def salt_warning(path: Path) -> str:
    """Says that others than its owner can read a salt; empty where they cannot."""
    if os.name == "nt" or not path.stat().st_mode & 0o077:
        return ""
    return f"{path}: others on this machine can read this salt; chmod 600 {path}"


def _write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="ascii")
