"""An object on its way into a bucket, whose errors are ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minimize.stores.address import Bucket


@dataclass(frozen=True, slots=True)
class Upload:
    """Takes bytes; what was taken is an object once it is closed, and nothing before."""

    bucket: Bucket
    file: Any

    def write(self, data: Any) -> int:
        """Takes bytes in, all of them."""
        self.bucket.done(lambda _: self.file.write(data), again=False)
        return len(data)

    def close(self) -> None:
        """Makes it an object."""
        self.bucket.done(lambda _: self.file.close(), again=False)
