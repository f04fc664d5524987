"""What a training service serves: models of its framework, the last good list, and a reason for what is left out."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from model_registry.errors import RegistryError, SourceUnreadable
from model_registry.training_service.models import Documents, ServedModels, of_files
from support.training_entries import DIRECTORY, DOCUMENTS, ENTRIES


def served(documents: Documents, framework: str | None = None) -> ServedModels:
    models = ServedModels(lambda: documents, framework)
    models.refresh()
    return models


def test_a_directory_has_the_models_of_all_its_files() -> None:
    models = ServedModels(lambda: of_files(DIRECTORY), None)
    models.refresh()

    assert [*models.entries] == [*ENTRIES.values()]
    assert models.name == "all"


def test_a_service_of_one_framework_has_the_models_of_it() -> None:
    assert [*served(DOCUMENTS, "timm").entries] == DOCUMENTS["timm"]["models"]


def test_a_framework_that_nobody_knows_gets_all_models_and_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        models = served(DOCUMENTS, "unknown")

    assert (models.name, len(models.entries)) == ("unknown", 10)
    assert "no model is of the framework unknown" in caplog.text


def test_names_are_found_with_and_without_their_framework() -> None:
    models = served(DOCUMENTS)
    for (framework, name), entry in ENTRIES.items():
        assert models.find(name) == models.find(f"{framework}/{name}") == entry
    assert models.find("no") is None


def test_the_last_good_list_stays_and_the_failure_is_known(caplog: pytest.LogCaptureFixture) -> None:
    answers: list[Documents | RegistryError] = [SourceUnreadable("away"), DOCUMENTS, SourceUnreadable("gone")]

    def read() -> Documents:
        answer = answers.pop(0)
        if isinstance(answer, RegistryError):
            raise answer
        return answer

    models = ServedModels(read, None)
    models.refresh()
    assert (models.is_loaded, models.error) == (False, "away")
    models.refresh()
    assert (models.is_loaded, models.error) == (True, None)
    models.refresh()
    assert (models.is_loaded, models.error, len(models.entries)) == (True, "gone", 10)
    assert "the models cannot be read, the last list stays: gone" in caplog.text


def test_rows_that_are_left_out_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    models = ServedModels(lambda: {"a": ["odd", {"model_name": "m"}], "b": {"f": {"m": {}}}}, "f")
    models.refresh()
    models.refresh()

    assert len(models.entries) == 1
    assert caplog.text.count("left out: row 1: must be an object") == 1
    assert caplog.text.count("left out: f/m: stands in several lists; the first counts") == 1


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match=r"no \.json file"):
        of_files(tmp_path)
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(SourceUnreadable, match=r"a\.json cannot be read"):
        of_files(tmp_path)


def test_a_file_may_define_the_options_of_a_task(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"models": [], "config_schemas": {"t": {"fields": []}}}))

    assert served(of_files(tmp_path)).schemas == {"t": {"fields": []}}
