"""By stable codes: what may be wrong or risky in the file of a third party (T), and why nothing may go to it (N)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "T001": "an agent without an entry on the list of subprocessors",
        "T002": "an independent with an entry on the list of subprocessors",
        "T003": "something passes through that is no secret",
        "T004": "a technique for what is shared that must see everything first",
        "T005": "a contract or an entry that ends before it begins",
        "T006": "a recipient in a file of another name",
        "T007": "a function about an aggregate that comes in, may be more than aggregated, or passes secrets",
        "T010": "a recipient without a contract, or with one that permits no transmission: nothing goes to it",
        "T011": "a contract that is not in force",
        "T012": "a field that goes out, and that the contract does not permit",
        "T013": "a contract that permits a field which no function sends",
        "T014": "a contract that says nothing of how long the recipient keeps what it got",
        "T015": "an agent that is not on the list of subprocessors",
        "T016": "two entries of one name on the list of subprocessors whose days overlap",
        "T020": "an identifier that leaves as it is, or so that it can be guessed",
        "T021": "free text that leaves as it is",
        "T022": "a function without a text that tenants could agree to",
        "T023": "a field of which nobody says what it is for",
        "T024": "an example that is not of its field's type",
        "N001": "a recipient whose manifest is empty: nothing is shared with it",
        "N002": "a function that the manifest does not have",
        "N003": "a function of the other direction",
        "N004": "a field that the manifest's function does not have",
        "N010": "a recipient without a contract",
        "N011": "a contract that is not in force",
        "N012": "a contract that permits no transmission",
        "N013": "a field that the contract does not permit",
        "N014": "an agent that is not on the list of subprocessors",
        "N015": "something that a function requires, such as an account, and that is not there",
        "N016": "a secret that only passes through a connector, and none was given",
        "N020": "a purpose that the policy does not list, or that the function is not for",
        "N021": "a field that the policy does not release for the purpose",
        "N022": "a field of an output whose condition reads what the output no longer holds",
        "N030": "tenants without a consent",
        "N031": "tenants that refused",
        "N032": "tenants that withdrew their consent",
        "N033": "tenants whose consent has expired",
        "N034": "tenants whose consent does not hold yet",
        "N035": "tenants that agreed to another text",
        "N036": "tenants that agreed to another purpose",
        "N037": "tenants that agreed when the recipient stood otherwise to us",
        "N038": "tenants that agreed to other fields, or to another form of them",
        "N039": "tenants whose administrator never explicitly agreed to an independent recipient",
        "N040": "records that collection settings, conditions, retention or an erasure hold back",
        "N041": "records without a tenant, or that lack what the policy requires",
        "N042": "nothing is left to send",
        "N050": "a payload whose category is above what it must be",
        "N051": "a payload that is not what was declared",
        "N052": "tenants whose consent ended while the payload was made",
        "N053": "an aggregate that was published under a lower threshold than today's",
    }
)
