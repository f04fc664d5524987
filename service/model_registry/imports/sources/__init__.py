"""Sources of model facts: each file converts one source into offers, or the catalogue into its format. Pure.

Fetching is in `fetch.py`; importing offers, in `imports/plan.py`.
"""
