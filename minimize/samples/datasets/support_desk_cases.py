"""`support_desk_cases`: open support cases of administrators, which the support desk takes over."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.samples.base import Dataset, Rows
from minimize.samples.lines import concatenated
from minimize.samples.world import Administrators

AREAS = ("enrollment", "applications", "compliance", "certificates", "licences")
SEVERITIES = ("C", "B", "A")
STATES = ("open", "waiting", "closed")


class Contacts(Administrators):
    """Administrators who have a case."""

    @cached_property
    def case_id(self) -> pa.StringArray:
        """The number of the case."""
        number = pa.array(4711 + np.arange(self.count)).cast(pa.string())
        return concatenated("CASE-", pc.utf8_lpad(number, 6, "0"))

    @cached_property
    def product_area(self) -> pa.Array:
        """What the case is about."""
        return self.pick("product_area", AREAS, 0.5)

    @cached_property
    def severity(self) -> pa.Array:
        """How urgent it is."""
        return self.pick("severity", SEVERITIES, 1.0)


class SupportDeskCases(Dataset[Contacts]):
    """A message for each case and day."""

    population = Contacts
    subject = "contact_id"
    facts = ("case_id", "product_area", "severity")
    wrong = (("message", ["text"]),)

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The contact and the case."""
        members = self.members
        contact = {
            "contact_id": members.admin_id,
            "contact_name": members.display_name.dictionary_encode(),
            "contact_phone": members.phone_number,
            "contact_email": members.user_principal_name,
        }
        return super().fixed_columns() | contact

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """The state of the case, and what the contact wrote."""
        return {"state": rows.pick(STATES, 1.0), "message": rows.pick(self.world.people.notes)}
