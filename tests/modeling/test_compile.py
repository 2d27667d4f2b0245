"""Decoding with `torch.compile` and a static cache, as `generate` does it on a GPU by itself."""

import pytest
import torch
from packaging.version import Version
from transformers import CompileConfig

from tests.conftest import make_model


pytestmark = pytest.mark.skipif(
    Version(torch.__version__) < Version("2.7"), reason="torch 2.6 compiles no plain Qwen2-VL, for decorators in it"
)
SETTINGS = {"max_new_tokens": 8, "min_new_tokens": 8, "do_sample": False, "cache_implementation": "static"}


def compiling(**settings) -> CompileConfig:
    config = CompileConfig(fullgraph=True, mode=None, **settings)
    config._compile_all_devices = True  # by default only on GPUs
    return config


@pytest.fixture(scope="module")
def model(family):
    return make_model(family)


@pytest.mark.parametrize("with_image", [True, False])
def test_decoding_compiles_to_one_graph_that_gives_the_same_tokens(model, make_inputs, with_image):
    inputs = make_inputs((2, 1), with_image=with_image)
    expected = model.generate(**inputs, **SETTINGS, disable_compile=True)
    graphs = []

    def compiler(graph, example_inputs):
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    compile_config = compiling(backend=compiler)
    assert torch.equal(model.generate(**inputs, **SETTINGS, compile_config=compile_config), expected)
    assert len(graphs) == 1
    # Other prompts and memories of the same batch size find the graph there.
    model.generate(**make_inputs((1, 2), with_image=with_image), **SETTINGS, compile_config=compile_config)
    assert len(graphs) == 1


@pytest.mark.slow
def test_decoding_compiled_to_machine_code_gives_the_same_tokens(model, make_inputs):
    inputs = make_inputs((2, 1))
    torch._dynamo.reset()
    compiled = model.generate(**inputs, **SETTINGS, compile_config=compiling())
    assert torch.equal(compiled, model.generate(**inputs, **SETTINGS, disable_compile=True))
