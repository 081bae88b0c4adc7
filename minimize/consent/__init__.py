"""What tenants agreed to, over time: the terms, and who agreed to them, answered for whole columns of tenants.

terms.py     what a consent is to
history.py   the acts about one function as columns, and which of them decides at a time
deciding.py  whether a consent holds, for a recipient's function as its file is now; answer.py the answer for each row
periods.py   the same for a run, row by row: the periods in which each tenant's consent covers a function
states.py    the states of a consent, and why there may be none
"""

from __future__ import annotations

from minimize.consent.answer import Answer
from minimize.consent.deciding import Consents, Seen, load_consents
from minimize.consent.periods import ConsentPeriods
from minimize.consent.terms import Terms, terms_of

__all__ = ["Answer", "ConsentPeriods", "Consents", "Seen", "Terms", "load_consents", "terms_of"]
