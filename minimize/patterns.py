"""Patterns of personal data and secrets in texts, by name: e-mail addresses, phone numbers, cards, tokens and more.

A pattern is exact if there is a check: Luhn for cards and IMEIs, mod 97 for IBANs, parsing for IP addresses. Patterns do not
match version numbers, dates, times in milliseconds and error codes. Each takes time in proportion to the text.
Patterns see a text in which each character carries its combining marks (NFC, and beyond it), and in which full-width forms, all
dashes, all digits and all spaces within a line are the ASCII ones.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from types import MappingProxyType
from typing import Final, Literal

from minimize.text import normal_form

PatternName = Literal[
    "email", "phone", "ip", "mac", "imei", "uuid", "url", "path", "card", "iban", "ssn", "private_key", "token"
]
TextSpan = tuple[int, int]
Finder = Callable[[str], Iterator[TextSpan]]

_UNSPACED: Final = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff"
"""Scripts that are written without spaces: a number may follow their letters directly."""
_W: Final = rf"[^\W{_UNSPACED}]"
"""A letter, digit or underscore of a script with spaces."""
_A: Final = "[A-Za-z0-9_]"


def _not_preceded_by(before: str) -> str:
    return f"(?<![{before}])" if before else ""


def _pattern_finder(pattern: str, accept: Callable[[str], int] = len, *, not_after: str | None = "") -> Finder:
    """Finds hits of a pattern that do not follow a word or one of some characters (None: that follow anything).

    `accept` returns the number of characters that belong to a hit (0: not a hit). A group `v` is the value within its context.
    A hit may follow another one directly. The pattern is compiled when it is first used: all of them take a twentieth of the
    CPU time of a small run, which looks only at the names of files.
    """
    before = "" if not_after is None else rf"(?<!{_A}){_not_preceded_by(not_after)}"
    bare, whole = cache(partial(re.compile, pattern)), cache(partial(re.compile, f"{before}(?:{pattern})"))
    group = "v" if "(?P<v>" in pattern else 0

    def find(text: str) -> Iterator[TextSpan]:
        place, after_hit, search = 0, False, whole().search
        while hit := (bare().match(text, place) if after_hit else None) or search(text, place):
            start, length = hit.start(group), accept(hit.group(group))
            after_hit = length > 0
            place = start + length if after_hit else max(hit.end(), place + 1)
            if after_hit:
                yield start, place

    return find


def _overlapping_finder(pattern: str, accept: Callable[[str], int], *, not_after: str) -> Finder:
    """The same, if a part of a rejected hit can be a hit."""
    compiled = re.compile(rf"(?<!{_A}){_not_preceded_by(not_after)}(?=({pattern}))")

    def find(text: str) -> Iterator[TextSpan]:
        for hit in compiled.finditer(text):
            length = accept(hit.group(1))
            if length:
                yield hit.start(), hit.start() + length

    return find


def _digits(text: str) -> str:
    return "".join(char for char in text if char in "0123456789")


def is_luhn(digits: str) -> bool:
    """Whether the last digit is the Luhn check digit (ISO/IEC 7812-1 annex B) of the others.

    >>> is_luhn("4111111111111111"), is_luhn("4111111111111112")
    (True, False)
    """
    turned = [int(digit) for digit in reversed(digits)]
    return (sum(turned[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in turned[1::2])) % 10 == 0


def is_iban(text: str) -> bool:
    """Whether a compact IBAN has the right check digits (ISO 13616, ISO/IEC 7064 mod 97-10).

    >>> is_iban("GB82WEST12345698765432"), is_iban("GB82WEST12345698765431")
    (True, False)
    """
    turned = text[4:] + text[:4]
    return int("".join(str(int(char, 36)) for char in turned)) % 97 == 1


def _imei_length(hit: str) -> int:
    return len(hit) if is_luhn(_digits(hit)) else 0


def is_imei(digits: str) -> bool:
    """Whether 15 digits have the check digit of an IMEI (3GPP TS 23.003 annex B).

    >>> is_imei("490154203237518"), is_imei("490154203237519")
    (True, False)
    """
    return re.fullmatch("[0-9]{15}", digits) is not None and is_luhn(digits)


def _card_length(hit: str) -> int:
    """Length of the longest card number that ends with a group of digits. Other numbers may follow."""
    ends = [group.end() for group in re.finditer("[0-9]+", hit)]
    uatp = _GROUPED_UATP.match(hit)
    if uatp and is_luhn(_digits(uatp[0])):
        return uatp.end()
    return next((end for end in reversed(ends) if is_card(_digits(hit[:end]))), 0)


def is_card(digits: str) -> bool:
    """Whether digits are a card number: issued in this range, of a length that the scheme issues, with the check digit.

    >>> is_card("4111111111111111"), is_card("4111111111111112"), is_card("1732612345670")
    (True, False, False)
    """
    return _ISSUED.fullmatch(digits) is not None and is_luhn(digits)


def _iban_length(hit: str) -> int:
    """Length of an IBAN of its country, grouped or not; else of the whole hit if it has no groups."""
    whole = re.match("[A-Za-z0-9]+", hit)
    ends = (_group_end(hit, _IBAN_LENGTHS.get(hit[:2].upper(), 0)), whole.end() if whole else 0)
    return next((end for end in ends if _is_grouped_iban(hit[:end])), 0)


def _group_end(hit: str, length: int) -> int:
    """End of the first `length` letters and digits, if a group ends there too; else 0."""
    places = [place for place, char in enumerate(hit, 1) if char.isalnum()]
    end = places[length - 1] if 0 < length <= len(places) else 0
    return end if end == len(hit) or hit[end] in " -" else 0


def _is_grouped_iban(text: str) -> bool:
    compact = re.sub("[ -]", "", text).upper()
    return 15 <= len(compact) <= 34 and is_iban(compact)


def _ipv6_length(hit: str) -> int:
    text = hit.rstrip(".:") if not hit.endswith("::") else hit
    if not any(char in "0123456789abcdefABCDEF" for char in text):
        return 0
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return 0
    return len(text)


def _phone_length(hit: str) -> int:
    return len(hit) if 7 <= len(_digits(hit)) <= 15 else 0


def _international_length(hit: str) -> int:
    """A country code and at least six digits after it (E.164)."""
    digits = _digits(hit).removeprefix("00")
    return len(hit) if (7 if hit[0] == "+" else 9) <= len(digits) <= 15 else 0


def _national_length(hit: str) -> int:
    """A trunk zero and 8 to 10 digits after it, not all in one group of eight (a date)."""
    return len(hit) if 9 <= len(_digits(hit)) <= 11 else 0


def _length_without_punctuation(hit: str) -> int:
    """Without the punctuation of the sentence around it; a bracket that is opened within stays."""
    end = len(hit.rstrip(_PUNCTUATION))
    opened = hit.count("(", 0, end) - hit.count(")", 0, end)
    closed = len(hit) - end - len(hit[end:].lstrip(")"))
    return end + max(0, min(opened, closed))


def _private_keys(text: str) -> Iterator[TextSpan]:
    """From the header to the footer, or over the lines of base64 that follow if the footer is missing.

    Keys in PEM (RFC 7468), SSH2 (RFC 4716) and PuTTY's format, percent-encoded or not. Each of
    these lines may begin with the prefix of a log.
    """
    for header in _KEY_HEADER.finditer(text):
        last = header.end() + _LONGEST_KEY
        ends = (_KEY_FOOTER.search(text, header.end(), last), _KEY_BODY.match(text, header.end(), last))
        key_end = next((each.end() for each in ends if each and each.end() > header.end()), header.end())
        logged = _LOGGED_KEY_BODY.match(text, header.end(), last) if key_end == header.end() else None
        yield header.start(), logged.end() if logged else key_end


def _if_containing(parts: tuple[str, ...], finder: Finder) -> Finder:
    """Applies a finder only to texts that contain one of some parts, in any case: a third of the time of all patterns."""

    def find(text: str) -> Iterator[TextSpan]:
        lowered = text.lower()
        return finder(text) if any(part in lowered for part in parts) else iter(())

    return find


def _any_finder(*finders: Finder) -> Finder:
    def find(text: str) -> Iterator[TextSpan]:
        for finder in finders:
            yield from finder(text)

    return find


_LENGTHS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 "
    "EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 "
    "IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 "
    "NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 "
    "SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30 "
)
_IBAN_LENGTHS: Final[Mapping[str, int]] = MappingProxyType({word[:2]: int(word[2:]) for word in _LENGTHS.split()})
"""From the IBAN registry (SWIFT), by country."""
_ISSUED: Final = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})"  # Visa
    r"|(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"  # Mastercard
    r"|3[47][0-9]{13}"  # American Express
    r"|(?:30[0-5]|3095|36|3[89])[0-9]{10,12}(?<=^.{14})"  # Diners Club
    r"|35(?:2[89]|[3-8][0-9])[0-9]{12,15}"  # JCB
    r"|(?:6011|64[4-9][0-9]|65[0-9]{2})[0-9]{12,15}"  # Discover
    r"|(?:62|81)[0-9]{14,17}"  # UnionPay
    r"|220[0-4][0-9]{12,15}"  # Mir
    r"|(?:5018|5020|5038|5893|6304|6759|676[1-3]|6799)[0-9]{8,15}"  # Maestro
    r"|(?:5019|6362|9792)[0-9]{12}"  # Dankort, Elo, Troy
    r"|(?:1800|2131)[0-9]{11}"  # JCB of 15 digits
    r"|(?:50[68]|60)[0-9]{13,14}(?<=^.{16})"  # Elo, Verve, RuPay
)
"""Ranges and lengths that card schemes publish (ISO/IEC 7812)."""
_GROUPED_UATP: Final = re.compile(r"1[0-9]{3}([ -])[0-9]{5}\1[0-9]{6}(?![0-9])")
"""A UATP card as it is embossed. Without groups, one of ten counters of 15 digits would be taken for a card."""
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_SIGNS = r"!#$%&'*+/=?^`{|}~"
_LOCAL = rf"[\w.{_SIGNS}-]"
_SPACED_LOCAL = rf"(?:{_W}|[.{_SIGNS}-])"
_GAP = r"[ .\-/]?"
_SEGMENT = r'[^\\/:*?"<>|\r\n]'
_PUNCTUATION = ".,;:!?)]}'\"。、，．！？；：）」』】》"
_PART = r"[^\s/\\:*?\"'<>|,;()\[\]{}，。、；：（）「」]"
_NO_MORE = rf"(?!{_A}|-|\.[0-9])"
_IMEI_DIGITS = r"[0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{6}[ -]?[0-9]"
_HANDSET = r"imei|meid|handset|(?:cell|smart|mobile)? ?phone|mobile|téléphone|handy|gerät|tel[eé]fono|móvil|celular"
_HANDSET_CONTEXT = rf"(?i:{_HANDSET})[^0-9\n]{{0,24}}(?:[12]:? )?"
_ASSIGNED = r"[\"']?\s{0,3}(?:=|:|=>)\s{0,3}[\"']?"
_LONGEST_KEY: Final = 16_384
"""Characters of a private key; a PEM file of RSA with 8,192 bits has 6,400."""
_BLANK: Final = r"(?: |\+|%20)"
_KEY_NAME: Final = rf"{_BLANK}[A-Z0-9 +%]{{0,60}}PRIVATE{_BLANK}KEY(?:{_BLANK}BLOCK)?{_BLANK}?-{{4,5}}"
_KEY_HEADER: Final = re.compile(rf"-{{4,5}}{_BLANK}?BEGIN{_KEY_NAME}|PuTTY-User-Key-File-[0-9]:")
_KEY_FOOTER: Final = re.compile(rf"-{{4,5}}{_BLANK}?END{_KEY_NAME}|Private-(?:MAC|Hash):{_BLANK}?[0-9A-Fa-f]+")
_KEY_LINE_END: Final = r"(?:\s|\\[nr]|%0[AaDd])"
_KEY_BODY: Final = re.compile(
    rf"(?:{_KEY_LINE_END}*+(?:(?:[A-Za-z0-9+/=]|%2[BbFf]|%3[Dd]){{16,}}+|[A-Za-z-]{{3,40}}: [^\r\n]{{0,80}}))*+"
)
_LOGGED: Final = r"\s*+(?<=[\r\n])[^\r\n]{0,120}?(?<![A-Za-z0-9+/])"
_LOGGED_KEY_BODY: Final = re.compile(
    rf"(?:{_LOGGED}[A-Za-z0-9+/]{{40,}}+={{0,2}}(?=[ \t]*(?:[\r\n]|\Z)))++"
    rf"(?:{_LOGGED}[A-Za-z0-9+/]{{3,}}+={{1,2}}(?=[ \t]*(?:[\r\n]|\Z)))?"
)
_TOKENS: Final = (
    r"eyJ[A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_-]*+){2,4}",  # JWT (RFC 7519), signed or encrypted
    r"(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AIPA|ANPA|ANVA|AROA)[A-Z0-9]{16}",  # AWS key and principal ids
    r"AIza[A-Za-z0-9_-]{35,}+|ya29\.[A-Za-z0-9_-]{20,}+|GOCSPX-[A-Za-z0-9_-]{28}",  # Google Cloud
    r"gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{40,255}",  # GitHub
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}+|xapp-[0-9]-[A-Za-z0-9-]{10,}+",  # Slack
    r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}+|whsec_[A-Za-z0-9+/=]{24,}+",  # Stripe
    r"[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}",  # Microsoft Entra client secrets
)
_IN_CONTEXT: Final = (
    rf"(?i:secret_?access_?key|aws_?secret(?:_?key)?){_ASSIGNED}(?P<v>[A-Za-z0-9/+]{{40}}(?![A-Za-z0-9/+]))",  # AWS
    rf"(?i:aws_?session_?token|session_?token){_ASSIGNED}(?P<v>[A-Za-z0-9/+=]{{100,}}+)",
    r"(?i:account_?key|shared_?access_?key)=(?P<v>[A-Za-z0-9+/]{40,88}={0,2})",  # Azure
    r"(?i:bearer) (?P<v>[A-Za-z0-9._~+/-]{20,}+=*)",  # RFC 6750
    r"(?i:authorization): ?(?i:basic) (?P<v>[A-Za-z0-9+/]{8,}+=*)",  # RFC 7617
)

_DOMAIN = rf"(?:(?:{_W}|-)+\.)+[^\W\d_{_UNSPACED}](?:(?:{_W}|-)*{_W})|(?:[\w-]+\.)+[^\W\d_](?:[\w-]*\w)"
_TOKEN_PARTS: Final = (
    *(
        "eyj",
        "akia",
        "asia",
        "abia",
        "acca",
        "agpa",
        "aida",
        "aipa",
        "anpa",
        "anva",
        "aroa",
        "aiza",
        "ya29.",
        "gocspx-",
    ),
    *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "xox", "xapp-", "sk_", "rk_", "whsec_", "q~"),
    *("secret", "token", "key=", "bearer ", "authorization"),
)
"""Each token or its context contains one of these."""
_email = _any_finder(
    _pattern_finder(rf"(?<!{_SPACED_LOCAL})(?:{_SPACED_LOCAL})++@(?:{_DOMAIN})", not_after=None),
    _pattern_finder(rf"(?<!{_LOCAL})(?:{_LOCAL})++(?<=[{_UNSPACED}])@(?:{_DOMAIN})", not_after=None),
)

PATTERNS: Final[Mapping[PatternName, Finder]] = MappingProxyType(
    {
        "private_key": _if_containing(
            ("private key", "private+key", "private%20key", "putty-user-key-file-"), _private_keys
        ),
        "url": _if_containing(
            ("://", "www."),
            _pattern_finder(
                r"(?:[A-Za-z][A-Za-z0-9+.-]{1,30}://|www\.)[^\s<>\"']+", _length_without_punctuation, not_after="+.-"
            ),
        ),
        "token": _if_containing(
            _TOKEN_PARTS,
            _any_finder(
                *(_pattern_finder(pattern, not_after="-") for pattern in _TOKENS),
                *(_pattern_finder(pattern, not_after=None) for pattern in _IN_CONTEXT),
            ),
        ),
        "email": _if_containing(("@",), _email),
        "uuid": _pattern_finder(
            rf"[0-9A-Fa-f]{{8}}(?:-[0-9A-Fa-f]{{4}}){{3}}-[0-9A-Fa-f]{{12}}(?!{_A}|-)", not_after="-"
        ),
        "mac": _any_finder(
            _pattern_finder(
                rf"(?<!{_A})(?<![0-9A-Fa-f][:-])[0-9A-Fa-f]{{2}}([:-])(?:[0-9A-Fa-f]{{2}}\1){{4}}[0-9A-Fa-f]{{2}}(?!{_A}|[:-])",
                not_after=None,
            ),
            _pattern_finder(rf"[0-9A-Fa-f]{{4}}\.[0-9A-Fa-f]{{4}}\.[0-9A-Fa-f]{{4}}(?!{_A}|\.{_A})", not_after="."),
        ),
        "ip": _any_finder(
            _pattern_finder(rf"{_OCTET}(?:\.{_OCTET}){{3}}(?!{_A}|\.[0-9])", not_after="."),
            _pattern_finder(
                rf"[0-9A-Fa-f]{{0,4}}(?::[0-9A-Fa-f]{{0,4}}){{2,7}}(?:(?:\.[0-9]{{1,3}}){{3}})?(?!{_A})",
                _ipv6_length,
                not_after=":.",
            ),
        ),
        "iban": _pattern_finder(rf"[A-Za-z]{{2}}[0-9]{{2}}(?:[ -]?[A-Za-z0-9]){{11,42}}(?!{_A})", _iban_length),
        "card": _overlapping_finder(rf"[1-9][0-9]{{3}}(?:[ -]?[0-9]){{9,15}}{_NO_MORE}", _card_length, not_after=".+-"),
        "imei": _any_finder(
            _pattern_finder(rf"(?=(?:01|35|49|86))[0-9]{{15}}{_NO_MORE}", _imei_length, not_after=".+-"),
            _pattern_finder(rf"[0-9]{{2}}([ -])[0-9]{{6}}\1[0-9]{{6}}\1[0-9]{_NO_MORE}", _imei_length, not_after=".+-"),
            _pattern_finder(rf"{_HANDSET_CONTEXT}(?P<v>{_IMEI_DIGITS}){_NO_MORE}", _imei_length),
        ),
        "ssn": _pattern_finder(
            rf"(?!000|666|9)[0-9]{{3}}-(?!00)[0-9]{{2}}-(?!0000)[0-9]{{4}}{_NO_MORE}", not_after=".+-"
        ),
        "phone": _any_finder(
            _pattern_finder(
                rf"(?:\+|00)(?=[ .\-/(]?[1-9])(?:[ .\-/]?(?:\([0-9]{{1,5}}\)|[0-9])){{4,15}}(?!{_A})",
                _international_length,
                not_after="+.",
            ),
            _pattern_finder(
                rf"\([0-9]{{2,5}}\) ?[0-9]{{3,4}}{_GAP}[0-9]{{3,5}}(?!{_A})", _phone_length, not_after="+."
            ),
            _pattern_finder(rf"[2-9][0-9]{{2}}([-. ])[0-9]{{3}}\1[0-9]{{4}}{_NO_MORE}", _phone_length, not_after=".+-"),
            _pattern_finder(
                rf"0[1-9][0-9]{{0,3}}(?:{_GAP}[0-9]{{2,4}}){{2,4}}{_NO_MORE}", _national_length, not_after=".+-"
            ),
        ),
        "path": _any_finder(
            _pattern_finder(
                rf"[A-Za-z]:[\\/](?:{_SEGMENT}{{1,255}}[\\/])*[^\s\\/:*?\"<>|]*", _length_without_punctuation
            ),
            _pattern_finder(
                rf"\\\\[\w.$-]+\\(?:{_SEGMENT}{{1,255}}\\)*[^\s\\/:*?\"<>|]*",
                _length_without_punctuation,
                not_after=r"\\",
            ),
            _pattern_finder(rf"(?<!{_W})(?:~[\w.-]*|\.{{1,2}})?(?:/{_PART}+){{2,}}/?", not_after="/.:@~-"),
            _pattern_finder(rf"(?<!{_W})~[\w.-]*(?:/{_PART}+)+/?", not_after="/.:@~-"),
        ),
    }
)
"""In the order of precedence: if two patterns match, the first one here wins."""


def find_pattern(text: str, name: PatternName) -> list[TextSpan]:
    """The hits of a pattern from left to right, without overlaps. Of hits with the same start the longest is returned.

    Spans refer to the original text. A hit includes all combining marks of its characters.

    >>> find_pattern("an jose\u0301@example.com", "email")
    [(3, 20)]
    """
    normalized, places = _normalized(text)
    spans: list[TextSpan] = []
    for start, end in sorted(PATTERNS[name](normalized), key=lambda span: (span[0], -span[1])):
        if not spans or start >= spans[-1][1]:
            spans.append((start, end))
    return spans if places is None else [(places[start], places[end]) for start, end in spans]


def _normalized(text: str) -> tuple[str, list[int] | None]:
    """The normalized text: one character for each character with its marks; and the start of each in the original text.

    Marks and invisible characters belong to the character before them. None if nothing changes.
    """
    if text.isascii() or _PLAIN.fullmatch(text):
        return text, None
    places = [place for place, char in enumerate(text) if place == 0 or not _is_mark(char)]
    ends = [*places[1:], len(text)]
    chars = [_normalized_character(text[start:end]) for start, end in zip(places, ends, strict=True)]
    return _FULL_STOP.sub(".", "".join(chars)), [*places, len(text)]


def _normalized_character(cluster: str) -> str:
    """One character in place of a character with its marks."""
    char = normal_form("NFC", cluster)[0]
    if "\uff01" <= char <= "\uff5e":
        return chr(ord(char) - 0xFEE0)
    kind = unicodedata.category(char)
    if kind == "Nd":
        return str(unicodedata.decimal(char))
    return " " if kind == "Zs" else _LIKE_ASCII.get(char, char)


def _is_mark(char: str) -> bool:
    return char >= "\xad" and (unicodedata.category(char) in _MARKS or char in _JAMO)


_PLAIN: Final = re.compile(r"[\x00-\x9f\xa1-\xac\xae-\u02ff]*")
_MARKS: Final = frozenset({"Mn", "Mc", "Me", "Cf"})
_LIKE_ASCII: Final = MappingProxyType(
    {**dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63", "-"), "\ufe6b": "@"}
)
"""Hyphens, dashes and the minus sign, which typesetting programs write in place of the plain hyphen; and the small `@`."""
_FULL_STOP: Final = re.compile("(?<=[A-Za-z0-9])[\u3002\uff61](?=[A-Za-z])")
"""An ideographic full stop between Latin letters: domain names may be written with it (RFC 3490, section 3.1)."""
_JAMO: Final = frozenset(map(chr, range(0x1161, 0x1200)))
"""Vowels and final consonants of decomposed Korean."""
