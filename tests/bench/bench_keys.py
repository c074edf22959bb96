"""Seconds to refuse an unknown, an expired and a revoked key: the medians differ by less than 5 %.

python tests/bench/bench_keys.py [requests of each kind]
"""

import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from serving import Deployment, deployment

from engine.model import Scope
from engine.store import keys


def texts(there: Deployment, count: int) -> dict[str, list[str]]:
    """As many keys of each kind, each used once: a key found before would be known for a second."""
    partner = there.partner()
    said = {"secrets": there.services.secrets, "name": "k", "scopes": frozenset(Scope)}
    with there.services.database.begin() as c:
        expired = [keys.mint(c, partner, **said, days=-1)[1] for _ in range(count)]
        minted = [keys.mint(c, partner, **said) for _ in range(count)]
        for key, _ in minted:
            keys.revoke(c, partner, key.id)
    unknown = [keys.new_text("live") for _ in range(count)]
    return {"unknown": unknown, "expired": expired, "revoked": [text for _, text in minted]}


def main(count: int) -> None:
    """Ask in random order and print one figure a line."""
    took: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, deployment(Path(folder), worker=False) as there:
        asked = [(kind, text) for kind, every in texts(there, count).items() for text in every]
        random.Random(5).shuffle(asked)
        with httpx.Client(base_url=there.url, trust_env=False) as client:
            for kind, text in asked:
                started = time.perf_counter()
                answer = client.get("/v1/me", headers={"x-api-key": text})
                took.setdefault(kind, []).append(time.perf_counter() - started)
                assert answer.status_code == 401, answer.text
    medians = {kind: statistics.median(each) * 1000 for kind, each in took.items()}
    for kind, milliseconds in medians.items():
        print(f"{kind}_median_ms={milliseconds:.3f}")
    spread = max(medians.values()) / min(medians.values()) - 1
    print(f"requests={len(asked)} spread_percent={spread * 100:.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 700)
