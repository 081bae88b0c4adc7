"""`python -m minimize`."""

from __future__ import annotations

from minimize.cli import main

if __name__ == "__main__":
    main()
