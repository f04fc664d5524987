"""Requests about one gateway: which one a path names, and how its revision is moved."""
