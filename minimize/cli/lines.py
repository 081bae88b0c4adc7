"""What somebody else wrote, in a line of ours."""

from __future__ import annotations


def on_one_line(text: str) -> str:
    r"""The text without what would end the line, or move the cursor of a terminal: such characters are spelled out.

    >>> on_one_line("contoso\n1  forged"), on_one_line("Zürich 株")
    ('contoso\\n1  forged', 'Zürich 株')
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )
