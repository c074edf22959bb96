"""How close two headers are, 0..1: letters, words and meanings, the strongest of the three."""

from functools import lru_cache

from rapidfuzz import fuzz

from engine.binding.words import concepts, normalised, words

#: Concepts that people use for one another.
_NEAR = frozenset(
    frozenset(pair)
    for pair in (
        ("full_name", "name"), ("mobile", "phone"), ("title", "job_title"),
                ("description", "notes"), ("amount", "total"), ("amount", "price"), ("id", "number"),
        ("website", "domain"), ("created_at", "date"), ("booking_date", "date"), ("cost", "price"),
        ("company", "customer"), ("company", "organization"),
        ("category", "tags"), ("street", "street2"), ("birth", "birth_date"), ("stage", "status"),
        ("reference", "description"), ("payee", "name"), ("sku", "id"), ("stock", "quantity"),
        ("location", "city"), ("company", "name"), ("product", "name"),
        ("net", "amount"), ("gross", "amount"), ("subtotal", "total"),
        ("close_date", "end_date"), ("due_date", "end_date"), ("size", "area"), ("cost", "amount"),
        ("customer", "name"), ("supplier", "name"), ("owner", "manager"), ("secondary", "other"),
        ("expiry_date", "end_date"), ("hire_date", "start_date"), ("termination_date", "end_date"),
        ("invoice_date", "date"), ("order_date", "date"), ("delivery_date", "date"),
        ("purchase_date", "date"), ("transaction_id", "id"), ("transaction_id", "reference"),
        ("employee_id", "id"), ("customer_id", "id"), ("supplier_id", "id"), ("ticket_id", "id"),
        ("order_number", "id"), ("manufacturer", "supplier"), ("manufacturer", "brand"),
        ("created_by", "owner"), ("account_name", "account_number"), ("company", "account_number"),
        ("warehouse", "location"), ("duration", "hours"), ("last_activity", "updated_at"),
        ("district", "city"), ("district", "state"), ("territory", "state"), ("employee", "name"),
        ("employee", "full_name"), ("payee", "customer"), ("payee", "supplier"), ("code", "id"),
        ("code", "number"), ("code", "sku"), ("rent", "price"), ("salary", "amount"),
        ("reference", "notes"), ("nationality", "country"), ("vehicle", "car"),
        ("check_number", "number"), ("grade", "rating"), ("content", "description"),
    )
)  # fmt: skip
#: How much a near concept counts.
_NEARLY = 0.6
#: Two words this close are one word with a slip of the pen.
SLIP = 0.84


@lru_cache(maxsize=100_000)
def similarity(left: str, right: str) -> float:
    """1 for equal names, about .97 for names of one meaning, near 0 for strangers."""
    one, two = normalised(left), normalised(right)
    if not one or not two:
        return 0.0
    if one.replace(" ", "") == two.replace(" ", ""):
        return 1.0
    meaning = overlap(concepts(left), concepts(right))
    if meaning == 1.0:
        return 0.97
    letters = fuzz.ratio(one.replace(" ", ""), two.replace(" ", "")) / 100
    spelled = overlap(words(left), words(right))
    return max(0.95 * meaning, 0.95 * spelled, 0.95 * letters if min(len(one), len(two)) > 3 else 0)


def overlap(left: tuple[str, ...], right: tuple[str, ...]) -> float:
    """Soft Dice of two word lists; numbers must be equal, a slip of the pen counts nearly full."""
    if not left or not right:
        return 0.0
    rest, found = list(right), 0.0
    for word in left:
        scored = [(alike(word, other), at) for at, other in enumerate(rest)]
        score, at = max(scored, default=(0.0, -1))
        if score:
            found += score
            del rest[at]
    return 2 * found / (len(left) + len(right))


def alike(left: str, right: str) -> float:
    """1 for the same word, less for a slip or a word used for the other, 0 for another word."""
    return _NEARLY if frozenset((left, right)) in _NEAR else same(left, right)


def same(left: str, right: str) -> float:
    """1 for the same word, less for a slip, 0 for another word."""
    if left == right:
        return 1.0
    if left[-1:].isdigit() or right[-1:].isdigit() or min(len(left), len(right)) < 4:
        return 0.0
    score = fuzz.ratio(left, right) / 100
    return score if score >= SLIP else 0.0
