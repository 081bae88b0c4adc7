from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from minimize.techniques.base import FEW_ROWS, Context, TechniqueResult
from minimize.techniques.cache import TechniqueCache
from minimize.techniques.truncate_ip import TruncateIp
from tests.hypothesis_profiles import examples

Run = Callable[..., list[Any]]
CONTEXT = Context("f", datetime(2026, 11, 25, tzinfo=UTC))


def ip(**parameters: Any) -> TruncateIp:
    return TruncateIp.model_validate(parameters)


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("203.0.113.77", "203.0.113.0"),
        ("0.0.0.9", "0.0.0" + ".0"),
        ("255.255.255.255", "255.255.255.0"),
        ("2001:db8:1:2::3", "2001:db8:1::"),
        ("2001:DB8:0001:0002:0003:0004:0005:0006", "2001:db8:1::"),
        ("::ffff:203.0.113.77", "203.0.113.0"),
        ("::FFFF:CB00:714D", "203.0.113.0"),
        ("[2001:db8:1:2::3]:443", "2001:db8:1::"),
        ("[2001:db8:1:2::3]", "2001:db8:1::"),
        ("203.0.113.77:8080", "203.0.113.0"),
        ("fe80:1:2:3::1%eth0", "fe80:1:2::"),
        ("[fe80:1:2:3::1%25eth0]:80", "fe80:1:2::"),
        ("[::ffff:203.0.113.77]:80", "203.0.113.0"),
        (" 203.0.113.77 ", "203.0.113.0"),
        ("::1", "::"),
    ],
)
def test_the_network_part_stays(run: Run, address: str, kept: str) -> None:
    assert run(ip(), [address]) == [kept]


@pytest.mark.parametrize(
    "text",
    ["", "lobby", "203.0.113", "203.0.113.256", "203.0.113.077", "203.0.113.7.1", "203.0.113.77\n.", "203.0.113.77:99999",
     "2001:db8::1::2", "[2001:db8::1", "203.0.113.77%eth0", "fe80::1%", "203.0.113.0/24", "٢٠٣.0.113.7", "1e3.0.0.1",
     "[203.0.113.7]x", "203.0.113.0077", ":80", "12345"],
)  # fmt: skip
def test_garbage_cannot_be_treated(run: Run, untreated: Run, text: str) -> None:
    for technique in (ip(), ip(v4=28)):
        assert run(technique, [text]) == [None]
        assert untreated(technique, [text]) == [True]


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("2001:0db8:0000:0000:0001:0000:0001:0001", "2001:db8::1:0:1:0"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:0"),
        ("2001:0:0:1:0:0:0:1", "2001:0:0:1::"),
        ("ABCD:EF01:2345:6789:ABCD:EF01:2345:6789", "abcd:ef01:2345:6789:abcd:ef01:2345:0"),
    ],
)
def test_rfc_5952(run: Run, address: str, text: str) -> None:
    """Sections 4.1 to 4.3: leading zeros, the longest and first run of zeros, never a single one, lower case."""
    assert run(ip(v6=112), [address]) == [text]


def test_the_network_in_cidr_notation(run: Run) -> None:
    addresses = ["203.0.113.77", "2001:db8:1:2::3", None]
    assert run(ip(**{"as": "network"}), addresses) == ["203.0.113.0/24", "2001:db8:1::/48", None]
    assert run(ip(v4=12, v6=0, **{"as": "network"}), addresses) == ["203.0.0.0/12", "::/0", None]


@pytest.mark.parametrize("parameters", [{"v4": 32}, {"v6": 128}, {"v4": -1}, {"as": "text"}])
def test_keeping_all_of_it_is_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TruncateIp.model_validate(parameters)


