"""Every call in Model Garden's documentation, from its own kind of file and from a registry, with equal results."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from model_registry.client import Client
from model_registry.client.compat import garden
from model_registry.client.compat.garden import (
    GardenRegistry,
    InferenceDefaults,
    ModelCapabilities,
    ModelCategory,
    ModelInfo,
    ModelRegistry,
    ModelRequirements,
    ModelStatus,
    get_model,
    get_registry,
    validate_model_for_inference,
    validate_model_for_training,
)
from model_registry.entities.fitness import Hardware
from model_registry.errors import RegistryUnreachable
from support.documents import FILE
from support.documents import garden as document
from support.processes import Service

TINY, READER, OLD = "unsloth/tinyllama-bnb-4bit", "acme/reader-1b", "unsloth/llama-2-7b-bnb-4bit"
VISION = "Qwen/Qwen2.5-VL-7B-Instruct"


@pytest.fixture(params=["file", "http"])
def registry(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[GardenRegistry]:
    """What `get_registry` answers, as it is imported."""
    made = GardenRegistry(FILE)
    if request.param == "http":
        service: Service = request.getfixturevalue("service")
        with Client(service.url, service.client.headers["Authorization"].removeprefix("Bearer ")) as client:
            client.import_document(document())
        monkeypatch.setenv("MODEL_REGISTRY_URL", service.url)
        made = GardenRegistry()
    monkeypatch.setattr(garden, "get_registry", lambda: made)
    yield made
    made.close()


def test_models_and_what_they_are(registry: GardenRegistry) -> None:
    assert list(registry.get_all_models()) == list(document()["models"])
    model = get_model(TINY)
    assert model is not None
    assert (model.name, model.requirements.min_vram_gb) == ("TinyLlama 1.1B (4-bit)", 4)
    assert (model.is_vision_model, model.is_quantized, model.supports_selective_loss) == (False, True, False)
    assert (model.capabilities.streaming, model.capabilities.training) == (True, True)
    assert get_model("nobody/nothing") is None
    assert registry.check_model_exists(TINY)


def test_models_by_what_they_are_for(registry: GardenRegistry) -> None:
    def ids(models: list[garden.GardenModel]) -> set[str]:
        return {model.id for model in models}

    assert TINY in ids(registry.get_text_models()) == ids(registry.get_models_by_category("text-llm"))
    assert VISION in ids(registry.get_vision_models()) == ids(garden.get_vision_models())
    assert ids(garden.get_text_models()) == ids(registry.get_text_models())
    assert ids(registry.get_recommended_models()) == {VISION, "unsloth/llama-3-8b-bnb-4bit"}
    assert ids(registry.get_recommended_models("vision-vlm")) == {VISION}
    assert TINY in ids(registry.get_models_by_tag("quantized"))
    assert OLD not in ids(registry.get_stable_models())
    assert registry.get_categories()["text-llm"]["icon"] == "✍️"
    assert registry.get_categories().keys() == {"text-llm", "vision-vlm"}


def test_objects_are_dictionaries_too(registry: GardenRegistry) -> None:
    model = registry.get_all_models()[TINY]

    assert (model["name"], model["requirements"]["min_vram_gb"], model.quantization.get("method")) == (
        model.name,
        4,
        "4bit",
    )
    assert model.training_defaults["hyperparameters"]["batch_size"] == 2
    assert model.training_defaults.get("selective_loss", {}).get("supported", False) is False
    assert model.training_defaults.get("save_method", "merged_16bit") == "merged_16bit"
    assert {**model.capabilities}["streaming"] is True
    assert dict(model.quantization) == {"method": "4bit", "type": "bitsandbytes"}
    assert ("type" in model.quantization, "nothing" in model.quantization) == (True, False)
    with pytest.raises(KeyError):
        model["nothing"]
    vision = registry.get_all_models()[VISION]
    assert vision.training_defaults["selective_loss"]["supported"] is True
    assert (model.requirements.min_gpus, model.requirements["min_gpus"]) == (1, 1)


def test_the_list_for_a_user_interface(registry: GardenRegistry) -> None:
    rows = registry.get_model_list_for_ui()

    assert [row["id"] for row in rows] == list(document()["models"])
    assert rows[0] == {
        "id": TINY,
        "name": "TinyLlama 1.1B (4-bit)",
        "category": "text-llm",
        "parameters": "1.1B",
        "description": "Tiny, for trying things out",
        "tags": ["small", "testing", "quantized"],
        "status": "stable",
        "is_vision": False,
        "is_quantized": True,
        "min_vram_gb": 4,
        "recommended_vram_gb": 6,
    }
    assert all(row["is_vision"] for row in registry.get_model_list_for_ui(category=ModelCategory.VISION_VLM))
    assert registry.get_model_list_for_ui("cars") == []


def test_where_training_and_serving_start_from(registry: GardenRegistry) -> None:
    model = registry.get_model(VISION)
    assert model is not None

    hyperparameters = model.get_training_hyperparameters()
    assert (hyperparameters["learning_rate"], hyperparameters["batch_size"]) == (2e-5, 1)
    assert {**hyperparameters, "batch_size": 4}["batch_size"] == 4
    assert model.get_lora_config()["r"] == 16
    assert model.get_inference_config() == {
        "max_model_len": 8192,
        "dtype": "auto",
        "gpu_memory_utilization": 0.0,
        "quantization": "fp8",
        "tensor_parallel_size": 1,
    }
    assert model.is_vision_model
    assert model.supports_selective_loss


def test_whether_a_model_does(registry: GardenRegistry) -> None:
    assert registry.validate_model_for_training(TINY) == validate_model_for_training(TINY) == (True, None)
    assert validate_model_for_inference(READER) == (True, None)
    is_valid, error = validate_model_for_training(READER)
    assert (is_valid, "does not support training" in str(error)) == (False, True)
    assert "deprecated" in str(validate_model_for_inference(OLD)[1])
    is_valid, error = validate_model_for_training("nobody/nothing")
    assert (is_valid, "not found" in str(error)) == (False, True)
    assert not registry.judge(VISION, "training", Hardware(vram_gb=8)).is_valid


def test_the_local_check_equals_the_registrys(service: Service) -> None:
    with Client(service.url, service.client.headers["Authorization"].removeprefix("Bearer ")) as client:
        client.import_document(document())
        client.create_provider(name="lab", type="ollama", api_base="http://lab:11434/v1")
        client.create_model(name="plain", model_id="plain", provider="lab")
        client.create_model(name="off", model_id="off", provider="lab", active=False)
        registry = GardenRegistry(client=client)

        for model_id in registry.get_all_models():
            assert registry.judge(model_id, "training") == client.validate_model(model_id, "training")
            here = registry.judge(model_id, "inference", Hardware(vram_gb=12, cuda_compute_capability="9.0"))
            there = client.validate_model(model_id, "inference", vram_gb=12, cuda_compute_capability="9.0")
            assert here == there


def test_a_model_of_ones_own() -> None:
    model = ModelInfo(
        id="test/text-model",
        name="Test",
        category="text-llm",
        provider="test",
        base_architecture="llama",
        parameters="1B",
        description="d",
        tags=["test"],
        status="stable",
        quantization={"method": None, "type": None},
        requirements=ModelRequirements(min_vram_gb=4, recommended_vram_gb=8, min_ram_gb=16),
        capabilities=ModelCapabilities(training=True, inference=True),
        training_defaults={"hyperparameters": {}, "lora_config": {"r": 16}, "save_method": "lora"},
        inference_defaults=InferenceDefaults(max_model_len=2048, dtype="auto", gpu_memory_utilization=0.9),
        urls={},
    )

    assert (model.status, model.category) == (ModelStatus.STABLE.value, ModelCategory.TEXT_LLM.value)
    assert (model.is_quantized, model["training_defaults"]["save_method"]) == (False, "lora")
    assert (model.get_inference_config()["tensor_parallel_size"], model.requirements.min_gpus) == (1, 1)
    assert ModelRegistry(registry_path=FILE).check_model_exists(TINY)


def test_get_registry_is_one_object(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_REGISTRY_URL", "http://127.0.0.1:9")

    assert get_registry(FILE) is get_registry(FILE)
    assert get_registry(str(FILE)).check_model_exists(TINY)
    with pytest.raises(FileNotFoundError):
        get_registry("nowhere.json").get_all_models()
    made = get_registry()
    with pytest.raises(RegistryUnreachable):
        made.get_all_models()
    made.close()
    get_registry.cache_clear()
