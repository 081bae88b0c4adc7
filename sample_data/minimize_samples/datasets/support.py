"""Datasets of support: cases of the help desk, cases that an external support desk takes over."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import Bools
from minimize_samples.arrays import Ints, concatenate, null_unless, pool_values
from minimize_samples.dataset import Dataset, SampleRows
from minimize_samples.populations import Clients
from minimize_samples.world import Administrators, Population

PRODUCT_AREAS = ("enrolment", "applications", "compliance", "conditional_access", "updates", "billing")
SUBJECT_LINES = (
    "Device does not enrol",
    "Application is not installed",
    "Device is shown as not compliant",
    "No access to mail",
    "Update fails with 0x87D1041C",
    "Question about the invoice",
)
SEVERITIES = ("C", "B", "A")
CASE_STATES = ("waiting", "open", "closed")
CASE_CHANNELS = ("email", "phone", "chat")
AGENT_ANSWERS = (
    "please send us the log of the device",
    "we restarted the enrolment, please try again",
    "the case is with our engineers now",
)


class CasePopulation(Population):
    """Cases of the help desk. The contact of one in four is an administrator, of the others a user."""

    seeded_as = "cases"

    @cached_property
    def by_administrator(self) -> Bools:
        """Whether an administrator opened the case."""
        return np.isin(np.arange(self.count) % 4, 3)

    @cached_property
    def contact(self) -> Ints:
        """The index of the contact among administrators or users."""
        number = np.arange(self.count)
        return np.where(self.by_administrator, number // 4, number - number // 4)

    @cached_property
    def users(self) -> Clients:
        """The users who may be contacts."""
        return Clients(self.world, self.count)

    @cached_property
    def administrators(self) -> Administrators:
        """The administrators who may be contacts."""
        return Administrators(self.world, self.count)

    def of_contact(self, ours: pa.Array, theirs: pa.Array) -> pa.Array:
        """The value of each contact, from the column of administrators or users."""
        rows = pa.array(self.contact)
        return pc.if_else(pa.array(self.by_administrator), ours.take(rows), theirs.take(rows))

    @cached_property
    def tenant(self) -> Ints:
        """The tenant of the contact."""
        ours, theirs = self.administrators.tenant[self.contact], self.users.tenant[self.contact]
        return np.where(self.by_administrator, ours, theirs)

    @cached_property
    def case_id(self) -> pa.StringArray:
        """The number of the case."""
        return concatenate("CASE-", pa.array(100_001 + np.arange(self.count)).cast(pa.string()))

    @cached_property
    def contact_id(self) -> pa.StringArray:
        """The administrator or the user."""
        return self.of_contact(self.administrators.admin_id, self.users.user_id)

    @cached_property
    def contact_name(self) -> pa.StringArray:
        """Their name."""
        return self.of_contact(self.administrators.display_name, self.users.display_name)

    @cached_property
    def contact_email(self) -> pa.StringArray:
        """Their address."""
        return self.of_contact(self.administrators.user_principal_name, self.users.user_principal_name)

    @cached_property
    def contact_phone(self) -> pa.StringArray:
        """Their telephone number."""
        ours, theirs = (each.phone_number.cast(pa.string()) for each in (self.administrators, self.users))
        return self.of_contact(ours, theirs)

    @cached_property
    def device_id(self) -> pa.StringArray:
        """The user's device; null if it is not enrolled, and in cases of administrators."""
        return null_unless(self.users.device_id.take(pa.array(self.contact)), ~self.by_administrator)

    @cached_property
    def incident_id(self) -> pa.StringArray:
        """The incident of the case; few cases belong to one."""
        number = 1 + self.draw("incident_id").integers(0, 4, self.count)
        return null_unless(concatenate("INC-", pa.array(number).cast(pa.string())), self.chance("has_incident", 0.06))

    @cached_property
    def _area(self) -> Ints:
        return self.draw("product_area").integers(0, len(PRODUCT_AREAS), self.count)

    @cached_property
    def product_area(self) -> pa.Array:
        """The subject of the case."""
        return pool_values(PRODUCT_AREAS, self._area)

    @cached_property
    def subject_line(self) -> pa.StringArray:
        """The title given by the contact; some add their name."""
        line = pool_values(SUBJECT_LINES, self._area).cast(pa.string())
        return pc.if_else(pa.array(self.chance("named", 0.3)), concatenate(line, " (", self.contact_name, ")"), line)

    @cached_property
    def severity(self) -> pa.Array:
        """The severity; A is the highest."""
        return self.pick("severity", SEVERITIES, 1.2)

    @cached_property
    def state(self) -> pa.Array:
        """The state of the case."""
        return self.pick("state", CASE_STATES, 0.5)

    @cached_property
    def channel(self) -> pa.Array:
        """The channel that the contact uses."""
        return self.pick("channel", CASE_CHANNELS, 0.8)

    @cached_property
    def agent_name(self) -> pa.Array:
        """The name of the support agent."""
        return self.pick("agent_name", [f"{name} (support)" for name in self.world.people.given_names[:12]])


class SupportCases(Dataset[CasePopulation]):
    """Three messages of a case per day."""

    population = CasePopulation
    subject = "contact_id"
    daily = 3
    facts = (
        *("case_id", "contact_id", "contact_name", "contact_phone", "contact_email", "device_id", "incident_id"),
        *("product_area", "severity", "state", "channel", "subject_line", "agent_name"),
    )
    wrong = (("message_number", "first"), ("message", 7))

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """The message: the contact writes first, then the help desk, then the contact again."""
        return {"message_number": pa.array(rows.turns + 1), "message": self._messages(rows)}

    def _messages(self, rows: SampleRows) -> pa.Array:
        cases, who = self.members, pa.array(rows.members)
        name, phone, address = (
            column.take(who) for column in (cases.contact_name, cases.contact_phone, cases.contact_email)
        )
        note, answer = (rows.pick(pool).cast(pa.string()) for pool in (self.world.people.notes, AGENT_ANSWERS))
        which = np.where(rows.turns % 3 == 1, 3, rows.codes(3))
        written = pc.choose(
            pa.array(which),
            concatenate("This is ", name, ", please call me at ", phone, ": ", note),
            concatenate(note, ". Regards, ", name, ", ", address),
            note,
            concatenate("Dear ", name, ", ", answer),
        )
        return written.dictionary_encode()


DESK_AREAS = ("enrollment", "applications", "compliance", "certificates", "licences")
DESK_STATES = ("open", "waiting", "closed")


class CaseContacts(Administrators):
    """Administrators who have a case."""

    @cached_property
    def case_id(self) -> pa.StringArray:
        """The number of the case."""
        number = pa.array(4711 + np.arange(self.count)).cast(pa.string())
        return concatenate("CASE-", pc.utf8_lpad(number, 6, "0"))

    @cached_property
    def product_area(self) -> pa.Array:
        """The subject of the case."""
        return self.pick("product_area", DESK_AREAS, 0.5)

    @cached_property
    def severity(self) -> pa.Array:
        """The urgency of the case."""
        return self.pick("severity", SEVERITIES, 1.0)


class SupportDeskCases(Dataset[CaseContacts]):
    """A message for each case and day."""

    population = CaseContacts
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

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """The state of the case, and the message of the contact."""
        return {"state": rows.pick(DESK_STATES, 1.0), "message": rows.pick(self.world.people.notes)}
