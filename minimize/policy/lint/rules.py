"""The table of what lint looks for: a stable code, how grave it is, and one line about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from minimize.errors import Severity


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of lint."""

    code: str
    severity: Severity
    about: str


_RULES = (
    Rule("L001", "warning", "a quasi-identifier is kept as it is"),
    Rule("L002", "error", "free text is kept as it is"),
    Rule("L003", "warning", "free text is kept in part: what no pattern finds stays"),
    Rule("L004", "warning", "an identifier is kept as it is"),
    Rule("L005", "warning", "an identifier can be guessed or reversed from what is kept"),
    Rule("L006", "warning", "a sensitive value is kept as it is"),
    Rule("L007", "warning", "a field looks personal by its name, and its role is plain"),
    Rule("L008", "warning", "a field's values identify, and its role is not stated"),
    Rule("L009", "error", "a name, an IP, e-mail or postal address is kept as it is below the level `full`"),
    Rule("L010", "warning", "a pseudonym without `per`: it links a subject across tenants"),
    Rule("L011", "warning", "a pseudonym per something that cannot be enumerated, so that it cannot be found again"),
    Rule("L012", "warning", "a key that the keyring does not have, or a keyring that cannot be used"),
    Rule("L020", "warning", "a path of the policy that matches nothing in the source"),
    Rule("L021", "error", "a path of the policy that differs from the source's in case or spelling alone"),
    Rule("L022", "warning", "a field of the same name is treated differently by another policy of the tree"),
    Rule("L023", "warning", "the source could not be looked at, so that no path was compared with it"),
    Rule("L030", "warning", "a feature that no field uses"),
    Rule("L031", "warning", "levels that no field uses"),
    Rule("L032", "warning", "a gate without effect: the first level, or a field that is dropped anyway"),
    Rule("L033", "error", "a gate that never opens: the policy names no tenant"),
    Rule("L034", "warning", "a purpose without effect: the policy does not list it"),
    Rule("L035", "warning", "a setting without effect: no feature has its name, or no field asks for any"),
    Rule("L036", "warning", "a setting without effect: this holder may not turn the feature on"),
    Rule("L037", "warning", "a setting whose value is not known, and counts as off"),
    Rule("L038", "warning", "a level that the policy does not have, and that counts as the first"),
    Rule("L039", "warning", "a feature that no setting turns on, or no settings at all"),
    Rule("L040", "warning", "no retention"),
    Rule("L041", "warning", "retention above 30 days"),
    Rule("L042", "error", "retention without effect: the policy names no event time"),
    Rule("L043", "warning", "a feature is kept for longer than the policy"),
    Rule("L044", "warning", "event times may lie more than 7 days in the future"),
    Rule("L045", "warning", "`future` without effect: the policy names no event time"),
    Rule("L046", "warning", "a row of the settings whose tenant or subject is not in its canonical form"),
    Rule(
        "L047", "error", "a feature that is decided for each subject, in a policy that names no subject: it is never on"
    ),
    Rule("L048", "warning", "positions in records that are not encrypted"),
    Rule("L050", "error", "a condition reads a secret or an identifier"),
    Rule("L051", "warning", "a condition reads a field that the output does not hold"),
    Rule("L052", "warning", "a condition asks for a value that the field's type never has"),
    Rule("L060", "error", "a sum or mean over values that are not generalized wants `clip`"),
    Rule("L061", "warning", "small groups are not suppressed, or only below a low threshold"),
    Rule("L062", "error", "a minimum or maximum over raw values is somebody's value"),
    Rule("L065", "warning", "late rows are not waited for: the source has no batch dates"),
    Rule("L066", "warning", "an exact mean, sum or share beside rounded counts can give them back"),
    Rule("L067", "warning", "small groups are told by counting another field than the subject"),
    Rule("L068", "error", "a quantile at 0 or 1 is the smallest or the largest value"),
    Rule("L069", "warning", "the source has no batch dates: each run releases all rows of an aggregate anew"),
    Rule("L070", "warning", "records without an index: a subject is found only by reading all of them"),
    Rule("L071", "warning", "an output in an object store, and no ledger is named outside of it"),
    Rule("L072", "error", "records hold an identifier, and no subject by which they could be found and erased"),
    Rule("L073", "error", "an aggregate's groups name somebody, and no request looks there"),
    Rule("L074", "warning", "an aggregate is kept for more than 400 days"),
    Rule("L075", "warning", "an aggregate is kept for longer than records, and each run replaces it: no batch dates"),
    Rule("L080", "warning", "a policy that is not the one that was approved"),
    Rule("L081", "error", "a policy that nobody approved as it is, where the house lets nothing run under such a one"),
)

RULES: Mapping[str, Rule] = MappingProxyType({rule.code: rule for rule in _RULES})
"""By code, in the order in which documentation prints them."""
