"""Requests to the data access service: names, filter conditions, and read and re-identification requests as JSON.

JSON is parsed strictly. An unknown key, a repeated key or a value of another type is an error, and no error repeats
the request. A filter is a list of conditions on single columns, all of which must hold. It is data, and nothing is
evaluated.

Errors of the data access service: stable codes (`B`), the errors, and their encoding for the client.

They hold no values, no paths and no traceback.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Any, Final, NoReturn, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, FiniteFloat, ValidationError

from minimize.errors import ConfigurationError, Finding, MinimizeError, RefusalReason, RefusedError
from minimize.records import RECORDS

CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "B001": "the token is missing or not valid: forged, expired, revoked or already used",
        "B002": "the request is malformed",
        "B003": "no dataset of this name is accessible to the caller",
        "B004": "a column or a filter uses a column that does not exist or is not accessible",
        "B005": "roles and grants do not permit the request",
        "B006": "files were replaced during the read and cannot be kept open on this system",
        "B007": "the authorization ended during the read: a grant or token was revoked or expired, or roles changed",
        "B008": "too many simultaneous reads",
        "B009": "internal error of the server; see its log",
        "B010": "the data server cannot be reached, or closed the connection",
        "B011": "a column was made with two keys or key versions, so its values cannot be joined",
    }
)


NOT_AUTHENTICATED: Final = "B001"
MALFORMED_REQUEST: Final = "B002"
UNKNOWN_DATASET: Final = "B003"
UNKNOWN_COLUMN: Final = "B004"
NOT_AUTHORIZED: Final = "B005"
OUTPUT_REPLACED: Final = "B006"
AUTHORIZATION_ENDED: Final = "B007"
TOO_MANY_READS: Final = "B008"
INTERNAL_ERROR: Final = "B009"
UNAVAILABLE: Final = "B010"
UNAVAILABLE_HINT: Final = (
    "Check that the server runs at this host and port, and that its certificate is for this name"
    " and from the CA of ca=FILE."
)
MESSAGES: Final[Mapping[str, tuple[type[MinimizeError], str, str]]] = {
    NOT_AUTHENTICATED: (
        RefusedError,
        "the data server does not accept this token",
        "Create a token with `minimize access token`.",
    ),
    UNKNOWN_DATASET: (
        RefusedError,
        "no dataset of this name is accessible to you",
        "Pass the name of a pipeline, or PIPELINE/OUTPUT.",
    ),
    OUTPUT_REPLACED: (ConfigurationError, "the dataset was replaced during the read", "Read it again."),
    AUTHORIZATION_ENDED: (
        RefusedError,
        "the authorization ended during the read",
        "Discard the rows that were received; they are incomplete.",
    ),
    TOO_MANY_READS: (ConfigurationError, "too many simultaneous reads", "Try again later."),
    INTERNAL_ERROR: (ConfigurationError, "internal error of the data server", "Check the log of the server."),
    UNAVAILABLE: (
        ConfigurationError,
        "the data server cannot be reached, or closed the connection",
        f"{UNAVAILABLE_HINT} Discard rows that were received; they are incomplete.",
    ),
}


def error_for(code: str) -> MinimizeError:
    """The error of a code with a fixed message."""
    kind, message, hint = MESSAGES[code]
    return kind(message, code=code, hint=hint)


def malformed_error(message: str) -> ConfigurationError:
    """The error for a malformed request."""
    return ConfigurationError(message, code=MALFORMED_REQUEST, hint="See docs/guide/server.md.")


def column_error(message: str) -> RefusedError:
    """The error for a column that does not exist, is not accessible, or cannot be compared in this way."""
    return RefusedError(
        message, code=UNKNOWN_COLUMN, hint="Omit `columns` to read all columns that are accessible to you."
    )


def mixed_keys_error(message: str) -> ConfigurationError:
    """The error for columns whose values cannot be joined."""
    return ConfigurationError(message, code="B011", hint="Select dates of one key version, or pass mixed_keys=True.")


def authorization_error(reasons: Sequence[RefusalReason]) -> RefusedError:
    """The error with the reasons of a decision against a request."""
    refusals = [refusal for refusal in reasons if not refusal.code.startswith("U2")]
    findings = [
        Finding(refusal.code, str(refusal), hint=refusal.hint, field=", ".join(refusal.fields) or None)
        for refusal in refusals
    ]
    return RefusedError("roles and grants do not permit this request", code=NOT_AUTHORIZED, findings=findings)


def encode_error(error: MinimizeError) -> bytes:
    """Encodes an error for a client. Other errors than `B` codes are sent as an internal error without details."""
    ours = error if error.code.startswith("B") else error_for(INTERNAL_ERROR)
    findings = [[each.code, each.message, each.hint, each.field] for each in ours.findings]
    kind = "refused" if isinstance(ours, RefusedError) else "error"
    body = {"code": ours.code, "message": ours.message, "hint": ours.hint, "kind": kind, "findings": findings}
    return json.dumps(body).encode()


def decode_error(body: bytes | None) -> MinimizeError:
    """Decodes an error of a server. Without one, the server counts as unreachable."""
    try:
        sent = json.loads(body or b"")
    except ValueError:
        sent = None
    if not isinstance(sent, dict) or not isinstance(sent.get("code"), str):
        return error_for(UNAVAILABLE)
    kind = RefusedError if sent.get("kind") == "refused" else ConfigurationError
    findings = [_decode_finding(each) for each in sent.get("findings", [])]
    return kind(str(sent.get("message")), code=sent["code"], hint=str(sent.get("hint")), findings=findings)


def _decode_finding(parts: Sequence[Any]) -> Finding:
    code, message, hint, field = parts
    return Finding(code, message, hint=hint, field=field)


_DATASET_NAME: Final = r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,127}(?:/[A-Za-z_][A-Za-z0-9_-]{0,127})?$"
_NAME: Final = r"^[^\x00-\x1f\x7f]{1,256}$"
DatasetName = Annotated[
    str, Field(strict=True, pattern=_DATASET_NAME, description="must be the name of a pipeline, or PIPELINE/OUTPUT")
]
Name = Annotated[str, Field(strict=True, pattern=_NAME, description="must be text of one line")]
ContextName = Annotated[Name | None, Field(description="must be text of one line")]


def is_dataset_name(text: str) -> bool:
    """Whether a text can name a dataset.

    >>> is_dataset_name("telemetry/records"), is_dataset_name("../telemetry"), is_dataset_name("telemetry/../x")
    (True, False, False)
    """
    return bool(re.fullmatch(_DATASET_NAME, text))


def is_name(text: str) -> bool:
    """Whether a text can be any other name: one line of at most 256 characters."""
    return bool(re.fullmatch(_NAME, text))


def split_dataset(dataset: str) -> tuple[str, str]:
    """The pipeline and the output that a dataset name refers to.

    >>> split_dataset("telemetry")
    ('telemetry', 'records')
    """
    pipeline, _, output = dataset.partition("/")
    return pipeline, output or RECORDS


EQUAL: Final = "=="
IN: Final = "in"
NULL: Final = "null"
ORDERED: Final = ("<", "<=", ">", ">=")
OPERATORS: Final = (EQUAL, "!=", *ORDERED, IN)
MOST_CONDITIONS: Final = 64
"""Conditions in one filter."""
MOST_VALUES: Final = 1000
"""Values of one condition."""
CheckedT = TypeVar("CheckedT", bound=BaseModel)
JsonScalar = str | int | FiniteFloat | bool
Filter = Mapping[str, Any] | Sequence[Sequence[Any]] | None
"""`{column: value, column: [value, …], column: {">=": value}}`, or the same as `(column, operator, value)`."""


def _json_value(value: Any) -> Any:
    """A value in JSON. Its meaning depends on the type of the column."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return str(value) if isinstance(value, Decimal) else value


