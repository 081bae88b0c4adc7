"""The ledger's tables, one file a concern, each imported by what works on it; `whole.py` names them all."""
