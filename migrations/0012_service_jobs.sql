-- depends: 0011_model_services

-- Work that a model service is asked for and that outlives the request for it: trainings. No configuration, so it is not in the change log.

create table service_jobs (
    id uuid primary key,
    model_type text not null,
    model_name text,
    phase text not null default 'queued',
    training_flow text,
    service_id text,
    request text,
    total_seconds double precision not null,
    idempotency_key text,
    request_digest text not null,
    progress jsonb,
    detail text,
    error jsonb,
    answer jsonb,
    answer_body text,
    created_by text not null,
    owner text,
    sender text,
    lease_until timestamptz,
    version integer not null default 1,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    constraint service_jobs_phase_known check (phase in (
        'queued', 'preparation_sent', 'preparing', 'prepared', 'training_sent', 'training', 'succeeded', 'failed', 'unknown', 'cancelled')),
    constraint service_jobs_finished check (
        (phase in ('succeeded', 'failed', 'unknown', 'cancelled')) = (finished_at is not null)),
    constraint service_jobs_training_flow_known check (training_flow in ('direct', 'prepared')),
    constraint service_jobs_sizes check (
        octet_length(request) <= 1048576 and octet_length(answer_body) <= 1048576
        and octet_length(progress::text) <= 65536 and octet_length(error::text) <= 65536),
    constraint service_jobs_idempotency_key_key unique (created_by, idempotency_key)
);
comment on table service_jobs is 'Trainings that model services were asked for: those that run, and the newest that have ended.';
comment on column service_jobs.model_name is 'What the service calls the model that it trains, where the request or the service names it.';
comment on column service_jobs.phase is 'How far it is. Each request to a service is recorded (*_sent) before it is sent.';
comment on column service_jobs.training_flow is 'direct: POST /train. prepared: the data is prepared first. Null: no instance is chosen yet.';
comment on column service_jobs.service_id is 'The instance that was asked.';
comment on column service_jobs.request is 'The JSON that the service gets. Null once the job has ended.';
comment on column service_jobs.total_seconds is 'For how long it may run, from the first request to a service on.';
comment on column service_jobs.idempotency_key is 'A second request of the same caller with it is answered with this job.';
comment on column service_jobs.request_digest is 'SHA-256 of the request, which tells a repeated request from another one with the same key.';
comment on column service_jobs.progress is 'The newest progress that the service reported.';
comment on column service_jobs.detail is 'What it waits for, or what to do now, for people.';
comment on column service_jobs.error is 'Why it failed: {"code", "message"}.';
comment on column service_jobs.answer is 'The service''s last answer: {"status", "content_type", "bytes", "kept"}.';
comment on column service_jobs.answer_body is 'The answer itself. Null where it was too large to be kept.';
comment on column service_jobs.owner is 'The replica that works on it while its lease lasts.';
comment on column service_jobs.sender is 'The replica that sent the newest request: it alone may learn the outcome of one that the others take for unknown.';
comment on column service_jobs.lease_until is 'By the database''s clock. After it, any replica may take the job over.';

create index service_jobs_open_idx on service_jobs (lease_until) where finished_at is null;
create index service_jobs_finished_idx on service_jobs (finished_at desc, id) where finished_at is not null;
create index service_jobs_newest_idx on service_jobs (created_at desc, id desc);
