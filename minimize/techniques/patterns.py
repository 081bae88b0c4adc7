"""What personal data looks like inside a text: e-mail addresses, phone numbers, IP and MAC addresses, and more, by name.

Each pattern is exact where the thing has a check (Luhn for cards and IMEIs, mod 97 for IBANs, parsing for IP addresses) and
leaves version numbers, dates and error codes alone.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, Literal

Name = Literal["email", "phone", "ip", "mac", "imei", "uuid", "url", "path", "card", "iban"]
Span = tuple[int, int]
Finder = Callable[[str], Iterator[Span]]


def _anywhere(pattern: str, accept: Callable[[str], int] = len) -> Finder:
    """Finds hits of a pattern; `accept` says how many of a hit's characters belong to it (0: it is none)."""
    compiled = re.compile(pattern)

    def find(text: str) -> Iterator[Span]:
        for hit in compiled.finditer(text):
            length = accept(hit.group())
            if length:
                yield hit.start(), hit.start() + length

    return find


def _from_anywhere(pattern: str, accept: Callable[[str], int]) -> Finder:
    """The same, where what begins within a hit that is none may be one."""
    compiled = re.compile(f"(?=({pattern}))")

    def find(text: str) -> Iterator[Span]:
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


def _imei(hit: str) -> int:
    return len(hit) if is_luhn(_digits(hit)) else 0


def _card(hit: str) -> int:
    """The longest that is one of what ends with a group of digits: other numbers may follow."""
    ends = [group.end() for group in re.finditer("[0-9]+", hit)]
    return next((end for end in reversed(ends) if _is_card(_digits(hit[:end]))), 0)


def _is_card(digits: str) -> bool:
    """13 to 19 digits with a check digit; of 15 digits only those that an issuer gives out, the others are IMEIs."""
    issued = len(digits) != 15 or digits.startswith(("34", "37", "1800", "2131"))
    return 13 <= len(digits) <= 19 and issued and is_luhn(digits)


def _iban(hit: str) -> int:
    """As long as its country's are, grouped or not; else the whole of it where it stands in one piece."""
    whole = re.match("[A-Za-z0-9]+", hit)
    ends = (_end(hit, _IBAN_LENGTHS.get(hit[:2].upper(), 0)), whole.end() if whole else 0)
    return next((end for end in ends if _is_grouped_iban(hit[:end])), 0)


def _end(hit: str, length: int) -> int:
    """Where the first `length` letters and digits end, if a group ends there, too; else 0."""
    places = [place for place, char in enumerate(hit, 1) if char.isalnum()]
    end = places[length - 1] if 0 < length <= len(places) else 0
    return end if end == len(hit) or hit[end] in " -" else 0


def _is_grouped_iban(text: str) -> bool:
    compact = re.sub("[ -]", "", text).upper()
    return 15 <= len(compact) <= 34 and is_iban(compact)


def _ipv6(hit: str) -> int:
    text = hit.rstrip(".:") if not hit.endswith("::") else hit
    if not any(char in "0123456789abcdefABCDEF" for char in text):
        return 0
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return 0
    return len(text)


def _phone(hit: str) -> int:
    return len(hit) if 7 <= len(_digits(hit)) <= 15 else 0


def _national(hit: str) -> int:
    """A trunk zero and 8 to 10 digits after it, not all in one group of eight (a date)."""
    return len(hit) if 9 <= len(_digits(hit)) <= 11 else 0


def _unpunctuated(hit: str) -> int:
    """Without the punctuation of the sentence that it stands in."""
    return len(hit.rstrip(".,;:!?)]}'\""))


def _either(*finders: Finder) -> Finder:
    def find(text: str) -> Iterator[Span]:
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
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_LOCAL = r"[\w.!#$%&'*+/=?^`{|}~-]"
_GAP = r"[ .\-/]?"
_SEGMENT = r'[^\\/:*?"<>|\r\n]'
_PART = r"[^\s/\\:*?\"'<>|,;()\[\]{}]"

PATTERNS: Final[Mapping[Name, Finder]] = MappingProxyType(
    {
        "url": _anywhere(r"(?<![\w+.-])(?:[A-Za-z][A-Za-z0-9+.-]{1,30}://|www\.)[^\s<>\"']+", _unpunctuated),
        "email": _anywhere(rf"(?<!{_LOCAL[:-1]}])(?:{_LOCAL})++@(?:[\w-]+\.)+[^\W\d_](?:[\w-]*\w)"),
        "uuid": _anywhere(r"(?<![\w-])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![\w-])"),
        "mac": _either(
            _anywhere(r"(?<![\w:-])[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![\w:-])"),
            _anywhere(r"(?<![\w.])[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}(?!\w|\.\w)"),
        ),
        "ip": _either(
            _anywhere(rf"(?<![\w.]){_OCTET}(?:\.{_OCTET}){{3}}(?!\w|\.\d)"),
            _anywhere(r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:(?:\.[0-9]{1,3}){3})?(?!\w)", _ipv6),
        ),
        "iban": _anywhere(r"(?<!\w)[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,42}(?!\w)", _iban),
        "card": _from_anywhere(r"(?<![\w.+-])[1-6][0-9]{3}(?:[ -]?[0-9]){9,15}(?![\w-]|\.[0-9])", _card),
        "imei": _anywhere(r"(?<![\w.+-])[0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{6}[ -]?[0-9](?![\w-]|\.[0-9])", _imei),
        "phone": _either(
            _anywhere(r"(?<![\w+.])(?:\+|00)(?:[ .\-/]?(?:\([0-9]{1,5}\)|[0-9])){4,15}(?!\w)", _phone),
            _anywhere(rf"(?<![\w+.])\([0-9]{{2,5}}\) ?[0-9]{{3,4}}{_GAP}[0-9]{{3,5}}(?!\w)", _phone),
            _anywhere(r"(?<![\w+.-])[2-9][0-9]{2}([-. ])[0-9]{3}\1[0-9]{4}(?![\w-]|\.[0-9])", _phone),
            _anywhere(rf"(?<![\w+.-])0[1-9][0-9]{{0,3}}(?:{_GAP}[0-9]{{2,4}}){{2,4}}(?![\w-]|\.[0-9])", _national),
        ),
        "path": _either(
            _anywhere(rf"(?<![A-Za-z0-9])[A-Za-z]:[\\/](?:{_SEGMENT}{{1,255}}[\\/])*[^\s\\/:*?\"<>|]*", _unpunctuated),
            _anywhere(rf"(?<![\\\w])\\\\[\w.$-]+\\(?:{_SEGMENT}{{1,255}}\\)*[^\s\\/:*?\"<>|]*", _unpunctuated),
            _anywhere(rf"(?<![\w/.:@~-])(?:~[\w.-]*|\.{{1,2}})?(?:/{_PART}+){{2,}}/?"),
            _anywhere(rf"(?<![\w/.:@~-])~[\w.-]*(?:/{_PART}+)+/?"),
        ),
    }
)
"""In the order of precedence: what could be read as two things is what comes first here."""


def find(text: str, name: Name) -> list[Span]:
    """Where a pattern hits, from left to right, the longest of those that begin together, without overlaps."""
    spans: list[Span] = []
    for start, end in sorted(PATTERNS[name](text), key=lambda span: (span[0], -span[1])):
        if not spans or start >= spans[-1][1]:
            spans.append((start, end))
    return spans
