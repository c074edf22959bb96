"""Imports by many partners at once over HTTP: imports a second, seconds to completed, poll times.

python tests/bench/bench_api.py [imports] [partners]
"""

import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from serving import company, deployment, planned, post

ROWS = [{"Name": f"n{n}", "Email": f"n{n}@x.example", "Age": n} for n in range(100)]


def main(imports: int, partners: int) -> None:
    """Run the load and print one figure a line."""
    with tempfile.TemporaryDirectory() as folder, deployment(Path(folder)) as there:
        clients = [there.client() for _ in range(partners)]
        for client in clients:
            planned(client)
        polls: list[float] = []

        def one(number: int) -> float:
            client = clients[number % partners]
            made = company(client)["id"]
            started = time.perf_counter()
            run = post(client, f"/v1/companies/{made}/imports", {"rows": ROWS})
            while run["status"] not in ("completed", "failed", "needs_attention"):
                time.sleep(1.0)
                asked = time.perf_counter()
                run = client.get(run["poll_url"]).json()
                polls.append(time.perf_counter() - asked)
            assert run["status"] == "completed", run
            assert run["counts"]["valid"] == 100, run
            return time.perf_counter() - started

        began = time.perf_counter()
        with ThreadPoolExecutor(partners * 2) as pool:
            took = sorted(pool.map(one, range(imports)))
        whole = time.perf_counter() - began
    polls.sort()
    print(f"imports={imports}")
    print(f"imports_per_second={imports / whole:.2f}")
    print(f"completed_p50_s={took[len(took) // 2]:.2f}")
    print(f"completed_p99_s={took[len(took) * 99 // 100]:.2f}")
    print(f"poll_p50_ms={polls[len(polls) // 2] * 1000:.0f}")
    print(f"poll_p99_ms={polls[len(polls) * 99 // 100] * 1000:.0f}")


if __name__ == "__main__":
    said = [int(each) for each in sys.argv[1:]]
    main(*said, *(200, 20)[len(said) :])
