"""Parts of a TensorZero configuration, with the databases without any of which it does not start."""

from __future__ import annotations

RULES = (
    "[[rate_limiting.rules]]\nalways = true\nmodel_inferences_per_second = 1\n"
    'scope = [{tag_key = "a", tag_value = "b"}]\n'
)
ADAPTIVE = '{type = "adaptive", algorithm = "track_and_stop", candidate_variants = ["v"], metric = "ok"}'

ONLY_THE_PROGRAM = '[gateway.observability]\nbackend = "postgres"\n'
"""What an embedded gateway loads without a database, and the gateway's program does not."""

SECTIONS: dict[str, tuple[str, ...]] = {
    "[gateway.auth]\nenabled = true\n": ("postgres",),
    "[gateway.auth]\nenabled = false\n": (),
    "[postgres]\nenabled = true\n": ("postgres",),
    '[gateway.cache]\nbackend = "valkey"\n': ("valkey",),
    '[gateway.cache]\nbackend = "clickhouse"\nenabled = true\n': ("clickhouse",),
    '[gateway.cache]\nbackend = "valkey"\nenabled = false\n': (),
    "[gateway.cache]\nenabled = true\n": ("valkey", "clickhouse"),
    "[gateway.observability]\nenabled = true\n": ("clickhouse", "postgres"),
    '[gateway.observability]\nenabled = true\nbackend = "clickhouse"\n': ("clickhouse",),
    '[gateway.observability]\nbackend = "clickhouse"\n': (),
    ONLY_THE_PROGRAM: ("postgres",),
    '[gateway.observability]\nbackend = "postgres"\nenabled = false\n': (),
    RULES: ("valkey", "postgres"),
    f'[rate_limiting]\nbackend = "postgres"\n{RULES}': ("postgres",),
    '[rate_limiting]\nenabled = false\nbackend = "valkey"\n': ("valkey",),
    f"[rate_limiting]\nenabled = false\n{RULES}": (),
    "[rate_limiting]\nenabled = true\n": (),
}
"""TOML of one section -> the databases."""

FUNCTIONS: dict[str, tuple[str, ...]] = {
    ADAPTIVE: ("postgres",),
    '{type = "static", candidate_variants = ["v"]}': (),
    f'{{type = "static", candidate_variants = ["v"], namespaces = {{n = {ADAPTIVE}}}}}': ("postgres",),
}
"""TOML of a function's experimentation -> the databases."""

FUNCTION = """
[metrics.ok]
type = "boolean"
optimize = "max"
level = "inference"
[models.m]
routing = ["p"]
[models.m.providers.p]
type = "vllm"
api_base = "http://127.0.0.1:9/v1"
api_key_location = "none"
model_name = "x"
[functions.f]
type = "chat"
experimentation = EXPERIMENTATION
[functions.f.variants.v]
type = "chat_completion"
model = "m"
"""
"""A configuration with a function, whose EXPERIMENTATION is to be replaced."""
