-- depends: 0009_closed_reads

alter table model_providers add column costs_nothing boolean not null default false;

comment on column model_providers.costs_nothing is
    'Requests cost nothing here: a price that a model of this provider does not have is 0, and not unknown.';
