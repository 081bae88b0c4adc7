from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from minimize.patterns import is_iban, is_luhn
from minimize.techniques.redact import ALL_PATTERNS, Redact, find_spans, has_hit

Run = Callable[..., list[Any]]

FOUND = {
    "email": ["ann@example.com", "a.b+c@mail.example.co.uk", "ANN_1@EXAMPLE.COM", "ann@bücher.example", "o'neil@example.org"],
    "phone": ["+33612345678", "+33 6 12 34 56 78", "+1 (555) 123-4567", "0033 612345678", "+49-30-1234567", "(555) 123-4567",
              "555-123-4567", "555.223.4567", "06 12 34 56 78", "0612345678", "030/1234567", "+1 555 0100"],
    "ip": ["203.0.113.77", "10.0.0.1", "2001:db8::1", "::1", "fe80::1", "2001:DB8:0:0:1:0:0:1", "::ffff:203.0.113.7"],
    "mac": ["02:00:00:00:00:00", "AA-BB-CC-DD-EE-FF", "aabb.ccdd.eeff"],
    "imei": ["353626070676775", "35-362607-067677-5", "490154203237518"],
    "uuid": ["b66bc706-ffff-7437-0340-032819502773", "B66BC706-FFFF-7437-0340-032819502773"],
    "url": ["https://example.com/a?b=c#d", "http://10.0.0.1:80", "ftp://x.example/y", "www.example.com", "ms-settings://about"],
    "path": ["/home/ann/notes.txt", "C:\\Users\\Ann Smith\\Documents\\cv.docx", "C:\\Users\\ann", "\\\\server\\share\\ann",
             "~/notes", "/Users/ann/Library", "../ann/secret/file"],
    "card": ["4111111111111111", "4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005", "6011111111111117",
             "4222222222222"],
    "ssn": ["123-45-6789", "078-05-1120", "899-99-9999"],
    "private_key": ["-----BEGIN PRIVATE KEY-----\nMIIEvQ==\n-----END PRIVATE KEY-----",
                    "-----BEGIN OPENSSH PRIVATE KEY-----\r\nb3BlbnNz\r\n-----END OPENSSH PRIVATE KEY-----"],
    "token": ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl", "AKIA" + "IOSFODNN7EXAMPLE", "ghp_" + "a1" * 18,
              "sk_live_" + "a1" * 12, "xoxb-" + "123456789012-abcdef", "AIza" + "x1" * 17 + "y"],
    "iban": ["GB82WEST12345698765432", "GB82 WEST 1234 5698 7654 32", "DE89370400440532013000",
             "FR7630006000011234567890189", "NO9386011117947"],
}  # fmt: skip
LEFT = {
    "email": ["ann at example.com", "@ann", "ann@", "a@b", "1 @ 2.50"],
    "phone": ["10.0.19045.3803", "2026-11-25", "2026-11-25T12:30:00Z", "0x87D1041C", "12345", "3803", "1.500.000", "0.12345678",
              "error 404", "16:30", "1,234,567", "20261125"],
    "ip": ["10.0.19045.3803", "12:30:45", "1.2.3", "203.0.113.256", "std::vector", "1.2.3.4.5", "::"],
    "mac": ["02:00:00:00:00", "02:00:00:00:00:00:00", "02:00:00:00:00:0g", "20-26-11-25"],
    "imei": ["173261234567892", "353626070676776", "3536260706767", "3536260706767751", "1.353626070676775"],
    "uuid": ["b66bc706-ffff-7437-0340", "b66bc706-ffff-7437-0340-0328195027730", "b66bc706ffff74370340032819502773"],
    "url": ["example.com", "http:", "a://", "key: value", "c:/x"],
    "path": ["and/or", "24/7", "1/2/3", "/etc", "km/h", "a / b", "\\n", "N/A"],
    "ssn": ["000-12-3456", "666-12-3456", "900-12-3456", "123-00-4567", "123-45-0000", "1123-45-6789", "123-45-67890"],
    "private_key": ["-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----", "BEGIN PRIVATE KEY", "private key"],
    "token": ["eyJhbGci", "AKIABARA", "ghp_documentation", "sk_test_helper_function_name", "xoxb-notes", "AIza-fix"],
    "card": ["1732612345670", "1732612345678902", "9123456789012342", "4111111111111112",
             "353626070676775", "411111111111", "10.4111111111111111", "0000000000000000"],
    "iban": ["GB82WEST12345698765431", "GB82", "XX00", "DE8937040044053201300012345678901234567890"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in FOUND.items() for text in texts])
