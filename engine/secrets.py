"""Credentials at rest: AES-256-GCM under the current key; older keys still open what they sealed."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from engine.errors import StorageError

_NONCE = 12


@dataclass(frozen=True, slots=True)
class Keys:
    """256-bit keys by id, and the id of the one that seals."""

    keys: Mapping[str, bytes] = field(repr=False)
    current: str

    @classmethod
    def from_ring(cls, ring: tuple[tuple[str, bytes], ...]) -> "Keys":
        """Keys of one purpose, the first one current: `Secrets.every(purpose)`."""
        return cls(dict(ring), ring[0][0])


def seal(keys: Keys, plain: bytes, *, context: bytes) -> bytes:
    """Key id, nonce and ciphertext; it opens only with the same `context` (whose secret it is)."""
    name, nonce = keys.current.encode(), os.urandom(_NONCE)
    sealed = AESGCM(keys.keys[keys.current]).encrypt(nonce, plain, _bound(name, context))
    return bytes([len(name)]) + name + nonce + sealed


def open_sealed(keys: Keys, sealed: bytes, *, context: bytes) -> bytes:
    """What was sealed; StorageError when it was changed, belongs elsewhere or its key is gone."""
    name, rest = sealed[1 : 1 + sealed[0]], sealed[1 + sealed[0] :]
    key = keys.keys.get(name.decode("utf-8", "replace"))
    if key is None:
        raise StorageError(f"a stored secret needs key {name!r}: put it back into REKNIT_SECRETS")
    try:
        return AESGCM(key).decrypt(rest[:_NONCE], rest[_NONCE:], _bound(name, context))
    except (InvalidTag, ValueError):
        raise StorageError("a stored secret was changed or belongs to another record") from None


def reseal(keys: Keys, sealed: bytes, *, context: bytes) -> bytes:
    """The same secret under the current key, for rotation; as it is when that sealed it."""
    if sealed[1 : 1 + sealed[0]] == keys.current.encode():
        return sealed
    return seal(keys, open_sealed(keys, sealed, context=context), context=context)


def _bound(name: bytes, context: bytes) -> bytes:
    return bytes([len(name)]) + name + context
