"""`administrators`: who manages the devices of a tenant, and who pays for it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from minimize.samples import values
from minimize.samples.base import Dataset, Rows
from minimize.samples.values import codes, only, picked, taken
from minimize.samples.world import TENANTS, Administrators

ROLES = [
    ["help_desk_operator"],
    ["read_only_operator"],
    ["policy_manager"],
    ["application_manager"],
    ["policy_manager", "application_manager"],
    ["role_administrator"],
    ["school_administrator"],
]
"""The most frequent first."""
CARDS = ("4242", None, "0005", "1117", None, "4444")
"""The last digits of the card of each tenant, of numbers for tests; the others pay by invoice."""


class AdministratorAccounts(Dataset[Administrators]):
    """A record for each account of an administrator; each has one, which is their tenant's."""

    population = Administrators
    subject = "admin_id"
    facts = (
        *("admin_id", "account_id", "first_name", "last_name", "user_name", "user_principal_name", "phone_number"),
        *("owner_email", "directory_id", "partner_tenant_id"),
    )
    wrong = (("roles", "all"), ("payment_method", 1))

    def fixed_columns(self) -> dict[str, pa.Array]:
        """What the administrator may do, and how the account is paid."""
        people = self.members
        by_card = np.array([card is not None for card in CARDS])[people.tenant]
        tokens, keys = (
            values.secrets(np.random.default_rng([self.world.seed, 6, place]), len(TENANTS)) for place in (0, 1)
        )
        return {
            **super().fixed_columns(),
            "roles": picked(ROLES, codes(people.draw("roles"), people.count, len(ROLES), 0.9)),
            "payment_method": picked(("invoice", "card"), by_card.astype(np.int64)),
            "payment_card_last4": picked(CARDS, people.tenant),
            "payment_card_token": only(taken(tokens, people.tenant), by_card),
            "subscription_key": taken(keys, people.tenant),
        }

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """Nothing changes from record to record."""
        return {}