def test_a_pattern_finds_the_whole_of_it(run: Run, name: Any, text: str) -> None:
    sentences = [text, f"see {text}, please", f"({text})", f"{text}\nnext"]
    marked = [sentence.replace(text, f"[{name}]") for sentence in sentences]
    assert run(Redact(patterns=(name,)), sentences) == marked


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in LEFT.items() for text in texts])
def test_a_pattern_leaves_similar_texts_alone(run: Run, name: Any, text: str) -> None:
    sentences = [text, f"see {text}, please"]
    assert run(Redact(patterns=(name,)), sentences) == sentences


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in FOUND.items() for text in texts])
def test_all_patterns_together_leave_nothing_and_call_most_by_name(run: Run, name: str, text: str) -> None:
    [marked] = run(Redact(), [f"see {text} please"])
    assert text not in marked
    assert marked == f"see [{name}] please"


def test_the_sentence_stays(run: Run) -> None:
    text = "Ann (ann@example.com, +33 6 12 34 56 78) lost C:\\Users\\ann\\x.txt at https://example.com/x. IP 10.0.0.1."
    assert run(Redact(), [text]) == ["Ann ([email], [phone]) lost [path] at [url]. IP [ip]."]


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("4111111111111111 7", "[card] 7"),
        ("4111-1111-1111-1111-7", "[card]-7"),
        ("1234 4111111111111111", "1234 [card]"),
        ("4111 1111 1111 1111 12/29", "[card] 12/29"),
    ],
)
def test_a_card_is_found_among_other_numbers(run: Run, text: str, marked: str) -> None:
    assert run(Redact(patterns=("card",)), [text]) == [marked]


def test_the_mark_can_be_another(run: Run) -> None:
    assert run(Redact(patterns=("email",), mark="<…>"), ["ann@example.com"]) == ["<email>"]
    assert run(Redact(patterns=("email",), mark="#"), ["ann@example.com"]) == ["#"]


def test_matches_that_appear_between_marks_are_redacted(run: Run) -> None:
    assert run(Redact(), ["ann@example.com+33612345678"]) == ["[email][phone]"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize(
    "text",
    [
        "josé.peña@example.com",
        "zażółć@perù.example",
        "https://example.com/réinitialiser",
        "/home/jürgen/données",
        "रवि@उदाहरण.example",
    ],
)
def test_nothing_of_a_value_stays_in_either_form_of_unicode(run: Run, text: str, form: Any) -> None:
    around = unicodedata.normalize(form, "Café Ångström: {} – déjà vu")
    assert run(Redact(), [around.format(unicodedata.normalize(form, text))])[0].count("[") == 1
    [marked] = run(Redact(), [around.format(unicodedata.normalize(form, text))])
    assert re.sub(r"\[\w+\]", "{}", marked) == around


def test_text_outside_of_hits_keeps_its_form(run: Run) -> None:
    text = unicodedata.normalize("NFD", "Dvořák … ｆｕｌｌ")
    assert run(Redact(), [text]) == [text]


@pytest.mark.parametrize("space", ["\u00a0", "\u202f", "\u2009", "\u2007", "\u3000"])
@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("+33 6 12 34 56 78", "[phone]"),
        ("+49 30 901820", "[phone]"),
        ("(212) 555-0147", "[phone]"),
        ("4111 1111 1111 1111", "[card]"),
        ("GB82 WEST 1234 5698 7654 32", "[iban]"),
        ("prix 12 500 €", None),
    ],
)
def test_all_spaces_of_unicode_are_spaces(run: Run, text: str, marked: str | None, space: str) -> None:
    spaced = text.replace(" ", space)
    assert run(Redact(), [spaced]) == [marked or spaced]


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("call +٣٣٦١٢٣٤٥٦٧٨ now", "call [phone] now"),
        ("ann\ufe6bexample.com", "[email]"),
        ("ann@example\u3002com", "[email]"),
        ("1\u30022\u30023\u30024", "1\u30022\u30023\u30024"),
    ],
)
def test_other_digits_and_signs_of_an_address_are_read_as_ascii(run: Run, text: str, marked: str) -> None:
    assert run(Redact(), [text]) == [marked]


