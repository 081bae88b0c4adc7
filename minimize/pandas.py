"""The data frame accessor: `import minimize.pandas`, then `frame.minimize(policy, …)`."""

from __future__ import annotations

from typing import Any

import pandas as pd

from minimize.runs.minimizer import apply


@pd.api.extensions.register_dataframe_accessor("minimize")
class DataFrameAccessor:
    """Minimizes the data frame that it stands on.

    >>> frame = pd.DataFrame({"version": ["10.0.19045", None]})
    >>> from minimize.policy.load import policy_from_mapping
    >>> field = {"type": "string", "do": {"truncate_version": {"parts": 2}}}
    >>> policy = {"policy": "p", "version": 1, "purposes": ["operations"], "fields": {"version": field}}
    >>> frame.minimize(policy_from_mapping(policy))
      version
    0    10.0
    1     NaN
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    def __call__(self, policy: Any, **options: Any) -> pd.DataFrame:
        """A new data frame as the policy lets it leave. Takes the options of `minimize.apply`, raises what it raises.

        The policy may be a mapping with the keys of a file. The index is not released; with `counts=True`, the counts
        have the positions of the returned rows.
        """
        released: pd.DataFrame = apply(policy, self._frame, **options)
        return released
