-- What four services do with models. The gateway calls each function <service>_<function>.

insert into functions (service_name, function_name, type, description)
select seed.service_name, seed.function_name, seed.type, seed.description
from (
    values
        ('agents', 'chat', 'chat', 'Talk with a person, call tools'),
        ('agents', 'plan', 'chat', 'Think a task through before anything is done'),
        ('agents', 'see', 'chat', 'Read images, screens and documents'),
        ('agents', 'extract', 'json', 'Turn text into JSON'),

        ('coding', 'generate', 'chat', 'Write and change code'),
        ('coding', 'complete', 'chat', 'Complete the line being typed: quick, or useless'),
        ('coding', 'review', 'chat', 'Find what is wrong with a change'),

        ('research', 'search', 'chat', 'Answer from the web, with sources'),
        ('research', 'report', 'chat', 'Research a question for minutes'),
        ('research', 'summarize', 'chat', 'Shorten long documents'),

        ('embeddings', 'text', 'chat', 'Vectors of text; for look-up'),
        ('embeddings', 'rerank', 'chat', 'Sort what a search found; for look-up')
) as seed (service_name, function_name, type, description)
where not exists (
    select from registry_changes c
    where c.table_name = 'functions'
      and c.after ->> 'service_name' = seed.service_name and c.after ->> 'function_name' = seed.function_name)
on conflict do nothing;