@given(st.lists(st.ip_addresses()), st.integers(0, 31), st.integers(0, 127))
def test_the_address_is_in_its_network(run: Run, addresses: list[Any], v4: int, v6: int) -> None:
    texts = [*(str(address) for address in addresses), None]
    networks = run(ip(v4=v4, v6=v6, **{"as": "network"}), texts)
    kept = run(ip(v4=v4, v6=v6), texts)
    assert run(ip(v4=v4, v6=v6), kept) == kept
    for address, network, text in zip(addresses, networks, kept, strict=False):
        plain = getattr(address, "ipv4_mapped", None) or address
        if not getattr(plain, "sixtofour", None):  # of these more is cut off than the prefix says
            assert plain in ipaddress.ip_network(network)
        assert text == network.partition("/")[0]


@pytest.mark.parametrize(
    ("parameters", "kept"),
    [
        ({}, "2002:cb00:7100::"),
        ({"v4": 16}, "2002:cb00::"),
        ({"v4": 31, "v6": 40}, "2002:cb00:7100::"),
        ({"as": "network"}, "2002:cb00:7100::/48"),
    ],
)
def test_an_ipv4_address_inside_a_6to4_address_loses_its_host_bits(
    run: Run, parameters: dict[str, Any], kept: str
) -> None:
    assert run(ip(**parameters), ["2002:cb00:714d:1::9"]) == [kept]


@pytest.mark.parametrize("bits", [16, 32, 48, 64, 80, 96, 112])
def test_plain_addresses_become_the_networks_that_the_library_writes(bits: int, context: Context) -> None:
    texts = ["2001:db8:1:2:3:4:5:6", "2001:DB8:0:1::", "2001:0db8::1:2:3:4:5", "fe80:0:0:1:2:3:4:5", "a:b:c:d:e:f:1::"]
    for form in ("address", "network"):
        step = TruncateIp.model_validate({"v6": bits, "as": form})
        networks = [ipaddress.ip_network(f"{text}/{bits}", strict=False) for text in texts]
        wanted = [str(each if form == "network" else each.network_address) for each in networks]
        assert step.apply(pa.array(texts), context).values.to_pylist() == wanted


TEXTS = st.one_of(
    st.ip_addresses().map(str),
    st.ip_addresses(v=6).map(lambda address: address.exploded),
    st.sampled_from(
        ["", "lobby", "1.2.3", "01.2.3.4", "1.2.3.256", "2001:db8:0:1::", "2001:DB8:1::2", "2002:c000:204::1"]
    ),
    st.sampled_from(
        ["::ffff:1.2.3.4", "[2001:db8:1::2]:80", "1.2.3.4:80", "fe80::1%eth0", "1:2:3:4:5:6:7:8", "2001:db8::"]
    ),
    st.none(),
)


@settings(max_examples=examples(25))
@given(
    st.lists(TEXTS, min_size=1, max_size=8),
    st.sampled_from([16, 40, 48, 96, 112, 0]),
    st.sampled_from(["address", "network"]),
)
def test_many_rows_are_treated_as_few_are(texts: list[str | None], v6: int, as_: str) -> None:
    technique, memo = ip(v6=v6, **{"as": as_}), TechniqueCache()
    few = technique.apply_column(pa.array(texts, pa.string()), CONTEXT)
    times = FEW_ROWS // len(texts) + 1
    for context in (CONTEXT, replace(CONTEXT, cache=memo), replace(CONTEXT, cache=memo)):
        many = technique.apply_column(pa.array(texts * times, pa.string()), context)
        assert many.values.to_pylist() == few.values.to_pylist() * times
        assert _marks(many) == _marks(few) * times
        assert many.changed == (few.changed or 0) * times


def test_only_treatable_changed_values_are_counted() -> None:
    treated = ip().apply_column(pa.array(["1.2.3.4", "1.2.3.0", "2001:db8::", "lobby", None]), CONTEXT)
    assert treated.changed == 1


def _marks(treated: TechniqueResult) -> list[bool]:
    return [False] * len(treated.values) if treated.untreated is None else treated.untreated.to_pylist()


@pytest.mark.parametrize(("text", "expected"), [("203.0.113.77:65535", "203.0.113.0"), ("203.0.113.77:65536", None)])
def test_a_port_is_one_that_there_can_be(run: Run, text: str, expected: str | None) -> None:
    assert run(TruncateIp(), [text]) == [expected]
