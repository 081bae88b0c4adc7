"""Disclosure risk: how unique data subjects are by their quasi-identifiers, and what can be inferred about them.

Numeric code over Arrow and NumPy that knows no policy and no file. Combinations: combinations, lookup. Measures: measures.
Bounds: requirement. Levels that meet them: hierarchy, full_domain, local_recoding. Figures of a whole table: risk, from uniques,
reidentification and population. Attacks: attacks.
"""
