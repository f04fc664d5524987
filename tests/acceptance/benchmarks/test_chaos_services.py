"""No request is lost or carried out twice while model services fail: `make chaos ARGS=--services` in short."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import chaos_services
from service_promises import table

SHORT = (
    "--services --seconds 5 --fault-seconds 2 --quiet-seconds 3 --timeout 1 --health-interval 0.5 --training 4"
    " --leaving 100"
)


def test_what_is_promised_holds_while_services_and_the_stack_fail(
    stack: Any, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert database_url == stack.environment()["DATABASE_URL"]

    rows = chaos_services.kept_in_chaos(chaos_services.options_from(SHORT.split()), stack, tmp_path)

    broken = [row for row in rows if not row.kept and not row.timed]
    assert broken == [], table(rows) + capsys.readouterr().out
    assert len(rows) == 9