@pytest.mark.parametrize(
    "number",
    ["5019000000000008", "6799000000000002", "6362000000000009", "9792000000000003", "1000 00000 000009"],
)
def test_cards_of_dankort_maestro_elo_troy_and_uatp_are_found_by_their_check_digit(run: Run, number: str) -> None:
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    assert run(Redact(patterns=("card",)), [number, wrong]) == ["[card]", wrong]


KEY_LINES = "MIIEpAIBAAKCAQEA75Pxd2bqyRN3uvPp" * 4


@pytest.mark.parametrize(
    "key",
    [
        f"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nComment: x\n{KEY_LINES}\n---- END SSH2 ENCRYPTED PRIVATE KEY ----",
        f"PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\nPublic-Lines: 1\n{KEY_LINES}\nPrivate-Lines: 1\n{KEY_LINES}\n"
        "Private-MAC: 0a1b2c",
        f"-----BEGIN%20RSA%20PRIVATE%20KEY-----%0A{KEY_LINES}%2B%0A-----END%20RSA%20PRIVATE%20KEY-----",
        f"-----BEGIN+PRIVATE+KEY-----%0A{KEY_LINES}%3D",
    ],
)
def test_private_keys_of_ssh2_and_putty_and_percent_encoded_ones_are_found(run: Run, key: str) -> None:
    assert run(Redact(patterns=("private_key",)), [f"k={key} end"]) == ["k=[private_key] end"]


def test_full_width_and_invisible_characters_hide_nothing(run: Run) -> None:
    assert run(Redact(), ["＋３３６１２３４５６７８", "ann@exam\u200bple.com", "an\u00adn@example.com"]) == [
        "[phone]",
        "[email]",
        "[email]",
    ]


@pytest.mark.parametrize(
    ("first", "step", "most"),
    [(1_732_612_345_678, 7_919, 0), (1_732_612_345_678_901, 7_919, 0), (10**14, 449_999_993_111, 20)],
)
def test_times_and_counters_are_no_cards_and_no_imeis(run: Run, first: int, step: int, most: int) -> None:
    """Times in milliseconds and microseconds since 1970; 2,000 numbers over all of 15 digits, of which 200 have a check digit."""
    numbers = [f"value {first + step * number} here" for number in range(2000)]
    assert sum("[" in marked for marked in run(Redact(), numbers)) <= most


@pytest.mark.parametrize(
    "text", ["IMEI 440123456789013", "imei: 440123456789013", "handset 440123456789013", "44-012345-678901-3"]
)
def test_an_imei_of_a_rare_range_is_found_by_context_or_form(run: Run, text: str) -> None:
    assert "[imei]" in run(Redact(), [text])[0]
    assert run(Redact(), ["job 440123456789013"]) == ["job 440123456789013"]


@pytest.mark.parametrize(
    "text",
    ["aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "Authorization: Bearer abcdefghij0123456789",
     'AccountKey=' + "Ab1+" * 22 + "=="],
)  # fmt: skip
def test_of_a_secret_found_by_its_context_the_context_stays(run: Run, text: str) -> None:
    assert run(Redact(), [text]) == [re.split("(?<=[= ])(?=[A-Za-z0-9+/]{16})", text)[0] + "[token]"]


HOSTILE = [
    "+3361234567", "漢字", "a@", "a.b.", "/a", "1", "1-", ":", "c:/ ", "e\u0301", "-----BEGIN PRIVATE KEY-----",
    "eyJabcdefghijk.", "account_key=", "imei ", "https://x(", "ann@example.com+33612345678", "~", "\\\\a\\",
    "192.0.2.1+33612345678/a/b", "bearer ",
]  # fmt: skip


