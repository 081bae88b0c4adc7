"""Contracts of tenants with recipients: the file of `contracts:` in `minimize.yaml`, and the form in the ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from minimize.config import load_config
from minimize.errors import PolicyError
from minimize.forms import Form, examine_file
from minimize.forms.values import Name, parse_duration
from minimize.forms.yaml_nodes import require_sound
from minimize.recipients.model import Contract
from minimize.stores import PathText
from minimize.times import duration_text


class TenantContract(Contract):
    """The contract of one tenant with one recipient."""

    noun = "a contract"

    tenant: str = Field(description="The tenant.", examples=["contoso"])
    recipient: Name = Field(description="The recipient.")


class TenantContracts(Form):
    """The contracts of tenants. A contract in the ledger replaces those of the file for its tenant and recipient."""

    noun = "a file of contracts"
    stand_ins = MappingProxyType({"contracts": ()})

    contracts: tuple[TenantContract, ...] = Field(description="The contracts, in any order.")
    path: SkipJsonSchema[Path | None] = None


def load_contracts(start: PathText | None) -> tuple[TenantContract, ...]:
    """The contracts in the file that the nearest `minimize.yaml` names; none if it names no file.

    Raises PolicyError with every fault as a finding, or if the file does not exist.
    """
    config = load_config(start).checked("contracts", PolicyError)
    if config.contracts is None:
        return ()
    found, faults = examine_file(TenantContracts, config.folder / config.contracts)
    return require_sound(found, faults, "file of contracts").contracts


def contract_terms(contract: Contract) -> dict[str, Any]:
    """A contract as JSON, with the keys of a recipient's file.

    >>> contract_terms(Contract(reference="C-1", from_=date(2026, 1, 1)))["from"]
    '2026-01-01'
    """
    return {
        "reference": contract.reference,
        "from": contract.from_.isoformat(),
        "until": None if contract.until is None else contract.until.isoformat(),
        "permits_transmission": contract.permits_transmission,
        "permitted_fields": list(contract.permitted_fields),
        "retention": None if contract.retention is None else duration_text(contract.retention),
        "deletes_within": None if contract.deletes_within is None else duration_text(contract.deletes_within),
    }


def contract_from_terms(terms: Mapping[str, Any]) -> Contract:
    """The contract of its JSON form. Many tenants have the same terms, so each form is read once."""
    return _read_terms(json.dumps(terms))


@lru_cache(maxsize=1024)
def _read_terms(text: str) -> Contract:
    terms = json.loads(text)
    until = terms["until"]
    return Contract(
        reference=terms["reference"],
        from_=date.fromisoformat(terms["from"]),
        until=None if until is None else date.fromisoformat(until),
        permits_transmission=terms["permits_transmission"],
        permitted_fields=tuple(terms["permitted_fields"]),
        retention=parse_duration(terms["retention"]),
        deletes_within=parse_duration(terms["deletes_within"]),
    )
