from __future__ import annotations

import errno
from collections.abc import Iterator

import pyarrow as pa
import pytest

from minimize.errors import (
    OutOfMemoryError,
    PolicyError,
    RedactedErrors,
    call_redacted,
    iterate_redacted,
    redact_errors,
    unexpected_error,
)


def failing(value: str) -> Iterator[int]:
    yield 1
    raise ValueError(value)


def test_an_expected_error_is_raised_unchanged() -> None:
    error = PolicyError("a fault")

    def work() -> None:
        raise error

    with pytest.raises(PolicyError) as caught:
        call_redacted(work)
    assert caught.value is error


def test_an_unexpected_error_reveals_only_its_kind_and_place() -> None:
    items = iterate_redacted(failing("a value"))
    assert next(items) == 1
    with pytest.raises(Exception, match="ValueError") as caught:
        next(items)
    assert "a value" not in str(caught.value)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_an_unexpected_error_is_not_reachable_from_the_one_that_leaves_the_block() -> None:
    with pytest.raises(Exception, match="ValueError") as caught, RedactedErrors(), RedactedErrors():
        list(failing("a value"))
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)
    trace = caught.value.__traceback__
    while trace is not None:
        if "minimize" in trace.tb_frame.f_code.co_filename and trace.tb_frame.f_code.co_name == "__exit__":
            assert not any(isinstance(value, ValueError) for value in trace.tb_frame.f_locals.values())
        trace = trace.tb_next


def test_a_call_that_does_not_fit_the_parameters_is_a_type_error() -> None:
    function = redact_errors(failing)
    with pytest.raises(TypeError, match="missing a required argument") as caught:
        function()  # type: ignore[call-arg]
    assert caught.value.__context__ is None


def test_an_interrupt_leaves_the_block_as_it_is() -> None:
    with pytest.raises(KeyboardInterrupt), RedactedErrors():
        raise KeyboardInterrupt


def test_items_are_made_one_at_a_time_and_none_is_lost() -> None:
    numbers = iter(range(3))
    items = iterate_redacted(numbers)
    assert (next(items), next(numbers)) == (0, 1)
    assert list(items) == [2]


def test_an_error_without_a_trace_has_no_place() -> None:
    assert "KeyError at an unknown place" in str(unexpected_error(KeyError("a value")))


@pytest.mark.parametrize(
    "error", [MemoryError("a value"), pa.lib.ArrowMemoryError("a value"), OSError(errno.ENOMEM, "x")]
)
def test_memory_that_is_used_up_has_a_code_of_its_own_and_names_the_setting(error: Exception) -> None:
    def work() -> None:
        raise error

    with pytest.raises(OutOfMemoryError) as caught:
        call_redacted(work)
    assert caught.value.code == "E211"
    assert "MINIMIZE_MEMORY" in caught.value.hint
    assert "a value" not in str(caught.value)
    assert caught.value.__context__ is None
