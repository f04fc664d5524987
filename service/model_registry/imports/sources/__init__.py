"""Knowledge from elsewhere: each file turns what one source says into offers, or the catalogue into its format. Pure.

Fetching is `fetch.py`; what becomes of offers is `imports/plan.py`.
"""
