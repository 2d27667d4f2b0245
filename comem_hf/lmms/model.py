"""The model `comem` of lmms-eval: a CoMEM model with a memory bank."""

import time
from collections.abc import Sequence
from typing import Any

import torch
from accelerate import Accelerator
from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts
from lmms_eval.api.model import lmms
from lmms_eval.models.model_utils.gen_metrics import log_metrics
from lmms_eval.utils import Collator
from tqdm import tqdm
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor
from transformers.utils import logging

from comem_hf.answering import (
    WITHOUT_BANK,
    conversation_inputs,
    generate_sequences,
    positions_by_question,
    read_texts,
)
from comem_hf.bank import MemoryBank, MemoryHit
from comem_hf.default import default_path
from comem_hf.evaluation.asking.items import shown_items
from comem_hf.evaluation.asking.terms.protocol import EQUAL
from comem_hf.modeling.configuration_comem import CoMemConfig
from comem_hf.modeling.query_pictures_comem import position_limit
from comem_hf.modeling.top_k_comem import check_top_k, default_top_k

from .generation import cut_at, generation_settings, stop_strings
from .messages import Conversation, read_messages


logger = logging.get_logger(__name__)

WAYS = ("memory", "rag", "no_memory")


class CoMem(lmms):
    """A CoMEM model in lmms-eval, with what `--model_args` says.

    Args:
        pretrained (`str`, *optional*): Folder or Hub id of the model; the embedded one if not given.
        bank (`str`, *optional*): Folder or Hub id of the memory bank; for the embedded model, the embedded one if not
            given.
        way (`str`, *optional*, defaults to `"memory"`): `"memory"` (stored memory of the items found), `"rag"` (these
            items in the prompt) or `"no_memory"`.
        top_k (`int`, *optional*): Items to find for each question; 3, or what the model has slots for, if not given.
        min_score (`float`, *optional*): Least probability of items that are found by a picture, see
            [`MemoryBank.search`].
        picture_first (`bool`, *optional*): Whether pictures come before text, in questions and items. If not given,
            they do for the embedded model, as in its training, and for no other, as published.
        reader (`str`, *optional*, defaults to `"adapter"`): As for `from_pretrained`.
        revision, bank_revision (`str`, *optional*): Branch, tag or commit of model and bank on the Hub.
        allow_changed_model (`bool`, *optional*, defaults to `False`): As for [`MemoryBank.attach`].
        dtype (`str`, *optional*, defaults to `"auto"`): Type of the model's weights; the checkpoint's own by default.
        device (`str`, *optional*): The device; a CUDA device if there is one by default. Where several processes run,
            each has its own.
        batch_size (`int`, *optional*, defaults to `1`): Questions answered at a time.
        max_new_tokens (`int`, *optional*, defaults to `512`): Longest answer, in tokens, in tasks that name none.

    Raises:
        ValueError: If an argument is wrong, or model, bank and way do not belong together.
    """

    is_simple = False

    def __init__(
        self,
        pretrained: str | None = None,
        bank: str | None = None,
        way: str = "memory",
        top_k: int | None = None,
        min_score: float | None = None,
        picture_first: bool | None = None,
        reader: str = "adapter",
        revision: str | None = None,
        bank_revision: str | None = None,
        allow_changed_model: bool = False,
        dtype: str = "auto",
        device: str | None = None,
        batch_size: int | str = 1,
        max_new_tokens: int = 512,
    ):
        super().__init__()
        if way not in WAYS:
            raise ValueError(f"`way` must be one of {WAYS}, got {way!r}.")
        if not str(batch_size).isdecimal() or int(batch_size) < 1:
            raise ValueError(f"`batch_size` must be a number of questions, 1 or more, got {batch_size!r}.")
        if pretrained is not None and bank is None and way != "no_memory":
            raise ValueError(f"The way {way!r} needs `bank`, the memory bank of {pretrained!r}; or say way=no_memory.")
        self.batch_size = int(batch_size)
        self.max_new_tokens = max_new_tokens
        self.way = way
        self.picture_first = pretrained is None if picture_first is None else picture_first
        self.accelerator = Accelerator()
        self._rank, self._world_size = self.accelerator.process_index, self.accelerator.num_processes
        if self.world_size > 1:
            device = self.accelerator.device
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model, self.processor = _load(pretrained, revision, reader, dtype, self.device)
        self.top_k = default_top_k(self.model.config) if top_k is None else top_k
        if isinstance(self.top_k, bool) or not isinstance(self.top_k, int) or self.top_k < 1:
            raise ValueError(f"`top_k` must be a number of memory items, 1 or more, got {top_k!r}.")
        check_top_k(self.top_k, self.model.config)
        self.bank = None
        if way != "no_memory":
            self.bank = self._open_bank(bank, bank_revision, allow_changed_model)
            self.bank.check_min_score(min_score)
        self.min_score = min_score

    def generate_until(self, requests: list[Instance]) -> list[GenerationResult]:
        """Answer requests, in batches of the same generation settings.

        Args:
            requests (`list[Instance]`): The requests.

        Returns:
            `list[GenerationResult]`: The answers, with the positions before each and its tokens.
        """
        arguments = [request.args for request in requests]
        # Long prompts first: they are batched with others of their length, and memory runs out at once or never.
        collator = Collator(arguments, lambda one: -len(one[0]), group_fn=lambda one: one[2], grouping=True)
        results = []
        start = time.perf_counter()
        with tqdm(total=len(requests), disable=self.rank != 0, desc=f"comem, {self.way}") as bar:
            for batch in collator.get_batched(n=self.batch_size):
                answers = self._answer(batch)
                for (context, _, task, *_), answer in zip(batch, answers, strict=True):
                    self.cache_hook.add_partial("generate_until", (context, task), answer.text)
                results += answers
                bar.update(len(batch))
        seconds = time.perf_counter() - start
        tokens = sum(result.token_counts.output_tokens for result in results)
        log_metrics(total_elapsed_time=seconds, total_gen_tokens=tokens, avg_speed=tokens / max(seconds, 1e-9))
        return collator.get_original(results)

    def loglikelihood(self, requests: list[Instance]):
        """Refuse requests for likelihoods, which lmms-eval makes for models without messages only."""
        raise ValueError(_refusal("loglikelihood", requests))

    def generate_until_multi_round(self, requests: list[Instance]):
        """Refuse tasks of several rounds."""
        raise ValueError(_refusal("generate_until_multi_round", requests))

    def clean(self) -> None:
        """Free the memory of model and bank, as lmms-eval wants it before a judge is loaded."""
        self.bank = None
        super().clean()

    def _open_bank(self, name: str | None, revision: str | None, allow_changed_model: bool) -> MemoryBank:
        takes_items = self.model.config.num_memory_tokens > 0
        if self.way == "memory" and not takes_items:
            raise ValueError("The model has no memory encoder, and so uses no memory: say way=rag or way=no_memory.")
        bank = MemoryBank.from_pretrained(default_path("bank") if name is None else name, revision)
        # Without a memory encoder, the bank finds items by an embedder of its own.
        return (
            bank.attach(self.model, self.processor, allow_changed_model=allow_changed_model) if takes_items else bank
        )

    def _answer(self, batch: Sequence[tuple]) -> list[GenerationResult]:
        conversations = [
            read_messages(
                messages_of(self.task_dict[task][split][number]),
                f"{task}, document {number}",
                picture_first=self.picture_first,
            )
            for _, messages_of, _, number, task, split in batch
        ]
        inputs = self._inputs(conversations)
        positions = positions_by_question(inputs, self.model.config)
        short = self._short_enough(batch, positions)
        if len(short) < len(batch):
            answered = dict(zip(short, self._answer([batch[n] for n in short]) if short else (), strict=True))
            unasked = [GenerationResult("", TokenCounts(input_tokens=count, output_tokens=0)) for count in positions]
            return [answered.get(number, nothing) for number, nothing in enumerate(unasked)]
        task = batch[0][2]
        settings, stops = generation_settings(task, self.max_new_tokens), stop_strings(task)
        if stops:
            settings |= {"stop_strings": stops, "tokenizer": self.processor.tokenizer}
        sequences = generate_sequences(self.model, inputs, settings.pop("max_new_tokens"), settings)
        texts = read_texts(self.processor, inputs, sequences)
        lengths = [len(ids) for ids in self.processor.tokenizer(texts, add_special_tokens=False)["input_ids"]]
        return [
            GenerationResult(cut_at(text, stops).strip(), TokenCounts(input_tokens=count, output_tokens=length))
            for text, count, length in zip(texts, positions, lengths, strict=True)
        ]

    def _inputs(self, conversations: list[Conversation]):
        hits = self._find(conversations)
        items = memory = None
        if self.way == "rag":
            most = self.processor.memory_max_pixels
            items = [shown_items([hit.item for hit in row], EQUAL, most) for row in hits]
        elif any(hits):
            memory = self.bank.memory_inputs(hits)
        messages = [conversation.messages for conversation in conversations]
        pictures = [conversation.pictures for conversation in conversations]
        return conversation_inputs(self.processor, messages, pictures, items, memory, picture_first=self.picture_first)

    def _find(self, conversations: list[Conversation]) -> list[list[MemoryHit]]:
        """Search by the last picture of each conversation, or by the last question where there is none."""
        hits: list[list[MemoryHit]] = [[] for _ in conversations]
        if self.bank is None:
            return hits
        with_picture = [number for number, one in enumerate(conversations) if one.pictures]
        without = [number for number, one in enumerate(conversations) if not one.pictures]
        if without and not self.bank.searches_text:
            logger.warning_once(WITHOUT_BANK)
            without = []
        if with_picture:
            pictures = [conversations[n].pictures[-1] for n in with_picture]
            needed = self.min_score is not None
            rows = self.bank.search(image=pictures, k=self.top_k, min_score=self.min_score, probabilities=needed)
            for number, row in zip(with_picture, rows, strict=True):
                hits[number] = row
        if without:
            rows = self.bank.search(text=[conversations[n].question for n in without], k=self.top_k)
            for number, row in zip(without, rows, strict=True):
                hits[number] = row
        return hits

    def _short_enough(self, batch: Sequence[tuple], positions: list[int]) -> list[int]:
        """Return the places in a batch of the requests that the model has positions for, and name the others."""
        limit = position_limit(self.model.config)
        short = [place for place, count in enumerate(positions) if limit is None or count <= limit]
        for place in sorted({*range(len(batch))} - {*short}):
            _, _, _, number, task, _ = batch[place]
            logger.warning(
                f"{task}, document {number}: question, pictures and items take {positions[place]:,} positions, but "
                f"the model has {limit:,}. It is not asked, and its answer is empty."
            )
        return short


def _load(name: str | None, revision: str | None, reader: str, dtype: str, device: torch.device) -> tuple[Any, Any]:
    place = str(default_path("model")) if name is None else name
    of_hub = {} if revision is None else {"revision": revision}
    config = AutoConfig.from_pretrained(place, **of_hub)
    if not isinstance(config, CoMemConfig):  # before gigabytes of it are loaded
        raise ValueError(
            f"`pretrained` must be a CoMEM model, but {place!r} is a {config.model_type!r}, for which lmms-eval "
            "has a model of its own."
        )
    model = AutoModelForImageTextToText.from_pretrained(place, dtype=dtype, reader=reader, **of_hub).eval()
    return model.to(device), AutoProcessor.from_pretrained(place, **of_hub)


def _refusal(output_type: str, requests: list[Instance]) -> str:
    tasks = sorted({request.task_name for request in requests})
    return (
        f"The model `comem` answers tasks of the output type 'generate_until', but {', '.join(tasks)} asks for "
        f"{output_type!r}."
    )
