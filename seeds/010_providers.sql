-- The starter catalogue: a real one, to look at, to use and to change.
--
-- Seeds run again at every start and must never undo what people did. So a row goes in only under a name that the
-- change log has never seen: what somebody edited, renamed, moved or deleted stays that way. The same rule stands in
-- every file here, and it is why a second run makes no new revision.

-- Providers: sixteen, those on your own machines first. A base URL stands only where the gateway's provider type has
-- a key for one; the other types know their address themselves. api_key_env_var names the variable that the gateway
-- reads the key from, as the provider's own documentation spells it. A gateway does not start while a variable that its
-- configuration names is missing: those with a key are there only where a gateway's environment has it.

insert into model_providers (name, type, api_base, api_key_env_var, only_with_key, metadata)
select seed.name, seed.type, seed.api_base, seed.api_key_env_var, seed.api_key_env_var is not null, seed.metadata
from (
    values
        -- Yours. localhost is right where the gateway runs on the same machine as the model server; elsewhere, change it.
        ('ollama_local', 'ollama', 'http://localhost:11434/v1', null, jsonb '{"location": "local", "costs_nothing": true}'),
        ('ollama_edge', 'ollama', 'http://ollama-edge:11434/v1', null, '{"location": "edge", "costs_nothing": true}'),
        ('vllm_local', 'vllm', 'http://localhost:8000/v1', null, '{"location": "local", "costs_nothing": true}'),
        -- What follows has kinds of models that gateways do not: they are asked through the registry (/v1/rerank, /v1/audio/speech).
        ('rerank_local', 'openai_compatible', 'http://localhost:7997', null, '{"location": "local", "costs_nothing": true, "server": "infinity"}'),
        ('speech_local', 'openai_compatible', 'http://localhost:8880/v1', null, '{"location": "local", "costs_nothing": true, "server": "kokoro-fastapi"}'),

        -- Hosted, by the companies that make the models.
        ('openai', 'openai', 'https://api.openai.com/v1', 'OPENAI_API_KEY', '{"location": "hosted"}'),
        ('anthropic', 'anthropic', 'https://api.anthropic.com/v1', 'ANTHROPIC_API_KEY', '{"location": "hosted"}'),
        ('google_ai_studio', 'google_ai_studio_gemini', null, 'GOOGLE_AI_STUDIO_API_KEY', '{"location": "hosted"}'),
        ('mistral', 'mistral', null, 'MISTRAL_API_KEY', '{"location": "hosted"}'),
        ('deepseek', 'deepseek', null, 'DEEPSEEK_API_KEY', '{"location": "hosted"}'),
        ('xai', 'xai', null, 'XAI_API_KEY', '{"location": "hosted"}'),
        ('perplexity', 'openai_compatible', 'https://api.perplexity.ai', 'PERPLEXITY_API_KEY', '{"location": "hosted"}'),
        ('zai', 'openai_compatible', 'https://api.z.ai/api/paas/v4', 'ZAI_API_KEY', '{"location": "hosted"}'),

        -- Hosted, by companies that run other people's models.
        ('groq', 'groq', null, 'GROQ_API_KEY', '{"location": "hosted"}'),
        ('together', 'together', null, 'TOGETHER_API_KEY', '{"location": "hosted"}'),
        ('openrouter', 'openrouter', null, 'OPENROUTER_API_KEY', '{"location": "hosted"}')
) as seed (name, type, api_base, api_key_env_var, metadata)
where not exists (
    select from registry_changes c
    where c.table_name = 'model_providers' and c.after ->> 'name' = seed.name)
on conflict do nothing;
