"""Validates what the registry renders for a TensorZero gateway: by the rules, and by the gateway where there is one."""

from __future__ import annotations

import asyncio

from model_registry.file_paths import CONFIG_FILE
from model_registry.gateways.kind import Files
from model_registry.gateways.tensorzero.validation.validate import ValidationResult, check_project
from model_registry.gateways.tensorzero.validation.validator_process import ValidatorProcess, gateway_version

_QUICK_BYTES = 100_000
"""The rules go through so much in 40 ms, which a thread may take; more is for another process."""


class TensorZeroChecker:
    """One validator process, kept warm."""

    def __init__(self, ask_gateway: bool = True, process: ValidatorProcess | None = None) -> None:  # noqa: FBT001, FBT002 (of the protocol)
        """`ask_gateway`: whether the gateway is asked besides the rules, where it is installed."""
        version = gateway_version() if ask_gateway else None
        self._loader = f"gateway {version}" if version else None
        self._process = process or ValidatorProcess()

    @property
    def loader(self) -> str | None:
        """The gateway with its version."""
        return self._loader

    async def check(self, files: Files, *, loader: bool) -> ValidationResult:
        """Validate these files. Never on the event loop."""
        if not any(line and not line.startswith(b"#") for line in files[CONFIG_FILE].splitlines()):
            return ValidationResult(unasked="nothing is configured")
        if not loader and sum(map(len, files.values())) < _QUICK_BYTES:
            return await asyncio.to_thread(check_project, files, None, configuration=(CONFIG_FILE,))
        return await asyncio.to_thread(
            self._process.check, files, gateway=loader, configuration=(CONFIG_FILE,), ours=True
        )

    def close(self) -> None:
        """End the check that is going on, and the process."""
        self._process.close()