@pytest.mark.parametrize("part", HOSTILE)
def test_a_hostile_text_takes_time_in_proportion(part: str) -> None:
    """A quadratic pattern takes minutes for such a text; these take a fraction of a second."""
    text = (part * 30_000)[:30_000] + ")" * 1000
    before = time.process_time()
    find_spans(text)
    assert time.process_time() - before < 20


def test_repeated_hits_that_appear_only_between_hits_are_redacted_whole() -> None:
    assert not has_hit(Redact(mark=" ").redact_text("+33612345678.1/" * 200 + "x"))


def test_field_names_are_distinguished_from_personal_values() -> None:
    assert not any(
        has_hit(name) for name in ("battery_pct", "os-version", "ipAddress", "x86_64", "deviceId2", "_SUCCESS")
    )
    assert all(has_hit(name) for name in ("ann@example.com", "b66bc706-ffff-7437-0340-032819502773", "353626070676775"))
    assert not has_hit("ann@example.com", ["phone"])


@pytest.mark.parametrize("parameters", [{"patterns": []}, {"patterns": ["name"]}, {"mark": ""}])
def test_bad_parameters_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Redact.model_validate(parameters)


def test_check_digits() -> None:
    """ISO/IEC 7812-1 annex B and the examples of the IBAN registry."""
    assert is_luhn("79927398713")
    assert not any(is_luhn(f"7992739871{digit}") for digit in "012456789")
    assert all(
        is_iban(text) for text in ("BE68539007547034", "CH9300762011623852957", "MT84MALT011000012345MTLCAST001S")
    )


@given(
    st.lists(
        st.sampled_from([*(text for texts in FOUND.values() for text in texts), "x", " ", ".", "/", "+", "1", "@"])
    )
)
def test_redacting_leaves_nothing_that_a_pattern_hits(run: Run, parts: list[str]) -> None:
    [marked] = run(Redact(mark=" \u2588 "), ["".join(parts)])
    assert not has_hit(marked, ALL_PATTERNS)


@given(st.text(max_size=200))
def test_any_text_is_treated(run: Run, text: str) -> None:
    [marked] = run(Redact(), [text.encode("utf-8", "replace").decode()])
    assert marked is not None


@pytest.mark.parametrize("text", ["~/john/x.txt", "~/.ssh/id_rsa", "~/a/b/c", "~john/x", "~/x"])
def test_a_path_below_a_home_folder_is_redacted_whole(run: Run, text: str) -> None:
    assert run(Redact(patterns=("path",)), [f"see {text} please"]) == ["see [path] please"]


@pytest.mark.parametrize(
    ("text", "gives"),
    [
        ("03 123 456", "03 123 456"),
        ("030 123 456", "[phone]"),
        ("0171 123 4567", "[phone]"),
        ("0171 1234 5678", "0171 1234 5678"),
    ],
)
def test_a_national_number_has_9_to_11_digits(run: Run, text: str, gives: str) -> None:
    assert run(Redact(), [text]) == [gives]


_BASE64 = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKB"


@pytest.mark.parametrize(
    "prefix", ["2026-01-01T10:00:00Z INFO ", "Jan  1 10:00:00 host app[12]: ", "[main] key: ", "> "]
)
@pytest.mark.parametrize("end", ["-----END PRIVATE KEY-----", "Us8cKB==", None])
def test_a_private_key_is_found_in_lines_of_a_log(run: Run, prefix: str, end: str | None) -> None:
    lines = ["-----BEGIN PRIVATE KEY-----", *[_BASE64] * 3, *([] if end is None else [end])]
    text = "".join(f"{prefix}{line}\n" for line in [*lines, "the key was read"])
    assert run(Redact(patterns=("private_key",)), [text]) == [f"{prefix}[private_key]\n{prefix}the key was read\n"]


def test_a_header_alone_takes_no_line_of_a_log_with_it(run: Run) -> None:
    text = f"INFO -----BEGIN PRIVATE KEY-----\nINFO it was left out\nINFO {_BASE64}\n"
    assert run(Redact(patterns=("private_key",)), [text]) == [
        text.replace("-----BEGIN PRIVATE KEY-----", "[private_key]")
    ]
