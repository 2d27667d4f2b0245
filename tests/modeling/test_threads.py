"""Encoding and generating at the same time does not mix them up."""

import threading

import torch


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
