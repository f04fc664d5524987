"""Whole projects with one mistake each: what the gateway refuses, silently ignores, or accepts and cannot use.

Every row of the tables of rules and names, which were measured with the gateway, has its projects here.
"""

from __future__ import annotations

from dataclasses import dataclass

PROVIDER = '[models.m.providers.p]\ntype = "openai"\nmodel_name = "x"\napi_base = "http://h:1/v1"\n'
MODEL = f'[models.m]\nrouting = ["p"]\n{PROVIDER}'
VARIANT = '[functions.f.variants.v]\ntype = "chat_completion"\nmodel = "m"\n'
FUNCTION = f'[functions.f]\ntype = "chat"\n{VARIANT}'
GOOD = MODEL + FUNCTION
EMBEDDING = (
    '[embedding_models.e]\nrouting = ["p"]\n[embedding_models.e.providers.p]\ntype = "openai"\nmodel_name = "x"\n'
)
JUDGE = '[functions.f.variants.b]\ntype = "experimental_best_of_n_sampling"\ncandidates = ["v"]\nevaluator = { model = "m" }\n'  # noqa: E501


@dataclass(frozen=True)
class Mistake:
    """A project with one mistake."""

    text: str
    where: str
    """The end of the reported key."""
    says: str = ""
    """Words of the reason."""
    more: tuple[tuple[str, str], ...] = ()
    """Further files."""

    @property
    def files(self) -> dict[str, str]:
        return {"tensorzero.toml": self.text, **dict(self.more)}


def base(url: str, kind: str = "openai") -> str:
    return GOOD.replace("http://h:1/v1", url).replace('type = "openai"', f'type = "{kind}"', 1)


def key(line: str) -> str:
    """A line in the provider's table."""
    return MODEL + line + "\n" + FUNCTION


def variant(line: str) -> str:
    return GOOD + line + "\n"


def function(lines: str) -> str:
    return MODEL + FUNCTION.replace('type = "chat"\n', f'type = "chat"\n{lines}\n', 1)


def static(candidates: str, more: str = "") -> str:
    said = f'[functions.f.experimentation]\ntype = "static"\ncandidate_variants = {candidates}\n{more}\n'
    return GOOD + said


def cost(entry: str) -> str:
    return key(f"cost = [{entry}]")


def metric(name: str, lines: str = "") -> str:
    return f'{GOOD}[metrics."{name}"]\ntype = "boolean"\noptimize = "max"\nlevel = "inference"\n{lines}\n'


def section(lines: str) -> str:
    return f"{GOOD}{lines}\n"


def judged(variants: list[str]) -> str:
    kind = 'type = "llm_judge"\noutput_type = "float"\noptimize = "max"\n'
    tables = [f"[functions.f.evaluators.x.variants.{name}]\n{lines}\n" for name, lines in enumerate(variants)]
    return section(f"[functions.f.evaluators.x]\n{kind}{''.join(tables)}")


ASKS = "type = 'chat_completion'\nmodel = 'm'\njson_mode = 'on'\nsystem_instructions = 't.txt'\n"
API_BASE = "models.m.providers.p.api_base"
ROUTING = "models.m.routing"
WEIGHTS = "functions.f.experimentation.candidate_variants"
COST = "models.m.providers.p.cost"
POINTER = 'pointer = "/a"'

