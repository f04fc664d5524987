"""Routes are worked out once for each state of the registry."""

from __future__ import annotations

import pytest

from model_registry.entities.api_key import ApiKey
from model_registry.entities.openai_paths import OPENAI_PATHS
from model_registry.errors import ModelNotFound
from model_registry.services.dispatch.language_models import TABLES, LanguageModels
from model_registry.services.dispatch.provider_keys import ProviderKeys
from model_registry.snapshot.table_specs import SPECS
from support.catalogues import Catalogue

CHAT = OPENAI_PATHS["/v1/chat/completions"]


def test_a_route_is_kept_until_a_row_that_it_depends_on_changes() -> None:
    catalogue = Catalogue()
    m = catalogue.model(catalogue.provider(), "m")
    snapshot = catalogue.snapshot()
    models = LanguageModels(ProviderKeys({}))
    first = models.route(snapshot, "m", CHAT)

    key = ApiKey(id="k", name="k", key_hash="x", scopes=["read"])
    elsewhere = snapshot.with_rows({"api_keys": [("k", key)]})
    assert models.route(elsewhere, "m", CHAT) is first

    row = elsewhere.models[m].model_copy(update={"model_id": "renamed"})
    renamed = elsewhere.with_rows({"models": [(m, row)]})
    assert [target.model for target in models.route(renamed, "m", CHAT).targets] == ["renamed"]


def test_a_deployment_that_was_held_comes_back_without_a_change() -> None:
    catalogue = Catalogue()
    provider = catalogue.provider("p", "ollama", api_base="http://own.example:11434", route_by="deployments")
    left = {"left_at": "1970-01-01T00:16:35+00:00", "left_before_at": "1970-01-01T00:16:30+00:00"}
    catalogue.deployment(catalogue.model(provider), **left)
    now = [1000.0]
    models = LanguageModels(ProviderKeys({}), hold_seconds=10.0, clock=lambda: now[0])
    snapshot = catalogue.snapshot()

    assert models.route(snapshot, "m", CHAT).targets[0].key == "provider:p/m-id"
    now[0] = 1005.0
    assert models.route(snapshot, "m", CHAT).targets[0].key == "deployment:n/ollama/m-id"


def test_what_is_unknown_is_looked_for_again() -> None:
    models = LanguageModels(ProviderKeys({}))
    catalogue = Catalogue()
    provider = catalogue.provider()
    with pytest.raises(ModelNotFound):
        models.route(catalogue.snapshot(), "m", CHAT)
    catalogue.model(provider, "m")

    assert models.route(catalogue.snapshot(), "m", CHAT).targets


def test_a_name_is_available_while_one_of_its_targets_works() -> None:
    catalogue = Catalogue()
    for name in ("p", "q"):
        catalogue.model(catalogue.provider(name, api_base=f"http://{name}.example/v1"), "m")
    snapshot = catalogue.snapshot()
    models = LanguageModels(ProviderKeys({}))

    assert models.is_available(snapshot, "m", lambda key: key.startswith("provider:q/"))
    assert not models.is_available(snapshot, "m", lambda _key: False)
    assert not models.is_available(snapshot, "nobody", lambda _key: True)


def test_the_tables_are_those_of_the_registry() -> None:
    assert set(TABLES) <= SPECS.keys()
