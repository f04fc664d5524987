-- depends: 0012_service_jobs

-- Sources: what is asked again and again for the models that exist, and what each answered last.

create table model_sources (
    id uuid primary key default gen_random_uuid(),
    name registry_key not null,
    kind text not null,
    address text,
    interval_seconds double precision,
    api_key_env_var text,
    provider registry_key,
    framework registry_key,
    position integer not null default 0,
    active boolean not null default true,
    options jsonb not null default '{}',
    environment_variable text,
    version integer not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint model_sources_name_key unique (name),
    constraint model_sources_kind_known check (kind in (
        'training_service', 'ollama', 'openai', 'litellm_prices', 'huggingface', 'model_garden', 'directory', 'file', 'module')),
    constraint model_sources_address_is_short check (char_length(address) <= 2000 and address !~ '[[:cntrl:]]'),
    constraint model_sources_interval_is_positive check (interval_seconds > 0 and interval_seconds < 'infinity'),
    constraint model_sources_api_key_env_var_is_name check (api_key_env_var ~ '^[A-Za-z_][A-Za-z0-9_]*$'),
    constraint model_sources_options_is_object check (jsonb_typeof(options) = 'object')
);
comment on table model_sources is 'Something that is asked again and again for the models that exist.';
comment on column model_sources.name is 'Its name, which field_sources of the models has for the fields that it fills.';
comment on column model_sources.address is 'A URL; of the kinds directory and file a path below the directory that the operator allows.';
comment on column model_sources.interval_seconds is 'Between two questions. Null: the usual interval of its kind.';
comment on column model_sources.api_key_env_var is 'Environment variable of the registry with the key that it wants.';
comment on column model_sources.position is 'Of several sources that list a model, the one with the lowest position is shown first.';
comment on column model_sources.environment_variable is 'The variable of the registry''s environment that it comes from. Null: people made it, and change it.';

-- A row comes with the first answer. It changes when the answer does, not with every question.
create table source_answers (
    id uuid primary key,
    state text not null,
    error text,
    failing_since timestamptz,
    last_good_at timestamptz,
    question text,
    etag text,
    last_modified text,
    digest text,
    counts jsonb not null default '{}',
    skipped jsonb not null default '[]',
    passed_over jsonb not null default '[]',
    listed jsonb not null default '[]',
    version integer not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint source_answers_id_fkey foreign key (id) references model_sources (id) on delete cascade,
    constraint source_answers_state_known check (state in ('ok', 'failing')),
    constraint source_answers_counts_is_object check (jsonb_typeof(counts) = 'object'),
    constraint source_answers_skipped_is_list check (jsonb_typeof(skipped) = 'array'),
    constraint source_answers_passed_over_is_list check (jsonb_typeof(passed_over) = 'array'),
    constraint source_answers_listed_are_strings check (
        jsonb_typeof(listed) = 'array' and not jsonb_path_exists(listed, '$[*] ? (@.type() != "string")'))
);
comment on table source_answers is 'What a source answered last. The row has the id of its source.';
comment on column source_answers.last_good_at is 'When it last answered, as of this change; source_turns has the newest time.';
comment on column source_answers.question is 'What etag, last_modified and digest answer: another question makes them void.';
comment on column source_answers.digest is 'Of the last good answer: an equal one changes nothing.';
comment on column source_answers.skipped is 'Entries that could not be read or imported: [{"name", "reason"}]. counts has the number of all.';
comment on column source_answers.passed_over is 'Entries that are no models for the registry, such as prices of moderation: [{"name", "reason"}]. counts has the number of all.';
comment on column source_answers.listed is 'The ids of the models that it listed in its last good answer.';

-- Moves with every question, and is no change of the registry.
create table source_turns (
    source_id uuid primary key,
    source_version integer,
    next_at timestamptz not null default now(),
    asked_at timestamptz,
    good_at timestamptz,
    claimed_until timestamptz,
    claimed_by text,
    constraint source_turns_source_id_fkey foreign key (source_id) references model_sources (id) on delete cascade
);
comment on table source_turns is 'When each source is asked, and which replica is asking it now.';
comment on column source_turns.source_version is 'The version of the source that was asked last: a changed one is asked at once.';
comment on column source_turns.claimed_until is 'Until then nobody else asks it. Null: nobody is asking.';

alter table models add column missing_since timestamptz;
comment on column models.missing_since is 'Since when no source lists it that did. Null: one does, or none ever did.';
