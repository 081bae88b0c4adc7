"""Random sequences over the whole shipped service.

A failure prints its seed and its steps. Mend the fault, and add the seed to `KEPT`.
"""

from __future__ import annotations

import pytest

from tests.organization.service import PIPELINES, Service
from tests.organization.steps import Step, sequence, walked
from tests.organization.test_few_pipelines import CONTACT, IN_SUPPORT, OWNER, SHOWN_BY_USAGE, assert_true
from tests.organization.truth import Truth

KEPT = (11, 14)
"""Seeds that are tried at every run. Add those that fail in the nightly run."""
STEPS = 8
NIGHTLY = tuple(range(100, 140))

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", KEPT)
def test_a_random_sequence_leaves_what_is_true(copy_of_whole: tuple[Service, Truth], seed: int) -> None:
    """After any sequence the deleted are gone from every byte, others are as they were, and every request's state is true."""
    assert_true(walked(*copy_of_whole, sequence(seed, STEPS, sorted(PIPELINES))))


@pytest.mark.nightly
@pytest.mark.parametrize("seed", NIGHTLY)
def test_many_random_sequences_leave_what_is_true(copy_of_whole: tuple[Service, Truth], seed: int) -> None:
    """The same for many seeds, with longer sequences."""
    assert_true(walked(*copy_of_whole, sequence(seed, 2 * STEPS, sorted(PIPELINES))))


def test_persons_and_devices_are_deleted_from_the_whole_service(copy_of_whole: tuple[Service, Truth]) -> None:
    """Several persons with their devices, events, expiry: none ends with an error, none blocks the next."""
    steps = [
        Step("delete", OWNER, linked=True),
        Step("delete", CONTACT, linked=True),
        Step("event", SHOWN_BY_USAGE, word="company_data_removed"),
        Step("delete", IN_SUPPORT),
        Step("expire"),
    ]
    assert_true(walked(*copy_of_whole, steps))
