"""Collection settings over time: who may be collected when. One backend a file."""
