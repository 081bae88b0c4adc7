"""Model of `tests/fixtures.yaml` next to a pipeline, which states how often attacks on the released records may succeed.

attacks:
  records: [crowd]                     # the files crowd.pass.ndjson
  quasi_identifiers: [model, os_version]
  sensitive: [compliance_state]
  person: device_id
  at_most: {singling_out: 0.05, linkage: 0.1, inference: 0.1}
"""

from __future__ import annotations

import pydantic

from minimize.disclosure_risk.attacks import ATTACKS
from minimize.forms import Form, Reading
from minimize.forms.values import Names, Share


class AttackLimits(Form):
    """The highest permitted risk of each attack: (attack − control) ÷ (1 − control), or the success rate without a control."""

    noun = "`at_most`"

    singling_out: Share | None = pydantic.Field(
        None,
        description="Highest share of data subjects whom three quasi-identifiers isolate. The default is no limit.",
    )
    linkage: Share | None = pydantic.Field(
        None, description="Highest share of data subjects who are linked to their records. The default is no limit."
    )
    inference: Share | None = pydantic.Field(
        None,
        description="Highest risk that a sensitive value is guessed, compared with people who are held out. "
        "The default is no limit.",
    )

    def limits(self) -> dict[str, float]:
        """The limits that are stated, by attack."""
        return {name: limit for name in ATTACKS if (limit := getattr(self, name, None)) is not None}


class FixtureAttacks(Form):
    """Attacks on the released records of fixtures, and how often they may succeed."""

    noun = "`attacks`"

    records: Names = pydantic.Field(
        (), description="Names of the `pass` files whose released records are attacked. The default is all of them."
    )
    quasi_identifiers: Names = pydantic.Field(
        (), description="Fields that an attacker knows. The default is every released field with the role `quasi`."
    )
    sensitive: Names = pydantic.Field(
        (), description="Fields that an attacker wants to learn. The default is every field with the role `sensitive`."
    )
    person: str | None = pydantic.Field(
        None, description="Field of the data subject. The default is the policy's subject, if it is released."
    )
    at_most: AttackLimits = pydantic.Field(description="The highest permitted risk of each attack.")

    def check(self, reading: Reading) -> None:
        """At least one attack has a limit."""
        if not self.at_most.limits() and not reading.faults.found:
            hint = f"Limit one of {', '.join(AttackLimits.model_fields)}."
            reading.fault("P018", "`at_most` limits no attack", "at_most", hint=hint)


class FixtureFile(Form):
    """What the fixtures of a pipeline are tested for, besides the released rows."""

    noun = "the file of fixtures"

    attacks: FixtureAttacks = pydantic.Field(
        description="Attacks on the released records, and how often they may succeed."
    )
