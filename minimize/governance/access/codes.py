"""Codes of faults and risks in the access file, and of reasons for a decision. All of them begin with `U`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "U001": "a permission that is not known",
        "U002": "a permission of data that does not say up to which category",
        "U003": "a role that is not there",
        "U004": "a built-in role that a file would change, or a role that copies no built-in one",
        "U005": "a group that is not declared",
        "U006": "a permission that a copy of this role cannot have",
        "U007": "conflicting roles in one person",
        "U008": "an account of two people, or a group of no use",
        "U009": "a view that is no coarser form: it needs more than the value that was released",
        "U010": "lengths of time that do not fit each other",
        "U011": "an assignment to nobody",
        "U020": "a scope or a view that names a dataset which is not there",
        "U021": "a view of a column that the output does not have, or not in a type that it takes",
        "U022": "a view that shows no less than the output holds",
        "U024": "data that names people, always open to a role",
        "U025": "nobody who could approve, or review, what others may ask for",
        "U026": "nobody who may assign roles",
        "U100": "nobody: no role of this account allows it",
        "U101": "denied by a role, whatever others allow",
        "U102": "a dataset, tenant or purpose outside the scope of what is allowed",
        "U103": "a column of a category above what is allowed",
        "U104": "a purpose that was not named, or that the data is not for",
        "U105": "a column that is not for this purpose",
        "U106": "no grant for this incident, dataset and operation",
        "U107": "a grant that nobody has answered yet, or that was denied",
        "U108": "a grant that has expired, or a request that nobody answered in time",
        "U109": "a grant that was revoked",
        "U110": "a grant whose holder may not ask for it any more, or that was approved by the same person",
        "U111": "a column that the grant does not cover",
        "U112": "columns of which no tenant has all in scope",
        "U113": "views of a column of which neither is the coarser",
        "U114": "an output that does not tell tenants apart, and a scope that does",
        "U115": "an incident that was not named",
        "U116": "conflicting roles, so that none of them counts",
        "U117": "an act that needs another account than the one which asked, of another person in other groups",
        "U118": "an act that does not follow: what it answers is answered, or over",
        "U119": "access for longer than it may last",
        "U120": "break-glass access by somebody whose last one was not reviewed in time",
        "U200": "allowed by a role",
        "U201": "allowed by a grant",
        "U202": "allowed, since no access file is configured",
    }
)
