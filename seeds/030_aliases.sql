-- Aliases: names that stay while the model behind them changes. Programs ask for these.
-- Without a context they hold everywhere; `tensorzero` is for callers of the gateway, who ask for a quality of service.

insert into model_aliases (alias, context, model_id)
select seed.alias, seed.context, m.id
from (
    values
        ('default_chat', null, 'qwen3_5_9b', 'ollama_local'),
        ('default_coding', null, 'qwen3_coder_30b', 'ollama_local'),
        ('default_vision', null, 'qwen3_vl_8b', 'ollama_local'),
        ('default_embedding', null, 'qwen3_embedding_0_6b', 'ollama_local'),
        ('default_reranker', null, 'bge_reranker_v2_m3', 'rerank_local'),
        ('default_tts', null, 'kokoro', 'speech_local'),
        ('fast', 'tensorzero', 'llama3_1_8b', 'groq'),
        ('cheap', 'tensorzero', 'gpt_5_4_nano', 'openai'),
        ('smart', 'tensorzero', 'gpt_5_5', 'openai'),
        ('large_embedding', 'tensorzero', 'qwen3_embedding_4b', 'ollama_local')
) as seed (alias, context, model, provider)
join model_providers p on p.name = seed.provider
join models m on m.provider_id = p.id and m.name = seed.model
where not exists (
    select from registry_changes c
    where c.table_name = 'model_aliases'
      and c.after ->> 'alias' = seed.alias and c.after ->> 'context' is not distinct from seed.context)
  -- The gateway has one space of names for models and aliases.
  and not exists (select from models taken where taken.name = seed.alias)
on conflict do nothing;
