"""Who is signed in: a signed cookie that names a key, and links that sign somebody in once."""

import base64
import hmac
import secrets as random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import sqlalchemy

from engine.ids import utcnow
from engine.model import Key
from engine.settings import Secrets, Settings
from engine.store import idempotency

HOURS = 12
LINK_MINUTES = 15


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """Whose key opened the session and until when; `nonce` makes it this one."""

    partner: str
    key: str
    until: datetime
    nonce: str


def cookie_name(settings: Settings) -> str:
    """Browsers keep a `__Host-` cookie only when it is Secure, which plain HTTP cannot be."""
    return "__Host-reknit" if secure(settings) else "reknit"


def secure(settings: Settings) -> bool:
    """Whether people reach this deployment by TLS."""
    return settings.public_url.startswith("https://")


def opened(key: Key, *, secrets: Secrets) -> tuple[Session, str]:
    """A new session of a key and the cookie's text."""
    session = Session(
        partner=key.partner,
        key=key.id,
        until=utcnow() + timedelta(hours=HOURS),
        nonce=random.token_hex(16),
    )
    return session, _signed(session, "console-session", secrets)


def read(text: str, *, secrets: Secrets) -> Session | None:
    """The session of a cookie; None for a changed or old one."""
    return _read(text, "console-session", secrets)


def csrf(session: Session, *, secrets: Secrets) -> str:
    """What every form of this session carries."""
    return _tag(secrets.current("console-csrf")[1], session.nonce)


def csrf_fits(session: Session, given: str, *, secrets: Secrets) -> bool:
    """Whether a form came from a page of this session."""
    tags = [_tag(key, session.nonce) for _, key in secrets.every("console-csrf")]
    return any(hmac.compare_digest(tag.encode(), given.encode()) for tag in tags)


def sign_in_link(key: Key, *, settings: Settings, secrets: Secrets) -> str:
    """A URL that signs somebody in as this key, once, within the next minutes."""
    link = Session(
        partner=key.partner,
        key=key.id,
        until=utcnow() + timedelta(minutes=LINK_MINUTES),
        nonce=random.token_hex(16),
    )
    text = _signed(link, "console-link", secrets)
    return f"{settings.public_url.rstrip('/')}/console/links/{text}"


def read_link(text: str, *, secrets: Secrets) -> Session | None:
    """What a sign-in link names; None for a changed or old one. Reading does not use it up."""
    return _read(text, "console-link", secrets)


def use_up(c: sqlalchemy.Connection, link: Session) -> bool:
    """Whether this is the link's first use; it cannot be used again."""
    seen = idempotency.begin(
        c, link.partner, scope="console sign-in link", key=link.nonce, fingerprint="", days=1
    )
    return seen is None


def _signed(session: Session, purpose: str, secrets: Secrets) -> str:
    name, key = secrets.current(purpose)
    body = ".".join(
        (session.partner, session.key, f"{session.until.timestamp():.0f}", session.nonce, name)
    )
    return f"{body}.{_tag(key, body)}"


def _read(text: str, purpose: str, secrets: Secrets) -> Session | None:
    body, _, tag = text.rpartition(".")
    parts = body.split(".")
    key = dict(secrets.every(purpose)).get(parts[-1], b"")
    if (
        not key
        or len(parts) != 5
        or not hmac.compare_digest(_tag(key, body).encode(), tag.encode())
    ):
        return None
    partner, key_id, until, nonce, _ = parts
    session = Session(
        partner=partner, key=key_id, until=datetime.fromtimestamp(int(until), UTC), nonce=nonce
    )
    return session if session.until > utcnow() else None


def _tag(key: bytes, text: str) -> str:
    digest = hmac.digest(key, text.encode(), sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
