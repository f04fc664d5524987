-- depends: 0005_api_keys
-- replaces: 0002_tables .. 0015_routed_first

-- The categories that every registry starts with. No triggers are there yet: they are no change.
insert into model_categories (key, name, description, icon)
values
    ('text-llm', 'Language models', 'Text in, text out: chat, completion, code.', '✍️'),
    ('vision-vlm', 'Vision-language models', 'Images and text in, text out.', '🎨'),
    ('embedding', 'Embedding models', 'Text in, a vector out: search, clustering.', '🧭'),
    ('reranker', 'Rerankers', 'Order what a search found.', '📊'),
    ('text-to-speech', 'Speech synthesis', 'Text in, speech out.', '🔊'),
    ('speech-to-text', 'Transcription', 'Speech in, text out.', '🎙️'),
    ('image-generation', 'Image generation', 'Text in, images out.', '🖼️');
