"""HTTP routes. The first line of each file names its paths."""
