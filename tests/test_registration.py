"""What `import comem_hf` brings, and that transformers knows the package in whatever order things are imported."""

import importlib
import pickle

import pytest
from transformers import AutoModel, AutoModelForImageTextToText
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

import comem_hf
from comem_hf import CoMemConfig, CoMemForConditionalGeneration, CoMemProcessor
from comem_hf.default import default_path
from tests.processes.alone import run_alone


HEAVY = ("torch", "transformers", "peft", "faiss", "pyarrow", "huggingface_hub", "numpy", "PIL")

ORDERS = {
    "ours first": "import comem_hf",
    "ours last": "from transformers import AutoConfig, AutoModel, AutoProcessor, pipeline; import comem_hf",
    "ours between": "from transformers import AutoConfig; import comem_hf; from transformers import AutoModel",
    # These bring transformers in the middle of an import of their own.
    "trainer": "import comem_hf; from transformers import Trainer",
    "layers": "import comem_hf, transformers.modeling_layers",
    "peft": "import comem_hf, peft",
    "pipelines": "import comem_hf, transformers.pipelines.base",
    "our pipeline": "from comem_hf import MemoryImageTextToTextPipeline",
    "peft's layers": "import comem_hf; from peft.tuners.lora import LoraLayer",
    "accelerate": "import comem_hf, accelerate",
    "our files of the model": "from comem_hf.modeling import adapter_comem",
    "our bank": "from comem_hf.bank.opened.hit import MemoryHit",
    "our pipeline's file": "import comem_hf.modeling.pipeline_comem",
    "our processor": "from comem_hf.modeling.processing_comem import CoMemProcessor",
    "our configuration": "from comem_hf import CoMemConfig",
    "our star": "from comem_hf import *",
    "reload": "import comem_hf, importlib; importlib.reload(comem_hf)",
}


def loaded_by_auto_classes(statements: str, model: str) -> list[str]:
    import sys

    exec(statements, {})
    kept = "comem_hf" in sys.modules

    from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor, pipeline

    pipe = pipeline("memory-image-text-to-text", model=model, device="cpu")
    classes = (AutoProcessor, AutoModel, AutoModelForImageTextToText, AutoConfig)
    loaded = [*(type(auto_class.from_pretrained(model)) for auto_class in classes), type(pipe)]
    return [f"{cls.__module__}.{cls.__name__}" for cls in loaded] if kept else []


def loaded_by_threads(first: str, model: str) -> list[str]:
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier

    # transformers' own modules do not bear to be imported by several threads, comem_hf or not.
    from transformers import AutoConfig, AutoModel, AutoProcessor

    def name_of_class(name):
        together.wait()
        import comem_hf

        return getattr(comem_hf, name).__name__

    def name_of_loaded(auto_class):
        together.wait()
        return type(auto_class.from_pretrained(model)).__name__

    names = ["CoMemForConditionalGeneration", "CoMemProcessor", "MemoryItem", "CoMemConfig", "MemoryBank"]
    auto_classes = [AutoConfig, AutoProcessor, AutoModel]
    with ThreadPoolExecutor(8) as pool:
        if first == "classes":
            together = Barrier(len(names))
            list(pool.map(name_of_class, names))
        import comem_hf  # noqa: F401

        together = Barrier(len(auto_classes))
        return list(pool.map(name_of_loaded, auto_classes))


def heavy_modules(statements: str, names: list[str]) -> list[str]:
    import contextlib
    import sys

    with contextlib.suppress(SystemExit):
        exec(statements, {})
    return [name for name in names if name in sys.modules]


@pytest.mark.parametrize(
    "statements",
    ["import comem_hf", "from comem_hf.commands import main; main(['--help'])"],
)
def test_neither_the_package_nor_the_help_imports_anything_heavy(tmp_path, statements):
    assert run_alone(heavy_modules, statements, HEAVY, folder=tmp_path, hidden=()).result == []


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS)
def test_transformers_knows_the_package_in_every_order_of_imports(tmp_path, order):
    done = run_alone(loaded_by_auto_classes, ORDERS[order], str(default_path("model")), folder=tmp_path, hidden=())
    model = "comem_hf.modeling.modeling_comem.CoMemForConditionalGeneration"
    processor = "comem_hf.modeling.processing_comem.CoMemProcessor"
    config = "comem_hf.modeling.configuration_comem.CoMemConfig"
    assert done.result == [
        processor,
        model,
        model,
        config,
        "comem_hf.modeling.pipeline_comem.MemoryImageTextToTextPipeline",
    ]
    assert "already registered" not in done.output


@pytest.mark.slow
@pytest.mark.parametrize("first", ["classes", "auto classes"])
def test_threads_may_ask_for_all_of_it_at_once(tmp_path, first):
    done = run_alone(loaded_by_threads, first, str(default_path("model")), folder=tmp_path, hidden=())
    assert done.result == ["CoMemConfig", "CoMemProcessor", "CoMemForConditionalGeneration"]


def test_once_imported_the_classes_themselves_are_registered():
    assert AutoModel._model_mapping[CoMemConfig] is CoMemForConditionalGeneration
    assert AutoModelForImageTextToText._model_mapping[CoMemConfig] is CoMemForConditionalGeneration
    assert PROCESSOR_MAPPING[CoMemConfig] is CoMemProcessor


def test_classes_are_pickled_by_their_names():
    for cls in (CoMemConfig, CoMemForConditionalGeneration, CoMemProcessor):
        assert pickle.loads(pickle.dumps(cls)) is cls


@pytest.mark.parametrize("package", ["comem_hf", "comem_hf.modeling"])
def test_packages_show_all_their_names_and_no_others(package):
    module = importlib.import_module(package)
    assert set(module.__all__) <= set(dir(module))
    assert all(getattr(module, name).__name__ == name for name in module.__all__)
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'fly'"):
        module.fly  # noqa: B018


def test_reloading_the_package_registers_nothing_twice():
    classes = comem_hf.CoMemConfig, comem_hf.CoMemForConditionalGeneration
    assert importlib.reload(comem_hf) is comem_hf
    assert (comem_hf.CoMemConfig, comem_hf.CoMemForConditionalGeneration) == classes
    assert AutoModel._model_mapping[CoMemConfig] is CoMemForConditionalGeneration