JsonValue = Annotated[JsonScalar, BeforeValidator(_json_value)]
JsonValues = Annotated[
    tuple[JsonValue, ...],
    Field(
        max_length=MOST_VALUES, description=f"must be at most {MOST_VALUES:,} texts, finite numbers, booleans or times"
    ),
]


class FilterCondition(BaseModel, frozen=True, extra="forbid"):
    """A column, an operator, and JSON values. The operator `null` without a value selects nulls."""

    column: Name
    operator: str
    values: JsonValues = Field((), repr=False)

    @property
    def audit_text(self) -> str:
        """The condition in the audit log, without values."""
        return f"{self.column} {self.operator}"

    def to_json(self) -> list[Any]:
        """The condition in the form of a request."""
        if self.operator == NULL:
            return [self.column, EQUAL, None]
        return [self.column, self.operator, list(self.values) if self.operator == IN else self.values[0]]


def parse_filter(where: Filter) -> tuple[FilterCondition, ...]:
    """The conditions of a filter. Raises ConfigurationError for an invalid filter, without repeating its content.

    >>> [each.audit_text for each in parse_filter({"model": ["A", "B"], "hour": {">=": 7, "<": 9}})]
    ['model in', 'hour >=', 'hour <']
    """
    if where is None:
        return ()
    conditions = _conditions_of_mapping(where) if isinstance(where, Mapping) else _conditions_of_list(where)
    if len(conditions) > MOST_CONDITIONS:
        raise malformed_error(f"a filter has at most {MOST_CONDITIONS} conditions")
    return tuple(_parse_condition(*each) for each in conditions)


