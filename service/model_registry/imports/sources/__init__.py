"""Sources of model facts: each file converts one source into offers, or the catalogue into its format. Pure.

Fetching is `fetch.py`; `imports/offers.py` plans the import of the offers.
"""
