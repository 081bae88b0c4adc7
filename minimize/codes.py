"""All stable codes of findings, errors, log lines and quarantined records, with one line about each.

The letter says where a code comes from: `P` faults of policy and pipeline files and of their plan, `L` lint's risky
choices, `R` refusals, `C` collection settings, `S` a source that does not fit, `A` aggregates that cannot be computed, `V`
verification, `H` the audit log, `T` third parties, `N` what may not be shared with them, `G` lifecycle events, `Q` requests
of data subjects, `K` incidents and contacts, `U` the access file and decisions by it, `E` errors as a whole, `D` drift, `B`
the server, `J` graded changes of a policy, `F` fixtures, `I` and `W` the log. No code changes its meaning, and none is used
again.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from minimize.governance.access.codes import CODES as ACCESS
from minimize.governance.incidents.codes import CODES as INCIDENTS
from minimize.ledger.codes import CODES as LEDGER
from minimize.policy.faults import FAULTS
from minimize.policy.lint import LINT_RULES
from minimize.recipients.codes import CODES as RECIPIENTS
from minimize.review.codes import CODES as REVIEW
from minimize.server.codes import CODES as SERVER
from minimize.verification.findings import CODES as VERIFICATION

_PLAN: Final = {
    "P100": "a purpose that the policy does not list",
    "P101": "a technique that does not take the type of its field",
    "P102": "cases that give different types",
    "P103": "more than one `top` in a field",
    "P104": "`top` in a policy that names no subject",
    "P105": "`top` in `in_aggregates`",
    "P106": "a derived field that is nested",
    "P110": "an aggregate without a subject to count",
    "P111": "a group key that is not released for the purpose",
    "P112": "a time unit finer than the released one",
    "P113": "a measure over a field that aggregates do not see",
    "P114": "a sum or mean over bins without an end",
    "P115": "an aggregate that waits for late rows, by a time that is not released at a day or finer",
    "P116": "every field is dropped, so that no record can be written",
    "P117": "a column that cannot be encrypted by its name",
    "P120": "a gate that depends on itself",
    "P121": "a condition or technique that reads what it cannot reach",
    "P122": "a field that is made from another list than it stands in",
    "P123": "more cases than can be told apart",
}
_REFUSALS: Final = {
    "R001": "an output whose category is above what it must be",
    "R002": "a partition by a field that is not plain, or not released",
    "R003": "a minimum, maximum or quantile over a field with `in_aggregates`",
    "R005": "an output in the clear where the house wants it encrypted",
    "R006": "a policy that nobody approved as it is, where the house wants it approved",
    "R007": "retention in a policy that names no event time",
    "R008": "a field that aggregates of other groups show in another way, so that nothing compares their figures",
    "R011": "a source has another digest than when its records were quarantined",
    "R012": "a source is gone since its records were quarantined",
    "R013": "an output whose receipts name another sender than the pipeline's source, or it names none any more",
    "R021": "a policy that shows more of a field than an output has of it",
}
_SETTINGS: Final = {
    "C001": "settings that cannot be read",
    "C002": "settings without a column, or with it twice",
    "C003": "a row without tenant, setting or holder",
    "C004": "a time that is no ISO 8601 time with an offset from UTC",
    "C005": "a row with more or fewer values than the header has names",
    "C006": "a column of a type that settings do not have",
    "C007": "a subject that is a token of a ledger, in a file of settings",
    "C008": "a setting, value or holder that is not known",
    "C009": "a row that is recorded in the future",
}
_SOURCES: Final = {
    "S001": "a declared field is missing",
    "S002": "a declared field has another type",
    "S003": "a column name stands twice",
    "S004": "two files of the source disagree about a type",
    "S005": "a column in memory holds values of more than one type",
    "S010": "two batch dates disagree about a type",
    "S011": "a column is not as it was prepared",
}
_AGGREGATES: Final = {
    "A001": "a group key that is nested",
    "A002": "a unit of time for a key that is no time",
    "A003": "one name for a group key and a measure",
    "A004": "keys or measures of different lists",
    "A005": "a subject that stands in a list",
    "A006": "a measure that does not take the type of its field",
}
_EVENTS: Final = {
    "G001": "events that cannot be read",
    "G002": "an event without a tenant",
    "G003": "an event whose time is no ISO 8601 time with an offset from UTC",
    "G004": "an event of no known kind",
    "G005": "an event about a subject that names none",
    "G006": "an event about a whole tenant that names a subject",
}
_SUBJECTS: Final = {
    "Q001": "subjects that cannot be read",
    "Q002": "a row that names neither a subject nor a tenant",
    "Q003": "an output or a disclosure holds what names somebody, and no rule finds him there",
}
_ERRORS: Final = {
    "E000": "an error without a kind of its own",
    "E001": "words of the command line that are not understood",
    "E100": "a check failed",
    "E101": "an output does not obey its receipts and policies",
    "E102": "a date has far fewer rows than at its last receipt, and was not published",
    "E200": "what was asked cannot be done as it is written",
    "E201": "faults in policy, pipeline or settings files",
    "E202": "the policy and the data disagree",
    "E203": "an input that cannot be read",
    "E204": "a keyring that is missing, open to others, or lacks a key",
    "E205": "an output folder that cannot be used",
    "E206": "a ledger that cannot be used",
    "E207": "another run holds the output",
    "E208": "a publication that is decided, and could not be put in place yet: the next command does it",
    "E209": "the system does not do what is asked of it: no room, no permission, a failing disk",
    "E210": "a key that was destroyed",
    "E211": "out of memory",
    "E212": "a connector failed: it is not known what the recipient received",
    "E220": "Spark has no `spark.authenticate.secret`",
    "E221": "Spark has no Java, or one that is too old",
    "E222": "a Spark master that does not answer, or is none",
    "E223": "a package or Python that executors of Spark lack",
    "E224": "a result that is too large for the driver of Spark",
    "E300": "refused by policy",
    "E301": "nothing may leave for a third party",
    "E302": "no role or grant of whoever acts allows it",
    "E303": "the ledger is not the one that the receipts of the output name",
    "E304": "the time of an expiry is implausible, and nothing was removed",
    "E400": "quarantine above `stop_above`; nothing was published",
    "E900": "an error inside minimize",
}
_DRIFT: Final = {
    "D001": "a path that nobody declared",
    "D002": "a declared field that stands under another name",
    "D003": "a declared field of another type",
    "D004": "a declared field in another container",
    "D005": "values that the policy does not list",
    "D006": "a declared field that does not arrive",
}
_LOG: Final = {
    "I001": "a run was published",
    "I002": "no file matches: there was nothing to do",
    "I003": "what was due went from an output",
    "I004": "files were encrypted anew",
    "I005": "a run was declared void",
    "I006": "rows of an aggregate are deferred: the change would give a few subjects away",
    "W010": "records in memory were not returned",
    "W011": "an event day whose late rows are in was not published",
    "W012": "more records than `fail_above` are in quarantine",
    "W013": "a date was run again, and files that it was made from before are gone",
    "W014": "a pending date was left alone, because files that it was made from are gone",
    "W015": "something that was asked for was not done",
    "W016": "a run was published, and the ledger could not be told of it yet",
    "W017": "ledger and receipts disagree: receipts are gone, or the ledger is new or an older copy",
    "W018": "an output is a copy of another, and got an identity of its own",
    "W019": "a feature was explained or set without a policy, which says which there are and who may turn them on",
    "W020": "lineage could not be written or sent",
    "W021": "metrics could not be written",
    "W022": "an output in which nobody can say how the subject of an event stands",
    "W024": "a pending date was left alone, because more of it than `stop_above` would be in quarantine",
    "W025": "receipts of an output are missing, or stand there twice",
    "W026": "a policy that is not the one that was approved",
    "W027": "a request for access names columns that the dataset does not have",
    "W028": "files were left out of a read, because their keys were destroyed",
    "W029": "an event of a tenant that neither the ledger nor settings nor an output's newest records know",
    "W030": "the list of erasures could not be stored with an output yet",
    "W032": "rows of an aggregate are withheld: with other tables of the run they would give a small group away",
    "W031": "the last line of a file of lineage was cut short, and was repaired",
    "W033": "a ledger that a migration damaged was replaced by the copy from before",
    "W034": "sketches are lost: rows that changed keep their figures, and no other rows are published",
    "W035": "a histogram has too many cells to be guarded, and is not published",
    "W036": "a setting was recorded in the ledger, and the pipeline does not read its settings from there",
    "W040": "a date was left alone, because a file of it cannot be read",
    "W041": "a date was left alone, because it has far fewer rows than at its last receipt",
    "W042": "a date was left alone, because a receipt of it is as of a later time",
    "W043": "a date that was asked for has no files",
    "W044": "no ledger is known to data in memory, so that erasures are unknown",
    "W045": "no consent to what a third party sends is in the ledger, so that every record was gated",
    "W046": "rows of what a third party sends were gated, because no consent covers them",
    "W047": "a consent was refused or withdrawn of which the ledger has no record",
}

CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **FAULTS,
        **_PLAN,
        **{code: rule.about for code, rule in LINT_RULES.items()},
        **_REFUSALS,
        **_SETTINGS,
        **_SOURCES,
        **_AGGREGATES,
        **_EVENTS,
        **_SUBJECTS,
        **VERIFICATION,
        **LEDGER,
        **ACCESS,
        **_ERRORS,
        **RECIPIENTS,
        **INCIDENTS,
        **SERVER,
        **REVIEW,
        **_DRIFT,
        **_LOG,
    }
)
"""By code, in the order in which `minimize lint --codes` prints them."""
