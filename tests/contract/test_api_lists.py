"""Walking a long list by its cursor while it grows (A11)."""

from collections.abc import Iterator

import httpx
import pytest
import sqlalchemy as sa
from serving import Deployment, deployment

from engine.ids import Kind, new_id, utcnow
from engine.store.tables import sources


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployment(tmp_path_factory.mktemp("data"), worker=False) as running:
        yield running


def grown(there: Deployment, partner: str, count: int) -> set[str]:
    """The ids of so many new sources."""
    now = utcnow()
    rows = [
        {
            "id": (made := new_id(Kind.SOURCE)), "partner": partner, "name": made, "title": "",
            "description": "", "created_at": now,
        }
        for _ in range(count)
    ]  # fmt: skip
    with there.services.database.begin() as c:
        c.execute(sources.insert(), rows)
    return {str(each["id"]) for each in rows}


def test_ten_thousand_items_are_walked_once_each_while_a_thousand_more_come(there: Deployment):
    partner = there.partner()
    client = there.client(there.key(partner))
    old, seen, cursor, later = grown(there, partner, 10_000), [], None, 0
    while True:
        query = {"limit": 200, **({"cursor": cursor} if cursor else {})}
        page = client.get("/v1/sources", params=query).json()
        seen += [each["id"] for each in page["data"]]
        if not page["has_more"]:
            break
        later += len(grown(there, partner, 21))
        cursor = page["next_cursor"]

    assert later > 1_000
    assert len(seen) == len(set(seen))
    assert set(seen) == old
    assert seen == sorted(seen, reverse=True)


def test_a_long_page_of_sources_asks_the_store_as_often_as_a_short_one(there: Deployment):
    partner = there.partner("many")
    client = there.client(there.key(partner))
    grown(there, partner, 60)
    said: list[str] = []

    def note(c: object, cursor: object, statement: str, *_: object) -> None:
        said.append(statement)

    sa.event.listen(there.services.database, "before_cursor_execute", note)
    try:
        costs = []
        for limit in (1, 50):
            said.clear()
            assert len(client.get(f"/v1/sources?limit={limit}").json()["data"]) == limit
            costs.append(sum(" plans" in each for each in said))
    finally:
        sa.event.remove(there.services.database, "before_cursor_execute", note)
    assert costs == [1, 1]


def test_the_cursor_of_another_partner_is_none(there: Deployment):
    mine, theirs = there.partner(), there.partner("other")
    grown(there, mine, 3)
    grown(there, theirs, 3)
    page = there.client(there.key(mine)).get("/v1/sources?limit=1").json()
    used: httpx.Response = there.client(there.key(theirs)).get(
        "/v1/sources", params={"cursor": page["next_cursor"]}
    )

    assert (used.status_code, used.json()["errors"][0]["code"]) == (400, "bad_cursor")
