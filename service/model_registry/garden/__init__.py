"""Model Garden: its document format, in and out, and its view of the catalogue. Pure."""
