"""Destinations, and the deliveries of stored rows to them."""

import csv
import io
from collections.abc import Iterator
from typing import Annotated, Any

import sqlalchemy
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api.answers import Pages, accepted, created, done, shown
from api.deps import By, Here, Services, company_of, note
from api.downloads import streamed
from api.errors import ApiError, Code
from api.once import OnlyOnce
from api.operations import op
from api.routes.prepared import errand_of, version_of
from api.schemas.bodies import Deleted, Page
from api.schemas.errands import (
    DestinationBody,
    DestinationChange,
    NewDestination,
    PlaceOf,
    ResultBody,
    RowsDeliveryBody,
    delivery_path,
    destination_body,
    result_body,
    rows_delivery_body,
)
from api.waiting import Prefer, held, told, wished
from engine.delivery import HttpDestination, S3Destination, seal_destination, shown_destination
from engine.errors import Conflict
from engine.exporting import sheet_named
from engine.ids import Kind as Id
from engine.ids import new_id
from engine.model import Scope
from engine.outbound import check_url
from engine.shipping import Shipment, planned
from engine.store import batches, destinations, errands
from engine.store.errands import Errand, Kind

router = APIRouter(tags=["deliveries"])

WRITE = Scope.DELIVERIES_WRITE

_CSV = "text/csv; charset=utf-8; header=present"


@router.post(
    "/v1/destinations",
    status_code=201,
    response_model=DestinationBody,
    **op(WRITE, Code.NAME_CONFLICT, whole_partner=True),
)
def create_destination(body: NewDestination, here: Here, by: By, once: OnlyOnce) -> Response:
    """A database, an HTTP endpoint or a bucket rows can be delivered to."""
    _reachable(here, body.destination)

    def effect(c: sqlalchemy.Connection) -> Response:
        made = new_id(Id.DESTINATION)
        try:
            kept = destinations.add(
                c, by.partner, destination=made, name=body.name, **_kept(here, made, body)
            )
        except Conflict as error:
            raise ApiError(code=Code.NAME_CONFLICT, detail=str(error)) from None
        return created(destination_body(kept), location=f"/v1/destinations/{made}")

    return once(effect, action="destination.created")


@router.get(
    "/v1/destinations", response_model=Page[DestinationBody], **op(WRITE, whole_partner=True)
)
def list_destinations(here: Here, by: By, pages: Pages) -> Response:
    """Destinations without their credentials, newest first."""
    with here.database.begin() as c:
        return pages.answer(
            lambda limit, before: destinations.page(c, by.partner, limit=limit, before=before),
            destination_body,
            key=lambda each: each.id,
        )


@router.get(
    "/v1/destinations/{destination_id}",
    response_model=DestinationBody,
    **op(WRITE, Code.NOT_FOUND, whole_partner=True),
)
def get_destination(destination_id: str, request: Request, here: Here, by: By) -> Response:
    """One destination without its credentials."""
    with here.database.begin() as c:
        return shown(request, destination_body(destinations.get(c, by.partner, destination_id)))


@router.put(
    "/v1/destinations/{destination_id}",
    response_model=DestinationBody,
    **op(WRITE, Code.NOT_FOUND, whole_partner=True),
)
def replace_destination(
    destination_id: str, body: DestinationChange, here: Here, by: By
) -> Response:
    """Another place or other credentials; deliveries under way take them at their next try."""
    _reachable(here, body.destination)
    with here.database.begin() as c:
        there = destinations.get(c, by.partner, destination_id)
        kept = destinations.update(c, by.partner, there.id, **_kept(here, there.id, body))
        note(c, by, "destination.replaced", there.id)
    return done(destination_body(kept))


@router.delete(
    "/v1/destinations/{destination_id}",
    response_model=Deleted,
    **op(WRITE, Code.NOT_FOUND, Code.CONFLICT, whole_partner=True),
)
def delete_destination(destination_id: str, here: Here, by: By) -> Response:
    """The destination and its credentials go; not while a delivery to it is under way."""
    with here.database.begin() as c:
        there = destinations.get(c, by.partner, destination_id)
        if errands.in_use(c, by.partner, there.id):
            raise Conflict(f"a delivery to {there.name} is under way; cancel it first")
        destinations.remove(c, by.partner, there.id)
        note(c, by, "destination.deleted", there.id)
    return done(Deleted(object="destination", id=there.id))


@router.post(
    "/v1/companies/{company_id}/deliveries",
    status_code=202,
    response_model=RowsDeliveryBody,
    **op(WRITE, Code.NOT_FOUND, Code.EXPIRED),
)
def create_delivery(
    company_id: str, body: Shipment, here: Here, by: By, once: OnlyOnce
) -> Response:
    """Send stored rows, as they are now, to a destination; the first row of each sheet goes alone."""

    def effect(c: sqlalchemy.Connection) -> Response:
        company = company_of(c, by, company_id)
        there = destinations.get(c, by.partner, body.destination)
        named = tuple(sheet_named(company, each) for each in body.sheets)
        wanted = body.model_copy(update={"sheets": named, "destination": there.id})
        delivery = errands.add(
            c, by.partner, company=company.id, kind=Kind.DELIVERY, title=there.name,
            request=planned(here.settings, company, wanted), destination=there.id, actor=by.actor,
        )  # fmt: skip
        return _sent(c, here, delivery)

    return once(effect, action="delivery.created")