def _conditions_of_mapping(where: Mapping[str, Any]) -> list[tuple[Any, Any, Any]]:
    conditions: list[tuple[Any, Any, Any]] = []
    for column, value_or_mapping in where.items():
        if isinstance(value_or_mapping, Mapping):
            conditions += [(column, operator, value) for operator, value in value_or_mapping.items()]
        else:
            is_list = isinstance(value_or_mapping, list | tuple | set | frozenset)
            conditions.append((column, IN if is_list else EQUAL, value_or_mapping))
    return conditions


def _conditions_of_list(where: Any) -> list[tuple[Any, Any, Any]]:
    if not isinstance(where, list | tuple) or not all(
        isinstance(condition, list | tuple) and len(condition) == 3 for condition in where
    ):
        raise malformed_error("a filter must be {column: value}, or a list of [column, operator, value]")
    return [(each[0], each[1], each[2]) for each in where]


def _parse_condition(column: Any, operator: Any, value: Any) -> FilterCondition:
    if operator not in OPERATORS:
        raise malformed_error(f"the operator of a condition must be one of {', '.join(OPERATORS)}")
    if value is None and operator == EQUAL:
        return _checked(FilterCondition, column=column, operator=NULL)
    if (operator == IN) != isinstance(value, list | tuple | set | frozenset):
        raise malformed_error("`in` takes a list of values; every other operator takes one value")
    return _checked(
        FilterCondition, column=column, operator=operator, values=tuple(value) if operator == IN else (value,)
    )


def _checked(kind: type[CheckedT], **values: Any) -> CheckedT:
    """A request or a condition. Raises ConfigurationError, which names the key that is wrong, but does not repeat its value."""
    try:
        return kind(**values)
    except ValidationError as error:
        name = str(error.errors(include_url=False, include_context=False, include_input=False)[0]["loc"][0])
    raise malformed_error(f"`{name}` {kind.model_fields[name].description}")


LARGEST_REQUEST: Final = 1 << 20
"""Largest request in bytes."""
MOST_COLUMNS: Final = 1000
MOST_TOKENS: Final = 256
"""Tokens that one request can reverse."""


def _distinct(texts: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(texts)) < len(texts):
        raise ValueError("duplicates")
    return texts


Columns = Annotated[tuple[Name, ...], Field(min_length=1, max_length=MOST_COLUMNS), AfterValidator(_distinct)]
Token = Annotated[str, Field(strict=True, max_length=1 << 16)]
Tokens = Annotated[tuple[Token, ...], Field(min_length=1, max_length=MOST_TOKENS), AfterValidator(_distinct)]


