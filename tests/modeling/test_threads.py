"""Encoding, generating and saving at the same time does not mix them up."""

import threading

import torch

from comem_hf import CoMemConfig


ROUNDS = 8


def test_one_thread_encoding_and_one_generating_match_the_same_in_sequence(tiny_model, make_inputs):
    inputs, items = make_inputs((2, 1)), make_inputs((3,))["memory_inputs"]
    vectors = tiny_model.encode_memory(items).detach()
    stored = {**inputs, "memory_inputs": tiny_model.encode_memory(inputs["memory_inputs"]).detach()[:2, None]}
    answer = tiny_model.generate(**stored, max_new_tokens=8, do_sample=False)
    barrier = threading.Barrier(2)
    encoded, answers, errors = [], [], []

    def work(results: list, make):
        try:
            barrier.wait()
            for _ in range(ROUNDS):
                results.append(make())
        except Exception as error:  # an assertion in a thread would be lost
            errors.append(error)

    def encode() -> torch.Tensor:
        with torch.no_grad():
            return tiny_model.encode_memory(items)

    def generate() -> torch.Tensor:
        return tiny_model.generate(**stored, max_new_tokens=8, do_sample=False)

    threads = [threading.Thread(target=work, args=args) for args in ((encoded, encode), (answers, generate))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(encoded) == len(answers) == ROUNDS
    assert all(torch.equal(result, vectors) for result in encoded)
    assert all(torch.equal(result, answer) for result in answers)


def test_threads_that_save_full_and_memory_only_write_what_each_was_asked_for(tiny_model, tmp_path):
    tiny_model.config.backbone_name_or_path = "me/backbone"
    before = tiny_model.config.to_dict()
    barrier = threading.Barrier(2)
    wrong = []

    def save(memory_only: bool):
        barrier.wait()
        for number in range(ROUNDS):
            folder = tmp_path / f"{memory_only}-{number}"
            tiny_model.save_pretrained(folder, memory_only=memory_only)
            if CoMemConfig.from_pretrained(folder).memory_only != memory_only or tiny_model.config.memory_only:
                wrong.append(folder)

    threads = [threading.Thread(target=save, args=(memory_only,)) for memory_only in (True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert tiny_model.config.to_dict() == before and "save_pretrained" not in vars(tiny_model)
    tiny_model.config.backbone_name_or_path = None
