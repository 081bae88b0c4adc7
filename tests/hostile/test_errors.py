"""Every kind of error that Arrow, Python or we can raise, with a value in it: none of it is in what leaves the library."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import minimize
from minimize.checkpoints import at_checkpoint
from minimize.errors import MinimizeError, NotPermitted, RefusalReason
from tests.leak.held import AT, PURPOSE, TABLE, policy
from tests.leak.test_printed import whole

CANARY = "CANARY-in-an-error"
POLICY = policy()


def below(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    """A class and all below it."""
    yield kind
    for each in kind.__subclasses__():
        yield from below(each)


ARROWS = sorted({*below(pa.ArrowException), pa.ArrowKeyError, pa.ArrowIndexError}, key=lambda kind: kind.__name__)
PYTHONS = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    RecursionError,
    MemoryError,
    OSError,
    RuntimeError,
)
OURS = sorted(below(MinimizeError), key=lambda kind: kind.__name__)


def raising(kind: type[BaseException]) -> Any:
    def reveals(*_: object) -> None:
        try:
            raise kind(f"{CANARY} at first")
        except kind as first:
            raise kind(f"{CANARY} and again") from first

    return reveals


@pytest.mark.parametrize("kind", [*ARROWS, *PYTHONS], ids=lambda kind: kind.__name__)
def test_an_unexpected_error_reveals_only_its_kind_and_place(
    kind: type[BaseException],
) -> None:
    with at_checkpoint("gate", raising(kind)), pytest.raises(MinimizeError) as caught:
        minimize.apply(POLICY, TABLE, purpose=PURPOSE, at=AT)
    assert CANARY not in "\n".join(whole(caught.value))
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_a_unicode_error_shows_neither_its_bytes_nor_its_place() -> None:
    def reveals(*_: object) -> None:
        (CANARY.encode() + b"\xff").decode()

    with at_checkpoint("gate", reveals), pytest.raises(MinimizeError, match="UnicodeDecodeError") as caught:
        minimize.apply(POLICY, TABLE, purpose=PURPOSE, at=AT)
    assert CANARY not in "\n".join(whole(caught.value))


@pytest.mark.parametrize(
    "name", ["run", "read", "files", "verify", "lint", "make_plan", "load_policy", "load_pipeline"]
)
def test_every_public_function_raises_only_errors_of_the_package(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reveals(*_: object, **__: object) -> Any:
        raise ValueError(CANARY)

    for method in ("exists", "is_dir", "is_file", "resolve", "read_bytes", "iterdir"):
        monkeypatch.setattr(Path, method, reveals)
    with pytest.raises(MinimizeError) as caught:
        getattr(minimize, name)(str(tmp_path))
    monkeypatch.undo()
    assert CANARY not in "\n".join(whole(caught.value))


def test_a_call_that_does_not_fit_stays_the_callers_type_error() -> None:
    load: Any = minimize.load_policy
    with pytest.raises(TypeError):
        load()


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_each_of_ours_has_a_code_an_exit_code_and_its_hint_in_what_it_prints(kind: type[MinimizeError]) -> None:
    error = kind("something is wrong", hint="do that")
    assert error.code.startswith("E")
    assert error.exit_code in (1, 2, 3, 4)
    assert str(error) == "something is wrong (hint: do that)"
    assert error.to_json()["error"]["hint"] == "do that"


def test_a_refusal_to_share_names_rules_and_counts_only() -> None:
    reason = RefusalReason("consent", "N001", "no consent", tenants=2, rows=1000)
    assert (
        str(NotPermitted("refused", reasons=[reason]))
        .splitlines()[1]
        .strip()
        .endswith("no consent (2 tenants, 1,000 rows)")
    )
