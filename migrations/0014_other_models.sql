-- depends: 0013_model_sources

-- Models for tasks without an interface that gateways know: classification, detection, segmentation, forecasting.
-- The older service writes none of them, and reads them as it reads any other type.
alter table models
    drop constraint models_model_type_known,
    add constraint models_model_type_known
        check (model_type in ('chat', 'embedding', 'reranker', 'vl', 'tts', 'audio', 'image', 'other'));
