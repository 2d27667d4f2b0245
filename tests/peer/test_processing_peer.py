"""Transformers' common tests of processors: over Qwen2-VL's and over ours."""

import unittest

from transformers import AutoTokenizer, Qwen2VLImageProcessor, Qwen2VLProcessor, Qwen2VLVideoProcessor
from transformers_tests.test_processing_common import ProcessorTesterMixin

from comem_hf import CoMemProcessor
from comem_hf.default import default_path


class CommonTests(ProcessorTesterMixin):
    @classmethod
    def _setup_tokenizer(cls):
        return AutoTokenizer.from_pretrained(default_path("model"))

    @classmethod
    def _setup_image_processor(cls):
        return Qwen2VLImageProcessor(size={"shortest_edge": 28 * 28, "longest_edge": 56 * 56})

    @classmethod
    def _setup_video_processor(cls):
        return Qwen2VLVideoProcessor(size={"shortest_edge": 28 * 28, "longest_edge": 56 * 56})

    @staticmethod
    def prepare_processor_dict():
        return {"chat_template": AutoTokenizer.from_pretrained(default_path("model")).chat_template}


class Qwen2VLProcessorTest(CommonTests, unittest.TestCase):
    processor_class = Qwen2VLProcessor


class CoMemProcessorTest(CommonTests, unittest.TestCase):
    processor_class = CoMemProcessor

    @staticmethod
    def does_processor_return_mm_offsets(processor_class, method_name):
        # The mixin looks for the method in the class itself, and ours has it from Qwen2-VL's.
        return ProcessorTesterMixin.does_processor_return_mm_offsets(Qwen2VLProcessor, method_name)
