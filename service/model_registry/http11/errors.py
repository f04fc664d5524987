"""What goes wrong between us and another server.

    NotConnected         nothing was sent: another server may be asked, whatever the request does
    ConnectionBroken     the connection ended before the response did: the request may have been executed
      BadResponse        what came is not an HTTP/1.1 response, or exceeds a limit
    InvalidRequest       the caller's mistake: a head that would say something else, a body of another length

None is a RegistryError: who sends the request knows what its failure means.
"""

from __future__ import annotations


class NotConnected(Exception):
    """There is no connection, for the reason given. Nothing was sent."""


class ConnectionBroken(Exception):
    """The connection ended before the response did."""

    def __init__(self, reason: str, *, began: bool) -> None:
        super().__init__(reason)
        self.began = began
        """Whether any byte of the response had come."""


class BadResponse(ConnectionBroken):
    """The server does not speak HTTP/1.1, or says more in a head than anybody should."""


class InvalidRequest(ValueError):
    """The request cannot be sent as it is. Of a body that is too long or too short, some may have been sent."""
