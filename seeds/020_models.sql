-- Models, by provider. Where the numbers come from (mid 2026; newer models are missing):
--
--   * Hosted models: the models.dev catalogue, which quotes the providers' own pages. context_length is what the
--     provider serves, so the same model may have less of it at one provider than at another.
--   * Local models: what the model's card or the Ollama library states where it could be looked up; the sizes of the
--     rest, and the memory that rerankers and speech models take, are estimates. Measure before you rely on them.
--
--   * Prices, quality and latency: `015_prices.sql` and `016_measurements.sql`, with their sources.
--
-- vram_mb of an Ollama model is its size plus a fifth, for buffers and the cache of some 8,000 tokens, rounded up to
-- 256 MiB. Longer contexts take more. Hosted models take none: 0.
--
-- Rows with one name at several providers are one routed model: the gateway tries them by routing_priority, your own
-- machine first. One statement, because a name is taken once any earlier statement has used it.

insert into models (
    name, provider_id, model_id, model_type, context_length, vram_mb, capabilities, routing_priority, description, card,
    field_sources)
select
    seed.name, p.id, seed.model_id, seed.model_type, seed.context_length, seed.vram_mb, to_jsonb(seed.capabilities),
    seed.routing_priority, seed.description, coalesce(facts.card, '{}'), coalesce(facts.sources, '{}')
