"""`top`: the most frequent values by subjects; the rest is `other`."""
