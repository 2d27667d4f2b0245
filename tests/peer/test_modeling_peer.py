"""Transformers' common tests of models: over Qwen2-VL and Qwen2.5-VL, and over our model on each."""

import unittest

from testers import CoMemTester, Qwen2VLTester
from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2VLForConditionalGeneration
from transformers_tests.generation.test_utils import GenerationTesterMixin
from transformers_tests.test_configuration_common import ConfigTester
from transformers_tests.test_modeling_common import ModelTesterMixin

from comem_hf import CoMemForConditionalGeneration


class CommonTests(ModelTesterMixin, GenerationTesterMixin):
    model_tester_class = Qwen2VLTester
    settings = {}
    _is_composite = True  # read by the mixin: text and vision have configurations of their own
    model_tester = None

    def setUp(self):
        self.model_tester = self.model_tester_class(self, **self.settings)

    def test_config(self):
        config_class = self.all_model_classes[0].config_class
        ConfigTester(self, config_class=config_class, has_text_modality=False).run_common_tests()


class CoMemTests(CommonTests):
    all_model_classes = (CoMemForConditionalGeneration,)
    model_tester_class = CoMemTester
    test_can_init_all_missing_weights_before_2023 = True  # by the year in the file, which ours does not name

    # These three change the prompts and know nothing of raw memory items, so that they are given encoded ones.
    def test_batching_equivalence(self):
        self.model_tester.memory_is_stored = True
        super().test_batching_equivalence()

    def test_resize_tokens_embeddings(self):
        self.model_tester.memory_is_stored = True
        super().test_resize_tokens_embeddings()

    def test_resize_embeddings_untied(self):
        self.model_tester.memory_is_stored = True
        super().test_resize_embeddings_untied()


class Qwen2VLTest(CommonTests, unittest.TestCase):
    all_model_classes = (Qwen2VLForConditionalGeneration,)
    settings = {"family": "qwen2_vl"}


class CoMemAdapterOnQwen2VLTest(CoMemTests, unittest.TestCase):
    settings = {"family": "qwen2_vl", "encoder": "adapter"}


class CoMemSeparateOnQwen2VLTest(CoMemTests, unittest.TestCase):
    settings = {"family": "qwen2_vl", "encoder": "separate"}


class Qwen2_5_VLTest(CommonTests, unittest.TestCase):  # noqa: N801
    all_model_classes = (Qwen2_5_VLForConditionalGeneration,)
    settings = {"family": "qwen2_5_vl"}


class CoMemAdapterOnQwen2_5_VLTest(CoMemTests, unittest.TestCase):  # noqa: N801
    settings = {"family": "qwen2_5_vl", "encoder": "adapter"}


class CoMemSeparateOnQwen2_5_VLTest(CoMemTests, unittest.TestCase):  # noqa: N801
    settings = {"family": "qwen2_5_vl", "encoder": "separate"}
