"""The door: data is read through it by those who hold no key, as far as roles and grants let them.

asking, where, names   what somebody asks for, as JSON that is read strictly; filters without a language
codes, refusing        what the door says where it does not give
tokens                 bearer tokens: made, checked, revoked
datasets, facts        outputs by name; what one holds at a moment, its files held open
deciding               the decision of `governance.access`, with the file and the grants of this moment
shaping, pruning       a batch in the form in which somebody sees it; row groups that need not be decoded
flow                   one read: begun in the ledger, decided again on the way, ended in the audit log
reversing              tokens of a `tokenize`d column turned back, under a grant
door                   all of it for one process that holds the keys
serving, tls           the same over Arrow Flight; connecting is its client, opening a client without a server
"""

from __future__ import annotations

from minimize.door.connecting import connect
from minimize.door.opening import open

__all__ = ["connect", "open"]
