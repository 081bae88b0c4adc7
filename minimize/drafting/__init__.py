"""A first policy from data that was found: every field dropped, and beside each what could be proposed for it, and why.

`look` sees values and gives counts and kinds, `propose` turns those into words, `first` writes, `accept` takes proposals on.
No value goes further than `look`.
"""
