"""Data access service: callers without keys read datasets as far as roles and grants allow.

server.py, client.py      the Arrow Flight server and its client (`connect`)
service.py                the service behind both, and `open_dataset`, which uses it in this process
request.py                requests, parsed strictly; errors and codes for a client
authorizer.py             the decision on a request, repeated during a read; its audit events
snapshot.py               the files in force of an output, kept open during a read
view.py                   filters, and batches in the form that the caller may see
stream.py                 one read from start to end; tokens of a `tokenize`d column reversed, under a grant
api_tokens.py             bearer tokens
"""

from __future__ import annotations

from minimize.server.client import connect
from minimize.server.service import open_dataset

__all__ = ["connect", "open_dataset"]
