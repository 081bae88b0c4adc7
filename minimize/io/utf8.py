"""Bytes on their way to a parser that takes nothing but UTF-8, and their quotes counted.

Arrow shows a CSV record of another width as text, and stops where that is not UTF-8. So each byte that is not becomes a NUL,
by which its record is known again: text that holds one is not taken.
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder

from minimize.io.lines import Stream

BROKEN = "\0"
"""What stands in place of a byte that is not UTF-8."""
_ESCAPED = re.compile("[\udc80-\udcff]")


class Utf8:
    """A stream whose bytes are UTF-8 whatever those of the stream behind it are; as long as that one."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._decoder = getincrementaldecoder("utf-8")("surrogateescape")
        self._held = b""
        self.quotes = 0
        self.closed = False

    def read(self, size: int = 1 << 20) -> bytes:
        """At most so many bytes; none at the end."""
        ended = False
        while not self._held and not ended:
            data = self._stream.read(size)
            ended = not data
            self.quotes += data.count(b'"')
            self._held = _ESCAPED.sub(BROKEN, self._decoder.decode(data, final=ended)).encode()
        given, self._held = self._held[:size], self._held[size:]
        return given

    def readable(self) -> bool:
        """It is."""
        return True

    def writable(self) -> bool:
        """It is not."""
        return False

    def seekable(self) -> bool:
        """It is not."""
        return False

    def close(self) -> None:
        """Leaves the stream behind it open."""
        self.closed = True
