"""What runs beside others' programs and talks to a registry over HTTP. Works with the base install; knows no server."""
