from __future__ import annotations

from typing import get_args

import pyarrow as pa
import pytest

from minimize.errors import SourceError
from minimize.techniques import TECHNIQUES, Context, Family, Residual, UnsupportedType, treat
from minimize.techniques.base import FEW_ROWS, apply_per_distinct
from minimize.techniques.cache import ResultCache
from minimize.techniques.keep import Keep
from minimize.techniques.presence import Presence
from minimize.techniques.pseudonymize import Pseudonymize
from minimize.techniques.tokenize import Tokenize
from minimize.techniques.truncate_version import TruncateVersion


@pytest.mark.parametrize("word", TECHNIQUES)
def test_every_technique_has_the_facts_of_its_table(word: str) -> None:
    kind = TECHNIQUES[word]
    assert kind.name == word
    assert kind.source
    assert kind.about[0].islower() or kind.about[0].isdigit() or kind.about.startswith("H3")
    assert not kind.about.endswith(".")
    assert kind.residual in get_args(Residual)
    assert set(kind.takes) <= set(get_args(Family))
    assert kind.__doc__


def test_only_keep_leaves_everything() -> None:
    assert [word for word, kind in TECHNIQUES.items() if kind.residual == "original"] == ["keep"]


def test_a_refusal_names_what_is_taken() -> None:
    with pytest.raises(UnsupportedType, match="takes string"):
        TruncateVersion(parts=1).output_type(pa.int8())


def test_a_dictionary_is_treated_by_entry_and_merged(context: Context) -> None:
    encoded = pa.array(["10.0.1", "10.0.2", "x", None, "10.0.1"]).dictionary_encode()
    treated = treat(TruncateVersion(parts=2), encoded, context)
    assert treated.values.dictionary.to_pylist() == ["10.0", None] or treated.values.dictionary.to_pylist() == ["10.0"]
    assert treated.values.to_pylist() == ["10.0", "10.0", None, None, "10.0"]
    assert treated.untreated is not None
    assert treated.untreated.to_pylist() == [False, False, True, False, False]


def test_a_dictionary_of_views_can_be_kept(context: Context) -> None:
    encoded = pa.DictionaryArray.from_arrays(pa.array([1, 0, None]), pa.array(["a", "b"], pa.string_view()))
    assert treat(Keep(), encoded, context).values.to_pylist() == ["b", "a", None]
    assert treat(Presence(), encoded, context).values.to_pylist() == [True, True, None]


def test_a_loop_sees_each_distinct_value_once() -> None:
    seen: list[str] = []

    def watched(value: str) -> str:
        seen.append(value)
        return value

    treated = apply_per_distinct(pa.array(["a", "b", "a", None]), watched, pa.string())
    assert seen == ["a", "b"]
    assert treated.values.to_pylist() == ["a", "b", "a", None]


@pytest.mark.parametrize("recall", [None, ResultCache()])
def test_a_loop_over_many_rows_gives_what_one_over_few_does(recall: ResultCache | None) -> None:
    few: list[str | None] = ["10.1", "x", None, "9.9.9"]
    made = [apply_per_distinct(pa.array(few * times), _short, pa.string(), recall) for times in (1, FEW_ROWS)]
    assert made[1].values.to_pylist() == made[0].values.to_pylist() * FEW_ROWS == ["10", None, None, "9"] * FEW_ROWS
    assert made[0].untreated is not None
    assert made[1].untreated is not None
    assert (
        made[1].untreated.to_pylist()
        == made[0].untreated.to_pylist() * FEW_ROWS
        == [False, True, False, False] * FEW_ROWS
    )
    assert made[0].changed == 2


def test_cached_results_equal_computed_ones() -> None:
    recall, many = ResultCache(), pa.array([f"{number}.x" for number in range(2 * FEW_ROWS)])
    made = [apply_per_distinct(many, _short, pa.string(), recall).values for _ in range(2)]
    assert made[0].equals(made[1])
    assert made[0][7].as_py() == "7"


def _short(text: str) -> str | None:
    return text.split(".")[0] if "." in text else None


def test_a_text_that_is_not_utf_8_is_refused_without_a_trace_of_it(context: Context) -> None:
    bytes_ = pa.array([b"secret \xff"])
    text = pa.Array.from_buffers(pa.string(), 1, bytes_.buffers())
    for technique in (TruncateVersion(parts=1), Pseudonymize(key="k"), Tokenize(key="k")):
        with pytest.raises(SourceError) as caught:
            technique.apply(text, context)
        assert caught.value.__context__ is None
        assert "secret" not in str(caught.value)


def test_the_printed_result_hides_the_values(context: Context) -> None:
    treated = treat(Keep(), pa.array(["secret"]), context)
    where = Context("f", context.at, columns={"g": pa.array(["secret"])})
    assert "secret" not in repr(treated) + repr(where)