MISTAKES: dict[str, Mistake] = {
    # Base URLs
    "a URL without a scheme": Mistake(base("h.example/v1"), API_BASE),
    "a path as URL": Mistake(base("/v1"), API_BASE),
    "an empty URL": Mistake(base(""), API_BASE),
    "a URL without a host": Mistake(base("http://"), API_BASE),
    "a bad port": Mistake(base("http://h:99999/v1"), API_BASE),
    "a bad IP": Mistake(base("http://999.1.1.1/v1"), API_BASE),
    "a websocket": Mistake(base("ws://h:1/v1"), API_BASE),
    "a URL that looks like one": Mistake(base("localhost:8000"), API_BASE),
    "a mail address": Mistake(base("mailto:x"), API_BASE),
    "a variable as URL": Mistake(base("env::X"), API_BASE),
    "a URL with what the gateway adds": Mistake(base("http://h:1/v1/chat/completions"), API_BASE, "adds itself"),
    **{
        f"a URL for {kind}, which has its own": Mistake(base("http://h:1/v1", kind), API_BASE)
        for kind in ("deepseek", "groq", "openrouter", "mistral", "xai", "hyperbolic", "together", "fireworks")
    },
    **{
        f"no URL for {kind}": Mistake(
            base("http://h:1/v1", kind)
            .replace('api_base = "http://h:1/v1"\n', "")
            .replace('model_name = "x"\n', "" if kind == "tgi" else 'model_name = "x"\n'),
            "models.m.providers.p",
            "'api_base' is missing",
        )
        for kind in ("vllm", "sglang", "tgi")
    },
    # Routing
    "an empty routing": Mistake(GOOD.replace('["p"]', "[]"), ROUTING, "empty"),
    "an unknown provider in the routing": Mistake(GOOD.replace('["p"]', '["p", "q"]'), ROUTING, "'q'"),
    "a provider twice in the routing": Mistake(GOOD.replace('["p"]', '["p", "p"]'), ROUTING, "more than once"),
    "a provider that is not in the routing": Mistake(
        GOOD.replace('["p"]', '["q"]').replace("providers.p", "providers.q") + PROVIDER, "models.m.providers.p"
    ),
    "no providers": Mistake('[models.m]\nrouting = ["p"]\n' + FUNCTION, "models.m", "'providers' is missing"),
    "an embedding model with a bad routing": Mistake(
        GOOD + EMBEDDING.replace('["p"]', '["q"]'), "embedding_models.e.routing"
    ),
    # Variants
    "an unknown model": Mistake(GOOD.replace('model = "m"', 'model = "n"'), "functions.f.variants.v.model", "'n'"),
    "an embedding model in a variant": Mistake(
        GOOD.replace('model = "m"', 'model = "e"') + EMBEDDING, "functions.f.variants.v.model", "embedding"
    ),
    "a negative weight": Mistake(variant("weight = -1"), "functions.f.variants.v.weight"),
    "a weight of nan": Mistake(variant("weight = nan"), "functions.f.variants.v.weight"),
    "a weight of infinity": Mistake(variant("weight = inf"), "functions.f.variants.v.weight"),
    "a negative candidate": Mistake(static("{ v = -1 }"), f"{WEIGHTS}.v"),
    "a candidate of nan": Mistake(static("{ v = nan }"), f"{WEIGHTS}.v"),
    "a candidate of infinity": Mistake(static("{ v = inf }"), f"{WEIGHTS}.v"),
    "no candidates": Mistake(static("{}"), WEIGHTS, "no variant could ever be used"),
    "candidates of 0": Mistake(static("{ v = 0 }"), WEIGHTS, "no variant could ever be used"),
    "weights beside experimentation": Mistake(
        static("{ v = 1 }").replace('model = "m"\n', 'model = "m"\nweight = 1\n'), "functions.f.variants.v.weight"
    ),
    "nan in an extra body": Mistake(variant('extra_body = [{ pointer = "/a", value = nan }]'), "extra_body"),
    "infinity in an extra body": Mistake(variant('extra_body = [{ pointer = "/a", value = [inf] }]'), "extra_body"),
    "a function without variants": Mistake(MODEL + '[functions.f]\ntype = "chat"\n', "functions.f", "'variants'"),
    "empty variants": Mistake(MODEL + '[functions.f]\ntype = "chat"\nvariants = {}\n', "functions.f.variants", "empty"),
    "no json_mode": Mistake(GOOD.replace('"chat"', '"json"'), "functions.f.variants.v.json_mode", "missing"),
    "a json_mode where none goes": Mistake(variant('json_mode = "on"'), "functions.f.variants.v.json_mode"),
    # Timeouts
    "a timeout of 0": Mistake(variant("timeouts.non_streaming.total_ms = 0"), "total_ms", "every call then times out"),
    "a timeout of 0 of an embedding model": Mistake(
        GOOD + EMBEDDING.replace('["p"]', '["p"]\ntimeout_ms = 0'), "embedding_models.e.timeout_ms"
    ),
    "a negative timeout": Mistake(variant("timeouts.streaming.ttft_ms = -1"), "ttft_ms"),
    "a timeout with a fraction": Mistake(variant("timeouts.streaming.total_ms = 1.5"), "total_ms"),
    "a timeout above the limit": Mistake(variant("timeouts.streaming.total_ms = 900001"), "total_ms", "longer than"),
    # Costs
    "two kinds of cost": Mistake(cost(f"{{ {POINTER}, cost_per_unit = 1, cost_per_million = 1 }}"), f"{COST}.0"),
    "a cost of nothing": Mistake(cost(f"{{ {POINTER} }}"), COST),
    "a cost without a pointer": Mistake(cost("{ cost_per_unit = 1 }"), COST),
    "half a pair of pointers": Mistake(cost('{ pointer_streaming = "/a", cost_per_unit = 1 }'), COST),
    "a pointer that is none": Mistake(cost('{ pointer = "a", cost_per_unit = 1 }'), COST),
    "a cost of nan": Mistake(cost(f"{{ {POINTER}, cost_per_unit = nan }}"), COST),
    # What is silently ignored
    "an unknown key of a cost": Mistake(
        cost(f"{{ {POINTER}, cost_per_unit = 1, zzz = 1 }}"), "zzz", "silently ignores"
    ),
    "an unknown key of retries": Mistake(variant("retries = { zzz = 1 }"), "retries.zzz", "silently ignores"),
    "an unknown key of static experimentation": Mistake(
        static("{ v = 1 }", "zzz = 1"), "functions.f.experimentation.zzz", "silently ignores"
    ),
    "an unknown key of postgres": Mistake(section("[postgres]\nzzz = 1"), "postgres.zzz", "silently ignores"),
    "an unknown key of rate limiting": Mistake(
        section("[rate_limiting]\nzzz = 1"), "rate_limiting.zzz", "silently ignores"
    ),
    "an unknown key of storage in files": Mistake(
        section('[object_storage]\ntype = "filesystem"\npath = "x"\nzzz = 1'), "object_storage.zzz", "silently ignores"
    ),
    "an unknown key of no storage": Mistake(
        section('[object_storage]\ntype = "disabled"\nzzz = 1'), "object_storage.zzz", "silently ignores"
    ),
    "an unknown key of a provider type": Mistake(
        section("[provider_types.openai]\nzzz = 1"), "provider_types.openai.zzz", "silently ignores"
    ),
    # What is refused as unknown
    "an unknown section": Mistake(section("[zzz]"), "zzz", "no section"),
    **{
        f"an unknown key of {place}": Mistake(text, f"{place}.zzz")
        for place, text in {
            "gateway": section("[gateway]\nzzz = 1"),
            "gateway.observability": section("[gateway.observability]\nzzz = 1"),
            "clickhouse": section("[clickhouse]\nzzz = 1"),
            "autopilot": section("[autopilot]\nzzz = 1"),
            "models.m": GOOD.replace("routing", "zzz = 1\nrouting", 1),
            "models.m.providers.p": key("zzz = 1"),
            "functions.f": function("zzz = 1"),
            "functions.f.variants.v": variant("zzz = 1"),
            "functions.f.variants.b": GOOD + JUDGE + "zzz = 1\n",
            "functions.f.evaluators.x": section('[functions.f.evaluators.x]\ntype = "exact_match"\nzzz = 1'),
            "metrics.a": metric("a", "zzz = 1"),
            "provider_types.gcp_vertex_gemini": section("[provider_types.gcp_vertex_gemini]\nzzz = 1"),
        }.items()
    },
    "an unknown provider type's defaults": Mistake(section("[provider_types.zzz]"), "provider_types.zzz"),
    "an unknown optimizer": Mistake(section('[optimizers.o]\ntype = "zzz"'), "optimizers.o.type"),
    "an unknown storage": Mistake(section('[object_storage]\ntype = "zzz"'), "object_storage.type"),
    "an unknown evaluator": Mistake(section('[functions.f.evaluators.x]\ntype = "zzz"'), "evaluators.x.type"),
    # Names
    **{
        f"a model that starts with {kind}::": Mistake(GOOD.replace("models.m", f'models."{kind}::m"'), f'"{kind}::m"')
        for kind in ("tensorzero", "openai", "aws_bedrock", "xai")
    },
    "a reserved function": Mistake(GOOD.replace("functions.f", 'functions."tensorzero::f"'), '"tensorzero::f"'),
    "a reserved variant": Mistake(GOOD.replace("variants.v", 'variants."tensorzero::v"'), '"tensorzero::v"'),
    "a reserved provider": Mistake(
        GOOD.replace("providers.p", 'providers."tensorzero::p"').replace('["p"]', '["tensorzero::p"]'),
        '"tensorzero::p"',
    ),
    "a reserved tool": Mistake(
        section('[tools."tensorzero::t"]\ndescription = "d"\nparameters = "t.json"'),
        '"tensorzero::t"',
        more=(("t.json", "{}"),),
    ),
    "a metric with a space": Mistake(metric("a b"), 'metrics."a b"'),
    "a metric called comment": Mistake(metric("comment"), "metrics.comment"),
    "a metric called demonstration": Mistake(metric("demonstration"), "metrics.demonstration"),
    "a reserved metric": Mistake(metric("tensorzero::x"), 'metrics."tensorzero::x"'),
    "an evaluator with colons": Mistake(
        section('[functions.f.evaluators."a::b"]\ntype = "exact_match"'), 'functions.f.evaluators."a::b"'
    ),
    "an empty namespace": Mistake(variant('namespace = ""'), "functions.f.variants.v.namespace"),
    "a reserved namespace": Mistake(variant('namespace = "tensorzero::x"'), "functions.f.variants.v.namespace"),
    # Files
    "content instead of a file": Mistake(
        variant('system_template = "You are a bot"'), "functions.f.variants.v.system_template", "no such file"
    ),
    "a table instead of a file": Mistake(
        variant('templates.a.path = { __data = "x" }'), "functions.f.variants.v.templates.a.path"
    ),
    "a template with content": Mistake(variant('templates.a = { content = "x" }'), "templates.a"),
    "a template that is a string": Mistake(variant('templates.a = "t.txt"'), "templates.a", "table"),
    "an empty path": Mistake(variant('system_template = ""'), "functions.f.variants.v.system_template"),
    "a directory instead of a file": Mistake(
        variant('system_template = "d"'), "system_template", "no such file", (("d/t.txt", "x"),)
    ),
    "a file instead of a directory": Mistake(
        section('[gateway.template_filesystem_access]\nbase_path = "d.txt"'), "base_path", "directory", (("d.txt", ""),)
    ),
    "a schema that is no JSON": Mistake(
        function('user_schema = "s.json"'), "functions.f.user_schema", "not valid JSON", (("s.json", "{"),)
    ),
    "a path that leaves the project": Mistake(
        variant('system_template = "../t.txt"'), "system_template", "leads out", (("t.txt", "x"),)
    ),
    # What refers to something else
    "an evaluation of no function": Mistake(
        section('[evaluations.e]\ntype = "inference"\nfunction_name = "g"\nevaluators = {}'),
        "evaluations.e.function_name",
        "'g'",
    ),
    "an experiment without its metric": Mistake(
        section('[functions.f.experimentation]\ntype = "adaptive"\nmetric = "gone"\ncandidate_variants = ["v"]'),
        "functions.f.experimentation.metric",
        "'gone'",
    ),
    **{
        f"a schema without a template: {key}": Mistake(
            function(f'{key} = "s.json"'), f"functions.f.variants.v.templates.{name}", more=(("s.json", "{}"),)
        )
        for key, name in (("user_schema", "user"), ("schemas.system.path", "system"), ("schemas.x.path", "x"))
    },
    "a judge without a template": Mistake(
        function('user_schema = "s.json"') + 'user_template = "t.txt"\n' + JUDGE,
        "functions.f.variants.b.evaluator.templates.user",
        more=(("s.json", "{}"), ("t.txt", "")),
    ),
    "wrapped input that has a schema": Mistake(
        function('user_schema = "s.json"') + 'input_wrappers.user = "t.txt"\n',
        "functions.f.variants.v.input_wrappers.user",
        more=(("s.json", "{}"), ("t.txt", "")),
    ),
    **{
        f"{address!r} as the gateway's address": Mistake(
            section(f'[gateway]\nbind_address = "{address}"'), "gateway.bind_address", "IP address and a port"
        )
        for address in ("localhost:3000", "10.0.0.1", "::1:3000", "[0.0.0.0]:3000", "0.0.0.0:99999")
    },
    # Rate limits
    **{
        f"a rate limit with {what}": Mistake(section(f"[rate_limiting]\nrules = [{{ {rule} }}]"), where, says)
        for what, rule, where, says in (
            ("no priority", "tokens_per_day = 1", "rate_limiting.rules.0", "priority"),
            ("two priorities", "tokens_per_day = 1, always = true, priority = 1", "rate_limiting.rules.0", "priority"),
            ("no such interval", "always = true, tokens_per_year = 1", "tokens_per_year", "silently ignores"),
            ("half a token", "always = true, tokens_per_day = 0.5", "tokens_per_day", "whole number"),
            ("half a bucket", "always = true, cost_per_day = { capacity = 1 }", "cost_per_day", "refill_rate"),
            ("no such scope", 'always = true, scope = [{ model = "m" }]', "scope.0", "tag_key"),
            ("a short key", 'always = true, scope = [{ api_key_public_id = "x" }]', "api_key_public_id", "12"),
            (
                "a reserved tag",
                'always = true, scope = [{ tag_key = "a", tag_value = "tensorzero::a" }]',
                "tag_value",
                "::",
            ),
        )
    },
    "two rate limits for all": Mistake(
        section("[[rate_limiting.rules]]\nalways = true\n[[rate_limiting.rules]]\npriority = 1"),
        "rules.1.scope",
        "earlier",
    ),
    "a negative price": Mistake(
        section("[rate_limiting]\ndefault_cost = -1"), "rate_limiting.default_cost", "from 0 up"
    ),
    # Judges
    **{
        f"a judge that {what}": Mistake(judged(variants), f"functions.f.evaluators.x.{where}", says, (("t.txt", "x"),))
        for what, variants, where, says in (
            ("has a template", [f"{ASKS}user_template = 't.txt'"], "variants.0.user_template", "not a key"),
            ("has no instructions", [ASKS.partition("system")[0]], "variants.0", "'system_instructions' is missing"),
            ("asks no model", [ASKS.replace("'m'", "'n'")], "variants.0.model", "'n'"),
            ("is two", [ASKS, ASKS], "variants", "exactly one"),
            ("is switched off", [f"{ASKS}active = false"], "variants", "exactly one"),
            ("is of no type", [ASKS.replace("chat_completion", "zzz")], "variants.0.type", "must be one of"),
        )
    },
    # Old syntax that is refused today
    "an old way to disable observability": Mistake(
        section("[gateway]\ndisable_observability = true"), "gateway.disable_observability", "enabled = false"
    ),
    "an old way to allow files": Mistake(
        section("[gateway]\nenable_template_filesystem_access = true"), "enable_template_filesystem_access", "base_path"
    ),
    "a data set of an evaluation": Mistake(
        section('[evaluations.e]\ntype = "inference"\nfunction_name = "f"\ndataset_name = "d"\nevaluators = {}'),
        "evaluations.e.dataset_name",
        "leave it out",
    ),
    "timeouts of an embedding model": Mistake(
        GOOD + EMBEDDING + "[embedding_models.e.timeouts]\n", "embedding_models.e.timeouts", "timeout_ms"
    ),
    "a database's address": Mistake(
        section('[clickhouse]\nurl = "http://h:1"'), "clickhouse.url", "TENSORZERO_CLICKHOUSE_URL"
    ),
    "a tool choice of off": Mistake(function('tool_choice = "off"'), "functions.f.tool_choice"),
    "a credential as a table": Mistake(key('api_key_location = { env = "X" }'), "api_key_location"),
    # Several files
    "a key in two files": Mistake(
        GOOD, "models.m.routing", "is set in tensorzero.toml already", (("z.toml", '[models.m]\nrouting = ["p"]\n'),)
    ),
    "no TOML": Mistake("[models", "tensorzero.toml", "not valid TOML"),
}
"""The mistakes by description."""
