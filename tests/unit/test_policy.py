"""When invalid rows are accepted without asking."""

import pytest

from engine.accounting import Accounting
from engine.policy import Policy

ROWS = Accounting(read=200, valid=190, invalid=10)


@pytest.mark.parametrize(
    ("policy", "tolerated"),
    [
        (Policy(), False),
        (Policy(max_invalid_rows=10), True),
        (Policy(max_invalid_rows=9), False),
        (Policy(max_invalid_percent=5), True),
        (Policy(max_invalid_percent=4.9), False),
        (Policy(max_invalid_rows=10, max_invalid_percent=1), False),
    ],
)
def test_invalid_rows_are_tolerated_up_to_every_threshold_that_is_set(policy, tolerated):
    assert policy.tolerates(ROWS) is tolerated


def test_a_run_without_invalid_rows_needs_no_threshold():
    assert Policy().tolerates(Accounting(read=5, valid=4, duplicate=1))