from (
    values
        -- Ollama, on a workstation with one GPU of 8 to 32 GB
        ('qwen3_8b', 'ollama_local', 'qwen3:8b', 'chat', 40960, 6144, '{chat,function_calling,json_mode,reasoning}'::text[], 0, 'Small all-rounder, fits 8 GB'),
        ('qwen3_5_9b', 'ollama_local', 'qwen3.5:9b', 'chat', 262144, 7680, '{chat,function_calling,json_mode,vision,reasoning}', 0, 'All-rounder with vision, fits 8 GB'),
        ('qwen3_5_35b', 'ollama_local', 'qwen3.5:35b', 'chat', 262144, 27648, '{chat,function_calling,json_mode,vision,reasoning}', 0, 'Mixture of experts, 3 billion parameters active'),
        ('qwen3_coder_30b', 'ollama_local', 'qwen3-coder:30b', 'chat', 262144, 21760, '{chat,function_calling,json_mode,code_generation}', 0, 'Agentic coding, 3 billion parameters active'),
        ('devstral_small_2', 'ollama_local', 'devstral-small-2:24b', 'chat', 262144, 17408, '{chat,function_calling,json_mode,vision,code_generation}', 0, 'Agentic coding in repositories'),
        ('gemma4_e4b', 'ollama_local', 'gemma4:e4b', 'chat', 131072, 11008, '{chat,function_calling,json_mode,vision,audio}', 0, 'Quick, with vision and audio'),
        ('gemma4_31b', 'ollama_local', 'gemma4:31b', 'chat', 262144, 23040, '{chat,function_calling,json_mode,vision,reasoning}', 0, 'Dense, strong at writing'),
        ('deepseek_r1_8b', 'ollama_local', 'deepseek-r1:8b', 'chat', 131072, 6144, '{chat,reasoning}', 0, 'Reasoning, distilled into Qwen 3 8B'),
        ('gpt_oss_20b', 'ollama_local', 'gpt-oss:20b', 'chat', 131072, 16128, '{chat,function_calling,json_mode,reasoning}', 0, 'Open weights by OpenAI, fits 16 GB'),
        ('qwen3_vl_8b', 'ollama_local', 'qwen3-vl:8b', 'vl', 262144, 7168, '{chat,function_calling,json_mode,vision,ocr}', 0, 'Vision: documents, screens, charts'),
        ('qwen3_embedding_0_6b', 'ollama_local', 'qwen3-embedding:0.6b', 'embedding', 32768, 768, '{embeddings,multilingual,code}', 0, '1,024 dimensions'),
        -- The card says 32K; the Ollama library's 40K is the base model's.
        ('qwen3_embedding_4b', 'ollama_local', 'qwen3-embedding:4b', 'embedding', 32768, 3072, '{embeddings,multilingual,code}', 0, '2,560 dimensions'),
        ('bge_m3', 'ollama_local', 'bge-m3:567m', 'embedding', 8192, 1536, '{embeddings,multilingual}', 0, '1,024 dimensions'),
        ('embeddinggemma', 'ollama_local', 'embeddinggemma:300m', 'embedding', 2048, 768, '{embeddings,multilingual}', 0, '768 dimensions'),
        -- 8,192 tokens on the card, but only with scaling that Ollama's build does not switch on.
        ('nomic_embed_text', 'ollama_local', 'nomic-embed-text:v1.5', 'embedding', 2048, 512, '{embeddings}', 0, '768 dimensions'),

        -- Ollama, on an edge device
        ('qwen3_4b', 'ollama_edge', 'qwen3:4b', 'chat', 262144, 3072, '{chat,function_calling,json_mode,reasoning}', 0, 'Fits 4 GB'),
        ('llama3_2_3b', 'ollama_edge', 'llama3.2:3b', 'chat', 131072, 2304, '{chat,function_calling}', 0, 'Fits 4 GB'),
        ('gemma4_e2b', 'ollama_edge', 'gemma4:e2b', 'chat', 131072, 8448, '{chat,function_calling,json_mode,vision,audio}', 0, 'Vision and audio on a small device'),
        ('nemotron_3_nano_4b', 'ollama_edge', 'nemotron-3-nano:4b', 'chat', 262144, 3328, '{chat,function_calling,json_mode,reasoning}', 0, 'Hybrid Mamba, cheap in long contexts'),

        -- vLLM, on a server. It takes the share of the GPU that it is told; these are weights and a modest cache.
        ('gpt_oss_120b', 'vllm_local', 'openai/gpt-oss-120b', 'chat', 131072, 74496, '{chat,function_calling,json_mode,reasoning}', 0, 'Open weights by OpenAI, fits 80 GB'),
        ('qwen3_30b_a3b', 'vllm_local', 'Qwen/Qwen3-30B-A3B-Instruct-2507-FP8', 'chat', 262144, 36864, '{chat,function_calling,json_mode}', 0, 'Mixture of experts, 3 billion parameters active'),

        -- Rerankers and speech, on your own machine: 16-bit weights plus a quarter, and what the runtime takes
        ('bge_reranker_v2_m3', 'rerank_local', 'BAAI/bge-reranker-v2-m3', 'reranker', 8192, 2048, '{reranking,multilingual}', 0, '568 million parameters'),
        ('qwen3_reranker_0_6b', 'rerank_local', 'Qwen/Qwen3-Reranker-0.6B', 'reranker', 32768, 2048, '{reranking,multilingual,code}', 0, '600 million parameters'),
        ('kokoro', 'speech_local', 'kokoro', 'tts', 0, 2048, '{tts,multilingual}', 0, '82 million parameters'),

        -- OpenAI
        ('gpt_5_5', 'openai', 'gpt-5.5', 'chat', 1050000, 0, '{chat,function_calling,json_mode,vision,reasoning,code_generation}', 0, 'Frontier model'),
        ('gpt_5_4', 'openai', 'gpt-5.4', 'chat', 1050000, 0, '{chat,function_calling,json_mode,vision,reasoning,code_generation}', 0, 'Frontier model, half the price'),
        ('gpt_5_4_mini', 'openai', 'gpt-5.4-mini', 'chat', 400000, 0, '{chat,function_calling,json_mode,vision,reasoning}', 0, 'Quick and cheap'),
        ('gpt_5_4_nano', 'openai', 'gpt-5.4-nano', 'chat', 400000, 0, '{chat,function_calling,json_mode,vision,reasoning}', 0, 'Cheapest'),
        ('gpt_4_1', 'openai', 'gpt-4.1', 'chat', 1047576, 0, '{chat,function_calling,json_mode,vision}', 0, 'Long context without reasoning'),
        ('text_embedding_3_small', 'openai', 'text-embedding-3-small', 'embedding', 8191, 0, '{embeddings,multilingual}', 0, '1,536 dimensions'),
        ('text_embedding_3_large', 'openai', 'text-embedding-3-large', 'embedding', 8191, 0, '{embeddings,multilingual}', 0, '3,072 dimensions'),
        ('gpt_4o_mini_tts', 'openai', 'gpt-4o-mini-tts', 'tts', 2000, 0, '{tts,multilingual}', 0, 'Speech whose tone can be asked for'),
        ('gpt_image_2', 'openai', 'gpt-image-2', 'image', 0, 0, '{image_generation,image_editing}', 0, 'Images from text and images'),

        -- Anthropic
        ('claude_opus_4_8', 'anthropic', 'claude-opus-4-8', 'chat', 1000000, 0, '{chat,function_calling,vision,reasoning,code_generation}', 0, 'Frontier model'),
        ('claude_sonnet_5', 'anthropic', 'claude-sonnet-5', 'chat', 1000000, 0, '{chat,function_calling,vision,reasoning,code_generation}', 0, 'Best for most work'),
        ('claude_haiku_4_5', 'anthropic', 'claude-haiku-4-5', 'chat', 200000, 0, '{chat,function_calling,vision,reasoning}', 0, 'Quick and cheap'),

        -- Google
        ('gemini_3_1_pro', 'google_ai_studio', 'gemini-3.1-pro-preview', 'chat', 1048576, 0, '{chat,function_calling,json_mode,vision,audio,video,reasoning,code_generation}', 0, 'Frontier model'),
        ('gemini_3_5_flash', 'google_ai_studio', 'gemini-3.5-flash', 'chat', 1048576, 0, '{chat,function_calling,json_mode,vision,audio,video,reasoning}', 0, 'Quick, takes every medium'),
        ('gemini_3_1_flash_lite', 'google_ai_studio', 'gemini-3.1-flash-lite', 'chat', 1048576, 0, '{chat,function_calling,json_mode,vision,audio,video,reasoning}', 0, 'Cheapest'),

        -- Mistral
        ('mistral_large', 'mistral', 'mistral-large-2512', 'chat', 262144, 0, '{chat,function_calling,json_mode,vision}', 0, 'Mistral Large 3, open weights'),
        ('mistral_small', 'mistral', 'mistral-small-2603', 'chat', 256000, 0, '{chat,function_calling,json_mode,vision,reasoning}', 0, 'Mistral Small 4'),
        ('codestral', 'mistral', 'codestral-latest', 'chat', 256000, 0, '{chat,function_calling,json_mode,code_generation,code_completion}', 0, 'Code completion'),

        -- DeepSeek, xAI, Perplexity, Z.AI
        ('deepseek_v4_pro', 'deepseek', 'deepseek-v4-pro', 'chat', 1000000, 0, '{chat,function_calling,json_mode,reasoning,code_generation}', 0, 'Open weights, frontier class'),
        ('deepseek_v4_flash', 'deepseek', 'deepseek-v4-flash', 'chat', 1000000, 0, '{chat,function_calling,json_mode,reasoning}', 0, 'Open weights, quick and cheap'),
        ('grok_4_3', 'xai', 'grok-4.3', 'chat', 1000000, 0, '{chat,function_calling,json_mode,vision,reasoning}', 0, 'Frontier model'),
        ('grok_build', 'xai', 'grok-build-0.1', 'chat', 256000, 0, '{chat,function_calling,json_mode,vision,reasoning,code_generation}', 0, 'Agentic coding'),
        ('sonar_pro', 'perplexity', 'sonar-pro', 'chat', 200000, 0, '{chat,web_search,citations,vision}', 0, 'Answers from the web, with sources'),
        ('sonar_deep_research', 'perplexity', 'sonar-deep-research', 'chat', 128000, 0, '{chat,web_search,citations,reasoning}', 0, 'Reports from the web; takes minutes'),
        ('glm_5_2', 'zai', 'glm-5.2', 'chat', 1000000, 0, '{chat,function_calling,json_mode,reasoning,code_generation}', 0, 'Open weights, agentic coding'),

        -- The same models at hosts: where a row above has the name, these are tried after it
        ('gpt_oss_20b', 'groq', 'openai/gpt-oss-20b', 'chat', 131072, 0, '{chat,function_calling,json_mode,reasoning}', 1, 'Very quick'),
        ('gpt_oss_120b', 'groq', 'openai/gpt-oss-120b', 'chat', 131072, 0, '{chat,function_calling,json_mode,reasoning}', 1, 'Very quick'),
        ('gpt_oss_120b', 'together', 'openai/gpt-oss-120b', 'chat', 131072, 0, '{chat,function_calling,json_mode,reasoning}', 2, null),
        ('gpt_oss_120b', 'openrouter', 'openai/gpt-oss-120b', 'chat', 131072, 0, '{chat,function_calling,json_mode,reasoning}', 3, null),
        ('llama3_3_70b', 'groq', 'llama-3.3-70b-versatile', 'chat', 131072, 0, '{chat,function_calling,json_mode}', 1, 'Very quick'),
        ('llama3_3_70b', 'together', 'meta-llama/Llama-3.3-70B-Instruct-Turbo', 'chat', 131072, 0, '{chat,function_calling,json_mode}', 2, null),
        ('llama3_3_70b', 'openrouter', 'meta-llama/llama-3.3-70b-instruct', 'chat', 131072, 0, '{chat,function_calling,json_mode}', 3, null),
        ('kimi_k2_6', 'together', 'moonshotai/Kimi-K2.6', 'chat', 262144, 0, '{chat,function_calling,json_mode,vision,reasoning}', 1, 'Open weights, long agent runs'),
        ('kimi_k2_6', 'openrouter', 'moonshotai/kimi-k2.6', 'chat', 262144, 0, '{chat,function_calling,json_mode,vision,reasoning}', 2, null),
        ('glm_5_2', 'openrouter', 'z-ai/glm-5.2', 'chat', 1048576, 0, '{chat,function_calling,json_mode,reasoning,code_generation}', 1, null),
        ('deepseek_v4_flash', 'openrouter', 'deepseek/deepseek-v4-flash', 'chat', 1048575, 0, '{chat,function_calling,json_mode,reasoning}', 1, null),
        ('minimax_m3', 'openrouter', 'minimax/minimax-m3', 'chat', 524288, 0, '{chat,function_calling,json_mode,vision,reasoning,code_generation}', 0, 'Open weights, agentic coding'),
        ('qwen3_5_397b', 'together', 'Qwen/Qwen3.5-397B-A17B', 'chat', 262144, 0, '{chat,function_calling,json_mode,vision,reasoning}', 0, 'Largest open Qwen'),
        ('llama3_1_8b', 'groq', 'llama-3.1-8b-instant', 'chat', 131072, 0, '{chat,function_calling,json_mode}', 0, 'Answers in an instant'),
        ('whisper_large_v3_turbo', 'groq', 'whisper-large-v3-turbo', 'audio', 0, 0, '{transcription,multilingual}', 0, 'Speech to text')
) as seed (name, provider, model_id, model_type, context_length, vram_mb, capabilities, routing_priority, description)
join model_providers p on p.name = seed.provider
cross join lateral (
    select jsonb_object_agg(fact.key, fact.value) as card, jsonb_object_agg(fact.key, f.source) as sources
    from pg_temp.model_facts f, jsonb_each(f.card) fact
    where f.name = seed.name and coalesce(f.provider, seed.provider) = seed.provider
) facts
where not exists (
    select from registry_changes c
    where c.table_name = 'models' and c.after ->> 'name' = seed.name)
  -- The gateway has one space of names for models and aliases.
  and not exists (select from model_aliases a where a.alias = seed.name)
on conflict do nothing;
