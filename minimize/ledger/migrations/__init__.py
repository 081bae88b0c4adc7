"""How a ledger becomes as new as the code: one file a step, `versions/vNNNN_….py`, in one line."""
