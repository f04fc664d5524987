-- Which models serve which functions: your own machine at priority 1, hosted models behind it.
--
-- Among variants of the best priority, weight is the share of the traffic; the others are tried in order when those
-- fail. A function for which anybody ever mapped anything is left alone as a whole: one more variant would change
-- who answers. One statement, for the same reason as in 020_models.sql.
--
-- max_tokens: Anthropic wants one in every request, and the gateway (2026.6) knows none for models this new.

insert into service_model_mappings (
    service_name, function_name, variant_name, model_id, priority, weight, fallback_model_id, tensorzero)
select
    seed.service_name, seed.function_name, seed.variant_name, m.id, seed.priority, seed.weight, fallback.id, seed.tensorzero
from (
    values
        ('agents', 'chat', 'local_qwen3_5', 'qwen3_5_9b', 'ollama_local', 1, 0.8, null, null, jsonb '{}'),
        ('agents', 'chat', 'local_gpt_oss', 'gpt_oss_20b', 'ollama_local', 1, 0.2, null, null, '{}'),
        ('agents', 'chat', 'hosted_gpt', 'gpt_5_4_mini', 'openai', 2, 1, null, null, '{}'),
        ('agents', 'chat', 'hosted_claude', 'claude_sonnet_5', 'anthropic', 3, 1, null, null, '{"max_tokens": 16384}'),
        ('agents', 'plan', 'local_gpt_oss', 'gpt_oss_120b', 'vllm_local', 1, 1, null, null, '{"reasoning_effort": "high"}'),
        ('agents', 'plan', 'hosted_gpt', 'gpt_5_5', 'openai', 2, 1, null, null, '{"reasoning_effort": "high"}'),
        ('agents', 'plan', 'hosted_claude', 'claude_opus_4_8', 'anthropic', 3, 1, null, null, '{"max_tokens": 32768}'),
        ('agents', 'see', 'local_qwen3_vl', 'qwen3_vl_8b', 'ollama_local', 1, 1, null, null, '{}'),
        ('agents', 'see', 'hosted_gemini', 'gemini_3_5_flash', 'google_ai_studio', 2, 1, null, null, '{}'),
        ('agents', 'extract', 'local_qwen3', 'qwen3_8b', 'ollama_local', 1, 1, null, null, '{"json_mode": "on", "temperature": 0}'),
        -- Reasoning models take no temperature.
        ('agents', 'extract', 'hosted_gpt', 'gpt_5_4_nano', 'openai', 2, 1, null, null, '{"json_mode": "on"}'),

        ('coding', 'generate', 'local_qwen3_coder', 'qwen3_coder_30b', 'ollama_local', 1, 0.7, null, null, '{"temperature": 0.2}'),
        ('coding', 'generate', 'local_devstral', 'devstral_small_2', 'ollama_local', 1, 0.3, null, null, '{"temperature": 0.2}'),
        ('coding', 'generate', 'hosted_claude', 'claude_sonnet_5', 'anthropic', 2, 1, null, null, '{"max_tokens": 32768}'),
        ('coding', 'generate', 'hosted_glm', 'glm_5_2', 'zai', 3, 1, null, null, '{}'),
        ('coding', 'complete', 'local_qwen3_coder', 'qwen3_coder_30b', 'ollama_local', 1, 1, 'codestral', 'mistral', '{"temperature": 0, "max_tokens": 256}'),
        ('coding', 'review', 'local_gpt_oss', 'gpt_oss_120b', 'vllm_local', 1, 1, null, null, '{"reasoning_effort": "high"}'),
        ('coding', 'review', 'hosted_claude', 'claude_opus_4_8', 'anthropic', 2, 1, null, null, '{"max_tokens": 32768}'),
        ('coding', 'review', 'hosted_deepseek', 'deepseek_v4_pro', 'deepseek', 3, 1, null, null, '{}'),

        -- No model on your own machine searches the web.
        ('research', 'search', 'hosted_sonar', 'sonar_pro', 'perplexity', 1, 1, null, null, '{}'),
        ('research', 'report', 'hosted_sonar', 'sonar_deep_research', 'perplexity', 1, 1, 'sonar_pro', 'perplexity', '{}'),
        ('research', 'summarize', 'local_qwen3_5', 'qwen3_5_35b', 'ollama_local', 1, 1, null, null, '{}'),
        ('research', 'summarize', 'hosted_gemini', 'gemini_3_1_flash_lite', 'google_ai_studio', 2, 1, null, null, '{}'),
        ('research', 'summarize', 'hosted_kimi', 'kimi_k2_6', 'together', 3, 1, null, null, '{}'),

        -- Vectors of different models cannot be compared: the second row is a choice to make once for a whole index,
        -- never a fallback. The gateway has no functions of embeddings, so these serve look-ups only.
        ('embeddings', 'text', 'local_qwen3', 'qwen3_embedding_0_6b', 'ollama_local', 1, 1, null, null, '{}'),
        ('embeddings', 'text', 'hosted_openai', 'text_embedding_3_small', 'openai', 2, 1, null, null, '{}'),
        ('embeddings', 'rerank', 'local_bge', 'bge_reranker_v2_m3', 'rerank_local', 1, 1, null, null, '{}')
) as seed (
    service_name, function_name, variant_name, model, provider, priority, weight, fallback_model, fallback_provider, tensorzero)
join functions f using (service_name, function_name)
join model_providers p on p.name = seed.provider
join models m on m.provider_id = p.id and m.name = seed.model
left join model_providers fallback_owner on fallback_owner.name = seed.fallback_provider
left join models fallback on fallback.provider_id = fallback_owner.id and fallback.name = seed.fallback_model
where not exists (
    select from registry_changes c
    where c.table_name = 'service_model_mappings'
      and c.after ->> 'service_name' = seed.service_name and c.after ->> 'function_name' = seed.function_name)
on conflict do nothing;
