"""HTTP/1.1 to other servers: pooled connections of our own, streaming both ways. Knows nothing of the registry.

`addresses.py` says which server is meant and which addresses are never connected to; `request_head.py` and
`response_parser.py` are the protocol without I/O; `connection.py` is one socket, `dialling.py` opens it,
`exchange.py` is one request and its response, `connections.py` keeps what is idle. Proxies, redirects, cookies and
compression are the caller's: what a server sends arrives as it was sent.
"""
