"""One file per path family: the URL names the file."""
