"""Pipelines out of a repository, in processes that have the package and in processes that do not."""

from dataclasses import asdict

import pytest

from comem_hf.modeling.installation_comem import how_to_install
from tests.hub.conftest import needs_whole_copy, question_about
from tests.local_hub.server import HubServer
from tests.processes.alone import run_alone


pytestmark = [pytest.mark.slow, needs_whole_copy]


def push(saved) -> None:
    from transformers import AutoModelForImageTextToText

    from comem_hf import CoMemForConditionalGeneration, CoMemProcessor

    AutoModelForImageTextToText.from_pretrained(saved["backbone"]).push_to_hub("ann/backbone")
    model = CoMemForConditionalGeneration.from_pretrained(saved["full"])
    processor = CoMemProcessor.from_pretrained(saved["full"])
    memory = CoMemForConditionalGeneration.from_backbone("ann/backbone", lora_config=model.config.lora_config)
    memory.load_memory_encoder(model.memory_encoder_state_dict())
    model.push_to_hub("ann/full")
    memory.push_to_hub("ann/memory", memory_only=True)
    for repository in ("ann/full", "ann/memory"):
        processor.push_to_hub(repository)


def ask(repository, picture, trust) -> dict:
    from transformers import pipeline

    trust_kwargs = {"trust_remote_code": True, "revision": "main"} if trust else {}
    greedy = {"max_new_tokens": 8, "min_new_tokens": 8, "do_sample": False}
    conversation, (memories,) = question_about(picture)
    answer = pipeline("memory-image-text-to-text", model=repository, **trust_kwargs)
    settings = {"generate_kwargs": greedy, "return_tensors": True}
    (with_memory,) = answer(text=conversation, memories=memories, explain=True, **settings)
    (plain,) = answer(text=conversation, **settings)
    memory_inputs = answer.processor.process_memories([memories])
    standard = pipeline("image-text-to-text", model=repository, **trust_kwargs)
    (standard_with_memory,), (standard_plain,) = (
        standard(text=conversation, generate_kwargs={**greedy, **memory}, return_tensors=True)
        for memory in ({"memory_inputs": memory_inputs}, {})
    )
    refusal = ""
    try:
        pipeline("memory-image-text-to-text", model=repository, memory_bank="ann/bank", **trust_kwargs)
    except Exception as error:
        refusal = str(error)
    answers = (with_memory, standard_with_memory, plain, standard_plain)
    return {
        "module": type(answer).__module__.split(".")[0],
        "answers": [found["generated_token_ids"][-8:].tolist() for found in answers],
        "memories": with_memory["memories"],
        "refusal": refusal,
    }


def ask_of_the_installed_package(repository, picture) -> dict:
    import comem_hf  # noqa: F401

    return ask(repository, picture, trust=False)


@pytest.fixture(scope="module")
def hub(saved, tmp_path_factory):
    with HubServer({"ann's": "ann"}) as server:
        environment = {"HF_ENDPOINT": server.endpoint, "HF_TOKEN": "ann's"}
        run_alone(push, asdict(saved), folder=tmp_path_factory.mktemp("ann"), hidden=(), **environment)
        yield server


@pytest.mark.parametrize("repository", ["ann/full", "ann/memory"])
def test_without_the_package_a_repository_brings_its_pipeline(hub, saved, tmp_path, repository):
    endpoint = {"HF_ENDPOINT": hub.endpoint}
    done = run_alone(ask, repository, saved.picture, True, folder=tmp_path, uses=(question_about,), **endpoint)
    assert "A new version of the following files was downloaded" not in done.output  # `revision` is given
    done = done.result
    assert done["module"] == "transformers_modules"
    with_memory, standard_with_memory, plain, standard_plain = done["answers"]
    assert with_memory == standard_with_memory == saved.answer
    assert plain == standard_plain != saved.answer
    assert [memory["text"] for memory in done["memories"]] == ["The flag of Peru.", "Its capital is Lima."]
    assert sum(memory["share"] for memory in done["memories"]) == pytest.approx(1)
    named = "`memory_bank='ann/bank'` names a bank, which only comem_hf can open: "
    assert done["refusal"].startswith(named + how_to_install())


@pytest.mark.parametrize("repository", ["ann/full", "ann/memory"])
def test_with_the_package_no_remote_code_is_needed(hub, saved, tmp_path, repository):
    arguments = (ask_of_the_installed_package, repository, saved.picture)
    uses, endpoint = (question_about, ask), {"HF_ENDPOINT": hub.endpoint}
    done = run_alone(*arguments, folder=tmp_path, uses=uses, hidden=(), **endpoint)
    assert done.result["module"] == "comem_hf"
    assert done.result["answers"][:2] == [saved.answer] * 2
    assert "ann/bank" in done.result["refusal"] and "pip install" not in done.result["refusal"]
    assert "not supported" not in done.output and "already registered" not in done.output
