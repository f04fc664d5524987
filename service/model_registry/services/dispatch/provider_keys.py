"""The keys of providers: read from the environment variables that providers' rows name, and from no others.

A row decides where a key is sent, so the registry's own secrets are refused by name: anyone who may write rows could
else have them sent to an address of their own. Messages name variables, never their values.
"""

from __future__ import annotations

from collections.abc import Mapping

from model_registry.entities.own_variables import is_own

_LONGEST = 16 * 2**10
"""Characters. Upstreams refuse longer headers."""


class ProviderKeys:
    """The environment, as far as providers may name it. It does not change while the service runs."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def fault(self, variable: str) -> str | None:
        """Return why this variable gives no key, or None when it does."""
        if is_own(variable):
            return f"{variable} is a variable of the registry's own, which is sent to nobody"
        value = self._environment.get(variable, "").strip()
        if not value:
            return f"{variable} is not set where the registry runs"
        if len(value) > _LONGEST:
            return f"{variable} holds more than {_LONGEST:,} characters, which is no key"
        if not (value.isascii() and value.isprintable() and " " not in value):
            return f"{variable} holds spaces, line breaks or other characters that no header may have"
        return None

    def value(self, variable: str) -> str | None:
        """Return the key in a variable; None when it gives none."""
        return None if self.fault(variable) else self._environment[variable].strip()
