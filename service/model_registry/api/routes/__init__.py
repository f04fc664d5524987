"""HTTP routes. The first line of each file names its paths.

A route is declared in full where it stands, in FastAPI's own form: declarations look alike, and share no code.
"""
