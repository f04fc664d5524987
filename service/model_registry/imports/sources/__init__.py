"""Knowledge from elsewhere: each file turns what one source says into offers, or the catalogue into its format. Pure.

Fetching is `fetch.py`; `imports/offers.py` plans the import of the offers.
"""
