"""Write seeds/015_prices.sql: what the hosted models of the starter catalogue cost, from the installed LiteLLM's map.

python scripts/write_seed_prices.py        after another version of litellm is locked
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from model_registry.entities.model_card import ModelCard, known
from model_registry.imports.sources.fetch import price_map_of_wheel, read_json
from model_registry.imports.sources.litellm_prices import SOURCE, read_prices

SEEDS = Path(__file__).resolve().parent.parent / "seeds"
PRICES = ("cost_per_1m_input_tokens", "cost_per_1m_output_tokens", "cost_per_1m_cached_input_tokens")
FIELDS = (*PRICES, "further_prices", "price_factors", "max_output_tokens")
HEADER = """-- Written by scripts/write_seed_prices.py: what hosted models cost, and how much they answer, from the
-- map of LiteLLM {version} (https://github.com/BerriAI/litellm). The source is `litellm`, so that an import of the map
-- keeps these prices current. Facts go into a table of their own, which `020_models.sql` reads.

create temporary table model_facts (name text, provider text, source text, card jsonb) on commit drop;

insert into pg_temp.model_facts (name, provider, source, card)
values
"""


def main() -> None:
    """Write the file."""
    path = price_map_of_wheel()
    if path is None:
        raise SystemExit("litellm is not installed")
    offers = read_prices(read_json(path), datetime.now(UTC).date()).offers
    by_model = {(offer.provider, offer.model_id.lower()): offer.fields for offer in offers}
    seeds = re.findall(
        r"^        \('([^']+)', '([^']+)', '([^']+)'", (SEEDS / "020_models.sql").read_text(), re.MULTILINE
    )
    lines = []
    for name, provider, model_id in seeds:
        fields = by_model.get((provider, model_id.lower()), {})
        card = known(ModelCard.model_validate({field: fields[field] for field in FIELDS if field in fields}))
        if card:
            text = json.dumps(card).replace("'", "''")
            lines.append(f"    ('{name}', '{provider}', '{SOURCE}', '{text}')")
    text = HEADER.format(version=version("litellm")) + ",\n".join(lines) + ";\n"
    (SEEDS / "015_prices.sql").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
