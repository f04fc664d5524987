"""Which questions in PostgREST's language are answered off the event loop: by all rows that they look at."""

from __future__ import annotations

from model_registry.api.routes.rest_v1 import looks
from model_registry.entities.deployment import Deployment
from model_registry.snapshot.snapshot import Snapshot


def test_rows_of_every_table_count_and_so_does_each_term_of_the_query() -> None:
    row = {"node_id": "n", "provider_type": "ollama", "status": "loaded"}
    deployments = [Deployment.model_validate(row | {"id": f"{n}", "announced_model": f"{n}"}) for n in range(70)]
    snapshot = Snapshot.empty().with_rows({"model_deployments": [(each.id, each) for each in deployments]})
    assert looks(snapshot, []) == 70
    assert looks(snapshot, [("status", "eq.loaded"), ("order", "status,node_id.desc")]) == 4 * 70