@router.get(
    "/v1/companies/{company_id}/deliveries",
    response_model=Page[RowsDeliveryBody],
    **op(WRITE, Code.NOT_FOUND),
)
def list_company_deliveries(company_id: str, here: Here, by: By, pages: Pages) -> Response:
    """The company's deliveries, newest first."""
    with here.database.begin() as c:
        company_of(c, by, company_id)
        return pages.answer(
            lambda limit, before: errands.page(
                c, by.partner, company=company_id, kind=Kind.DELIVERY, limit=limit, before=before
            ),
            rows_delivery_body,
            key=lambda each: each.id,
        )


@router.get(
    "/v1/companies/{company_id}/deliveries/{delivery_id}",
    response_model=RowsDeliveryBody,
    **op(WRITE, Code.NOT_FOUND),
)
def get_delivery(
    company_id: str, delivery_id: str, request: Request, here: Here, by: By, prefer: Prefer = None
) -> Response:
    """How far it is, and how many rows were refused."""

    def look() -> Errand:
        with here.database.begin() as c:
            return errand_of(c, by, company_id, delivery_id, kind=Kind.DELIVERY)

    seconds = wished(prefer)
    delivery, applied = held(
        here, delivery_id, look, over=lambda each: not each.open, seconds=seconds
    )
    answer = shown(request, rows_delivery_body(delivery), etag=version_of(delivery))
    return told(answer, seconds, applied=applied)


@router.get(
    "/v1/companies/{company_id}/deliveries/{delivery_id}/results",
    response_model=Page[ResultBody],
    **op(WRITE, Code.NOT_FOUND),
)
def list_delivery_results(
    company_id: str,
    delivery_id: str,
    here: Here,
    by: By,
    pages: Pages,
    refused: Annotated[bool, Query(description="Only rows the destination did not take")] = False,
) -> Response:
    """What the destination said of each row, in order."""
    with here.database.begin() as c:
        errand_of(c, by, company_id, delivery_id, kind=Kind.DELIVERY)

        def some(limit: int, place: str | None) -> tuple[list[ResultBody], str | None]:
            found, after = batches.results(
                c, by.partner, delivery_id, limit=limit, after=place, refused=refused
            )
            return [result_body(each) for each in found], after

        return pages.placed(some)


@router.get(
    "/v1/companies/{company_id}/deliveries/{delivery_id}/results.csv",
    response_class=Response,
    **op(WRITE, Code.NOT_FOUND),
)
def download_delivery_results(company_id: str, delivery_id: str, here: Here, by: By) -> Response:
    """The same as one file."""
    with here.database.begin() as c:
        delivery = errand_of(c, by, company_id, delivery_id, kind=Kind.DELIVERY)
        rows, _ = batches.totals(c, by.partner, delivery_id)
        note(c, by, "delivery.results.downloaded", delivery_id)
    name = f"{delivery.title}-results.csv"
    return streamed(_csv(here, delivery), name=name, media_type=_CSV, records=rows)


@router.post(
    "/v1/companies/{company_id}/deliveries/{delivery_id}/retry",
    status_code=202,
    response_model=RowsDeliveryBody,
    **op(WRITE, Code.NOT_FOUND, Code.CONFLICT),
)
def retry_delivery(
    company_id: str, delivery_id: str, here: Here, by: By, once: OnlyOnce
) -> Response:
    """Go on with one that failed or was canceled, from the first row that was not sent."""

    def effect(c: sqlalchemy.Connection) -> Response:
        delivery = errand_of(c, by, company_id, delivery_id, kind=Kind.DELIVERY)
        destinations.get(c, by.partner, delivery.destination or "")
        return _sent(c, here, errands.retry(c, by.partner, delivery.id))

    return once(effect, action="delivery.retried", target=delivery_id)


@router.post(
    "/v1/companies/{company_id}/deliveries/{delivery_id}/cancel",
    status_code=202,
    response_model=RowsDeliveryBody,
    **op(WRITE, Code.NOT_FOUND, Code.CONFLICT),
)
def cancel_delivery(
    company_id: str, delivery_id: str, here: Here, by: By, once: OnlyOnce
) -> Response:
    """Send nothing more; what was sent stays where it is."""

    def effect(c: sqlalchemy.Connection) -> Response:
        delivery = errand_of(c, by, company_id, delivery_id, kind=Kind.DELIVERY)
        return accepted(rows_delivery_body(errands.cancel(c, by.partner, delivery.id)))

    return once(effect, action="delivery.canceled", target=delivery_id)


def _sent(c: sqlalchemy.Connection, here: Services, delivery: Errand) -> Response:
    here.work.send(c, delivery)
    answer = accepted(rows_delivery_body(delivery))
    answer.headers["Location"] = delivery_path(delivery)
    return answer


def _kept(here: Services, made: str, body: NewDestination | DestinationChange) -> dict[str, Any]:
    """The document without its credentials, and with them, sealed."""
    return {
        "shown": shown_destination(body.destination),
        "sealed": seal_destination(body.destination, keys=here.seals, owner=made),
    }


def _reachable(here: Services, destination: PlaceOf) -> None:
    """What the operator lets nothing be sent to is refused at once, where its URL already tells."""
    if isinstance(destination, HttpDestination):
        check_url(here.outbound, destination.url)
    elif isinstance(destination, S3Destination) and destination.endpoint:
        check_url(here.outbound, destination.endpoint)


def _csv(here: Services, delivery: Errand) -> Iterator[bytes]:
    place: str | None = None
    yield b"sheet,row_id,ok,message\r\n"
    while True:
        with here.database.begin() as c:
            found, place = batches.results(
                c, delivery.partner, delivery.id, limit=5_000, after=place
            )
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerows(
            (each.sheet, each.row, str(each.refusal is None).lower(), each.refusal or "")
            for each in found
        )
        yield out.getvalue().encode()
        if place is None:
            return
