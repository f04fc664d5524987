"""Finding and choosing models: index, filters, costs, constraints, scoring, comparison. Pure."""