class ReadRequest(BaseModel, frozen=True, extra="forbid"):
    """A dataset to read."""

    dataset: DatasetName
    columns: Columns | None = Field(
        None, description=f"must be a list of 1 to {MOST_COLUMNS} different names of one line"
    )
    """The columns to read, in this order; None for all that are accessible."""
    where: Annotated[tuple[FilterCondition, ...], BeforeValidator(parse_filter)] = ()
    """Conditions on columns in the form that the caller sees."""
    purpose: ContextName = None
    incident: ContextName = None
    mixed_keys: bool = Field(False, strict=True, description="must be true or false")
    """Whether one column may contain pseudonyms of two versions of a key."""

    @property
    def named_columns(self) -> tuple[str, ...] | None:
        """All columns that the request or its filter names; None if all are requested."""
        if self.columns is None:
            return None
        return tuple(dict.fromkeys((*self.columns, *(each.column for each in self.where))))

    def to_json(self) -> bytes:
        """The request: the command of a descriptor, or a ticket."""
        body: dict[str, Any] = {"read": self.dataset}
        if self.columns is not None:
            body["columns"] = list(self.columns)
        if self.where:
            body["where"] = [each.to_json() for each in self.where]
        return _encode_request(body, self.purpose, self.incident, {"mixed_keys": True} if self.mixed_keys else {})


class ReidentifyRequest(BaseModel, frozen=True, extra="forbid"):
    """Tokens of one column to reverse, for an incident."""

    dataset: DatasetName
    column: Name
    tokens: Tokens = Field(repr=False, description=f"must be a list of 1 to {MOST_TOKENS} different texts")
    purpose: ContextName = None
    incident: ContextName = None

    def to_json(self) -> bytes:
        """The request."""
        body = {"reidentify": self.dataset, "column": self.column, "tokens": list(self.tokens)}
        return _encode_request(body, self.purpose, self.incident, {})


def parse_request(content: bytes) -> ReadRequest | ReidentifyRequest:
    """Parses a request. Raises ConfigurationError (B002), which does not repeat the request."""
    body = _parse_object(content)
    kinds: dict[str, type[ReadRequest | ReidentifyRequest]] = {"read": ReadRequest, "reidentify": ReidentifyRequest}
    for word, kind in kinds.items():
        if word in body:
            names = [name for name in kind.model_fields if name != "dataset"]
            if not body.keys() <= {word, *names}:
                raise malformed_error(f"unknown key; with `{word}` a request may contain only {', '.join(names)}")
            return _checked(kind, dataset=body.pop(word), **body)
    raise malformed_error("a request must contain `read` or `reidentify` with the name of a dataset")


def read_request(
    dataset: str,
    columns: Sequence[str] | None = None,
    where: Any = None,
    purpose: str | None = None,
    incident: str | None = None,
    mixed_keys: bool = False,
) -> ReadRequest:
    """A checked read request. Raises ConfigurationError (B002)."""
    return _checked(
        ReadRequest,
        dataset=dataset,
        columns=columns,
        where=where,
        purpose=purpose,
        incident=incident,
        mixed_keys=mixed_keys,
    )


def reidentify_request(
    dataset: str, column: str, tokens: Sequence[str], purpose: str | None = None, incident: str | None = None
) -> ReidentifyRequest:
    """A checked re-identification request. Raises ConfigurationError (B002)."""
    return _checked(
        ReidentifyRequest, dataset=dataset, column=column, tokens=tokens, purpose=purpose, incident=incident
    )


def _parse_object(content: bytes) -> dict[str, Any]:
    value = None
    if len(content) <= LARGEST_REQUEST:
        try:
            value = json.loads(
                content.decode("utf-8"), object_pairs_hook=_reject_repeated_keys, parse_constant=_reject_constant
            )
            json.dumps(value, ensure_ascii=False).encode()  # an escape of half a surrogate pair is no text
        except (ValueError, RecursionError, MinimizeError):
            value = None
    if not isinstance(value, dict):
        raise malformed_error(
            f"a request must be one JSON object in UTF-8 of at most {LARGEST_REQUEST:,} bytes, without repeated keys"
        )
    return value


def _reject_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a key is repeated")
    return dict(pairs)


def _reject_constant(_: str) -> NoReturn:
    raise ValueError("not JSON")


def _encode_request(body: dict[str, Any], purpose: str | None, incident: str | None, more: dict[str, Any]) -> bytes:
    context = {"purpose": purpose, "incident": incident}
    return json.dumps({**body, **{name: text for name, text in context.items() if text is not None}, **more}).encode()
