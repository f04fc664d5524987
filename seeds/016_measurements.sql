-- How good models are, and how soon they answer, where somebody has published it. A quality score is the share of tasks
-- that were solved: `coding` on SWE-bench Verified, `reasoning` on GPQA Diamond, as the makers report them with the most
-- thinking and full weights; quantised weights may do worse. A model that nobody has measured has no score.
--
-- latency_p50_ms is the median of a short question's answer (at most 20 tokens, asked hourly through OpenRouter), from
-- https://www.jonathanwrede.de/en/blog/ttft-varies-13x-across-llm-providers/. Yours are other questions: measure them.

insert into pg_temp.model_facts (name, provider, source, card)
select m.name, null, 'published by its maker', jsonb_strip_nulls(jsonb_build_object(
    'quality_scores', jsonb_build_object('coding', m.coding / 100, 'reasoning', m.reasoning / 100),
    'benchmarks', jsonb_build_object(
        'swe_bench_verified', jsonb_build_object('score', m.coding, 'source', m.url, 'measured_on', m.day),
        'gpqa_diamond', case when m.reasoning is not null
            then jsonb_build_object('score', m.reasoning, 'source', m.url, 'measured_on', m.day) end)))
from (
    values
        ('gpt_oss_120b', 62.4, 80.1, 'https://arxiv.org/abs/2508.10925', '2025-08-05'),
        ('gpt_oss_20b', 60.7, 71.5, 'https://arxiv.org/abs/2508.10925', '2025-08-05'),
        ('gpt_4_1', 54.6, 66.3, 'https://openai.com/index/gpt-4-1/', '2025-04-14'),
        ('devstral_small_2', 68.0, null, 'https://mistral.ai/news/devstral-2-vibe-cli', '2025-12-09'),
        ('claude_haiku_4_5', 73.3, null, 'https://www.anthropic.com/news/claude-haiku-4-5', '2025-10-15'),
        ('gemini_3_1_pro', 80.6, 94.3, 'https://deepmind.google/models/gemini/pro/', '2026-02-19')
) as m (name, coding, reasoning, url, day);

insert into pg_temp.model_facts (name, provider, source, card)
values
    ('gpt_5_4', 'openai', 'jonathanwrede.de', '{"latency_p50_ms": 1147}'),
    ('gpt_5_5', 'openai', 'jonathanwrede.de', '{"latency_p50_ms": 1501}'),
    ('deepseek_v4_flash', 'openrouter', 'jonathanwrede.de', '{"latency_p50_ms": 3560}');
