"""The pipeline `memory-image-text-to-text`: answers to questions about pictures, with the help of memory items."""

import copy
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import torch
from transformers import ImageTextToTextPipeline, Pipeline
from transformers.pipelines.image_text_to_text import Chat, ReturnType
from transformers.utils import logging

from .explanation_comem import as_stored, item_influences, shares_of
from .installation_comem import how_to_install
from .memory_item import FOUND_BY_PICTURE, MemoryItem
from .picture_comem import is_picture, load_image
from .pipeline_arguments_comem import (
    ANSWER_ARGUMENTS,
    MEMORY_ARGUMENTS,
    check_answer,
    check_is_bank,
    check_length,
    check_names,
    check_one_source,
    check_parts,
    check_search,
)
from .pipeline_samples_comem import (
    as_list,
    as_sample,
    as_samples,
    is_chat,
    last_question,
    parts_of,
    with_open_pictures,
    with_parts,
)
from .query_pictures_comem import count_prompt_positions
from .top_k_comem import default_top_k


logger = logging.get_logger(__name__)

PICTURE_INPUTS = ("pixel_values", "image_grid_thw")


class MemoryImageTextToTextPipeline(ImageTextToTextPipeline):
    """A pipeline that answers questions about pictures with memory items from a memory bank or from the caller.

    Args:
        model ([`CoMemForConditionalGeneration`]): The model.
        processor ([`CoMemProcessor`]): Its processor.
        memory_bank (*optional*): A bank of this model: an object with `search` and `memory_inputs` (one whose
            `searches_text` is `False` is searched by pictures only). If comem_hf is installed and imported, also the
            bank's folder or repository. The pipeline uses a copy, so the model that the object itself is attached to
            stays, and its later changes come into the pipeline by `pipeline.memory_bank.reload()`.
        allow_changed_model (`bool`, *optional*): Passed to the bank's `attach`: whether it only warns of a model whose
            weights are not those that made the bank. If not given, the bank's own choice stays.
        **kwargs: As for [`~transformers.ImageTextToTextPipeline`], and defaults for the arguments of calls.

    Raises:
        ValueError: If model, processor and bank do not belong together, an argument is unknown, or arguments of the
            search are given without a bank.

    A copy of a pipeline, deep or not, and one out of a pickle have the same bank and the same
    `allow_changed_model`. A pickle holds the name of a `MemoryBank` only: its folder or repository is opened again.

    Example:
    ```python
    ask = pipeline("memory-image-text-to-text", model="me/my-memory", memory_bank="me/my-bank")
    ask(images="flag.png", text="What is the capital of this country?", top_k=3)
    # => [{"generated_text": "Athens", "memories": [{"id": "GR", "score": 0.95, "probability": 0.15, ...}, ...]}]
    ```
    """

    bank_opener: ClassVar[Callable[[str | os.PathLike], Any] | None] = None
    """Function that opens a bank by its folder or repository; without it, only bank objects are accepted."""

    def __init__(self, model, processor=None, *, memory_bank=None, allow_changed_model=None, **kwargs):
        check_parts(model, processor, memory_bank, allow_changed_model)
        # Not passed to the parent: some of its versions take `top_k` for a setting of generation.
        memory_params = {name: kwargs.pop(name) for name in MEMORY_ARGUMENTS if name in kwargs}
        super().__init__(model=model, processor=processor, **kwargs)
        self.memory_bank = None if memory_bank is None else self._open_bank(memory_bank)
        self._forward_params.update(self._sanitize_parameters(**memory_params)[1])
        # The collation of batches uses this tokenizer, and prompts must end where the answer begins.
        self.tokenizer = copy.copy(processor.tokenizer)
        self.tokenizer.padding_side = "left"
        self._has_said_that_text_is_not_searched = False
        self._attach_options = {} if allow_changed_model is None else {"allow_changed_model": allow_changed_model}
        self._attach_bank()

    def __setstate__(self, state: dict[str, Any]):
        self.__dict__.update(state)
        self._attach_bank()  # a copied bank has the model of the original, and one out of a pickle has none

    def _attach_bank(self):
        if hasattr(self.memory_bank, "attach"):
            self.memory_bank = copy.copy(self.memory_bank)  # the object may be in use with another model
            self.memory_bank.attach(self.model, self.processor, **self._attach_options)  # refuses another model's bank

    def _open_bank(self, memory_bank):
        if isinstance(memory_bank, (str, os.PathLike)):
            if self.bank_opener is not None:
                return type(self).bank_opener(memory_bank)  # a function, not a method
            raise ValueError(
                f"`memory_bank={str(memory_bank)!r}` names a bank, which only comem_hf can open: {how_to_install()}, "
                "and `import comem_hf`, or give an object with `search` and `memory_inputs`."
            )
        check_is_bank(memory_bank)
        return memory_bank

    def _sanitize_parameters(self, **kwargs):
        check_names(kwargs)
        memory_params = {name: kwargs.pop(name) for name in MEMORY_ARGUMENTS if name in kwargs}
        check_search(memory_params, self.model.config, has_bank=getattr(self, "memory_bank", None) is not None)
        answer_params = {name: kwargs.pop(name) for name in ANSWER_ARGUMENTS if name in kwargs}
        check_answer(answer_params, self.model.config)
        if kwargs.get("generate_kwargs") is not None:
            kwargs["generate_kwargs"] = dict(kwargs["generate_kwargs"])  # the parent adds to it
        preprocess_params, forward_params, postprocess_params = super()._sanitize_parameters(**kwargs)
        # Otherwise `max_new_tokens` or `stop_sequence` of a call would replace all of the pipeline's own settings.
        own = getattr(self, "_forward_params", {}).get("generate_kwargs")
        if own and "generate_kwargs" in forward_params:
            forward_params["generate_kwargs"] = {**own, **forward_params["generate_kwargs"]}
        return preprocess_params, {**forward_params, **memory_params, **answer_params}, postprocess_params

    def __call__(self, images=None, text=None, memories=None, **kwargs):
        """Answer one question or several.

        Args:
            images (*optional*): A picture (a URL, or any form that [`load_image`] takes) or, for one text, a list of
                them. For a list of texts, a list with an entry for each: a picture, a list of pictures or `None`. Also
                a generator, data set (of torch or of `datasets`) or other iterable of samples, each a conversation or
                a mapping with `text` and optionally `images` and `memories`.
            text (`str`, conversation, or list of these, *optional*): Questions. A conversation is a list of messages
                `{"role", "content"}` with its pictures inside, as for [`~transformers.ImageTextToTextPipeline`].
            memories (*optional*): Memory items ([`MemoryItem`] or mappings of its fields) to be used instead of a
                bank's; for a list of texts, a list of items for each.
            top_k (`int`, *optional*, defaults to 3): Items to retrieve from the bank, by the sample's last picture, or
                by its last question if it has none; with 0 the bank is not used. A smaller bank gives all its items. A
                model whose slots hold fewer items (`config.max_items`) gets so many by default.
                Questions are searched for by their words in the items' texts where the bank's embedder embeds pictures
                only; one that shares no word with any text is answered without memory. A bank that cannot be searched
                by text is not used for samples without a picture, which a warning says once.
            where (`dict`, *optional*), text_weight (`float`, *optional*): As for the bank's `search`; with
                `text_weight` both picture and question are searched for.
            min_score (`float`, *optional*): As for the bank's `search`, by pictures: the least probability of items
                that they show the same thing. A sample for which nothing is found is answered without memory, and its
                `memories` are an empty list; so is one without a picture if the bank would search for words, whose
                hits have no probability, and a warning says that once.
            explain (`bool`, *optional*, defaults to `False`): Also say which item decided: `memories` then have
                `influence`, by how many nats the answer is less likely without that item, and `share`, from 0 to 1
                (see [`item_influences`] and [`shares_of`]). It takes one more forward pass over memory, prompt and
                answer, of a row for each item and one more.
            num_memory_tokens (`int`, *optional*): Use only the first so many vectors of each item, for a memory
                encoder that was trained with `nested_memory_lengths`; all by default.
            batch_size (`int`, *optional*, defaults to 1): Number of samples searched for and answered together.
            generate_kwargs (`dict`, *optional*): Arguments of `generate`, `streamer` and `memory_inputs` included, on
                top of those that were given to the pipeline.
            max_new_tokens (`int`, *optional*): Longest answer; defaults to the model's `generation_config`, else to
                256.
            return_full_text (`bool`, *optional*, defaults to `False`): Also return the question or conversation.
            **kwargs: As for [`~transformers.ImageTextToTextPipeline`].

        Returns:
            `list[dict]`: `generated_text` and `memories`, a list of `{"id", "score", "probability", "found_by",
            "text"}` in the order in which the model got them. `found_by` is `"picture"`, `"text"` or `"words"`, or two
            of them (see [`MemoryHit`]). Given items have no score and no `found_by` (`None`), and they and hits by
            words, or of a bank that is not calibrated, have no probability; with `explain` all have `influence` and
            `share` too. A list of such lists for a list of texts, an iterator of them for a generator or data set.

        Raises:
            ValueError: If the input is empty or of a wrong type, if numbers of texts, images and memories differ, if
                there are both a bank and given memory, if `top_k`, `where`, `text_weight` or `min_score` is given
                without a bank, if the bank has no probabilities for `min_score`, if `top_k` is more than the model's
                slots hold, if `explain` is given with `memory_inputs` in `generate_kwargs`, or if a prompt is longer
                than the model can take.
        """
        images, text, memories = as_list(images), as_list(text), as_list(memories)
        if text is None and not is_picture(images) or images is None and not isinstance(text, (str, list)):
            inputs = images if text is None else text
            if inputs is None or isinstance(inputs, list) and not inputs:
                raise ValueError("`text` is needed: a question, a conversation, or a list of these.")
            if memories is not None and not is_chat(inputs):
                raise ValueError("`memories` need `text`; a sample has its own memories, under the key 'memories'.")
            if is_chat(inputs):
                inputs = as_samples(None, inputs, memories)
            elif isinstance(inputs, Mapping):
                inputs = as_sample(inputs)
            elif isinstance(inputs, list):
                inputs = [as_sample(sample) for sample in inputs]
            elif isinstance(inputs, Iterable) and not isinstance(inputs, torch.utils.data.Dataset):
                inputs = (sample for sample in inputs)  # the parent does not accept a `datasets.Dataset`
        else:
            inputs = as_samples(images, text, memories)
        # All inputs are samples or iterables of samples now; the parent's own `__call__` would convert them.
        return Pipeline.__call__(self, inputs, **kwargs)

    def preprocess(self, inputs=None, timeout=None, **processing_kwargs):
        sample = as_sample(inputs)
        pictures = [load_image(image, urls=True, timeout=timeout) for image in sample["images"]]
        text = sample["text"]
        if isinstance(text, str):
            content = [*({"type": "image", "image": picture} for picture in pictures), {"type": "text", "text": text}]
            messages = [{"role": "user", "content": content}]
        else:
            messages = [with_open_pictures(message, timeout) for message in text]
            pictures = [part["image"] for part in parts_of(messages) if part.get("type") == "image"]
        model_inputs = super().preprocess(Chat(messages), timeout=timeout, **processing_kwargs)
        ids = model_inputs["input_ids"]
        check_length(count_prompt_positions(ids, torch.ones_like(ids), self.model.config), self.model.config)
        # For `return_full_text`, the caller's own input; a last message to be continued must consist of parts there.
        model_inputs["text"] = text if isinstance(text, str) else Chat([*text[:-1], with_parts(text[-1])])
        # The parent cannot collate a batch in which only some samples have pictures.
        model_inputs["sample"] = {
            "inputs": {name: model_inputs.pop(name) for name in PICTURE_INPUTS if name in model_inputs},
            "picture": pictures[-1] if pictures else None,
            "question": last_question(messages),
            "memories": sample["memories"],
        }
        return model_inputs

    def _forward(
        self,
        model_inputs,
        generate_kwargs=None,
        top_k=None,
        explain=False,
        num_memory_tokens=None,
        **search_kwargs,
    ):
        top_k = default_top_k(self.model.config) if top_k is None else top_k
        samples = model_inputs.pop("sample")
        samples = samples if isinstance(samples, list) else [samples]
        for name in PICTURE_INPUTS:
            tensors = [sample["inputs"][name] for sample in samples if name in sample["inputs"]]
            if tensors:
                model_inputs[name] = torch.cat(tensors)
        generate_kwargs = dict(generate_kwargs or {})
        memory_inputs = generate_kwargs.pop("memory_inputs", None)
        if explain and memory_inputs is not None:
            raise ValueError(
                "`explain` cannot be combined with `memory_inputs` in `generate_kwargs`, which have no `memories` to "
                "be shown with the answer: give `memories` or a bank, or call `generate` and `item_influences`."
            )
        memories, found = self._memories(samples, top_k, search_kwargs, given=memory_inputs is not None)
        if found is not None:
            if num_memory_tokens is not None:
                found["num_memory_tokens"] = num_memory_tokens
            memory_inputs = as_stored(self.model, found.to(self.device), len(samples)) if explain else found
        if memory_inputs is not None:
            model_inputs["memory_inputs"] = (
                memory_inputs.to(self.device) if hasattr(memory_inputs, "to") else memory_inputs
            )
        output = super()._forward(model_inputs, generate_kwargs)
        output = {**output, "memories": memories}
        if explain:
            output["influences"] = self._influences(model_inputs, output["generated_sequence"], generate_kwargs)
        return output

    def _influences(self, model_inputs, sequences: torch.Tensor, generate_kwargs: dict) -> torch.Tensor:
        """Return the influences of items, `(samples, answers to each, items)`."""
        count = len(model_inputs["input_ids"])
        sequences = sequences.reshape(-1, sequences.shape[-1])
        if "memory_inputs" not in model_inputs:
            return torch.zeros(count, len(sequences) // count, 0)
        settings = generate_kwargs.get("generation_config")
        ends = generate_kwargs.get("eos_token_id", getattr(settings, "eos_token_id", None))
        influences = item_influences(self.model, model_inputs, sequences, eos_token_id=ends)
        return influences.reshape(count, -1, influences.shape[-1])

    def _memories(self, samples: list[dict], top_k: int, search_kwargs: dict, given: bool):
        """Return the shown fields of each sample's memory items, and their `memory_inputs`, `None` without memory."""
        rows = [sample["memories"] for sample in samples]
        uses_bank = self.memory_bank is not None and top_k > 0
        sources = {
            "`memory_bank`": uses_bank,
            "`memories`": any(row is not None for row in rows),
            "`memory_inputs`": given,
        }
        check_one_source(sources)
        if uses_bank:
            hits = self._search(samples, top_k, search_kwargs)
            memories = [[_shown(hit.item, hit) for hit in row] for row in hits]
            return memories, self.memory_bank.memory_inputs(hits) if any(hits) else None
        rows = [row or [] for row in rows]
        memories = [[_shown(item) for item in row] for row in rows]
        return memories, self.processor.process_memories(rows) if any(rows) else None

    def _search(self, samples: list[dict], top_k: int, search_kwargs: dict) -> list[list]:
        """Search for all samples with a picture at once, and then for all samples without one if the bank can."""
        hits: list[list] = [[] for _ in samples]
        if search_kwargs.get("text_weight") and not self._searches_text():
            raise ValueError(f"{FOUND_BY_PICTURE}: leave out `text_weight={search_kwargs['text_weight']!r}`.")
        if search_kwargs.get("min_score") is not None and hasattr(self.memory_bank, "check_min_score"):
            self.memory_bank.check_min_score(search_kwargs["min_score"])
        for has_picture in (True, False):
            chosen = [n for n, sample in enumerate(samples) if (sample["picture"] is not None) == has_picture]
            if not chosen:
                continue
            if not has_picture and (reason := self._why_not_by_text(search_kwargs.get("min_score"))):
                if search_kwargs.get("where") is not None and hasattr(self.memory_bank, "check_where"):
                    self.memory_bank.check_where(search_kwargs["where"])
                self._say_that_text_is_not_searched(reason)
                continue
            queries = {"image": [samples[n]["picture"] for n in chosen]} if has_picture else {}
            if not has_picture or search_kwargs.get("text_weight"):
                queries["text"] = [samples[n]["question"] for n in chosen]
            for n, row in zip(chosen, self.memory_bank.search(**queries, k=top_k, **search_kwargs), strict=True):
                hits[n] = row
        return hits

    def _searches_text(self) -> bool:
        return getattr(self.memory_bank, "searches_text", getattr(self.memory_bank, "embeds_text", True))

    def _why_not_by_text(self, min_score: float | None) -> str | None:
        """Return why questions without a picture are not searched for, `None` if they are."""
        if not self._searches_text():
            return FOUND_BY_PICTURE
        if min_score is not None and not getattr(self.memory_bank, "embeds_text", True):
            return f"Items that are found by words have no probability for `min_score={min_score!r}`"
        return None

    def _say_that_text_is_not_searched(self, reason: str):
        if not self._has_said_that_text_is_not_searched:
            self._has_said_that_text_is_not_searched = True
            logger.warning(
                f"{reason}, so questions without a picture are answered without the bank. This is said once "
                "for this pipeline."
            )

    def postprocess(self, model_outputs, return_type=ReturnType.NEW_TEXT, **kwargs):
        memories = model_outputs.pop("memories")
        memories = memories[0] if memories and isinstance(memories[0], list) else memories
        influences = model_outputs.pop("influences", None)
        records = super().postprocess(model_outputs, return_type=return_type, **kwargs)
        for number, record in enumerate(records):
            record.pop("input_text", None)  # the caller has it
            record["memories"] = memories if influences is None else _explained(memories, influences[0, number])
        return records

    def save_pretrained(self, save_directory: str | os.PathLike, **kwargs):
        """Save model and processor, from which this pipeline can be made again; the bank is saved separately."""
        self.model.save_pretrained(save_directory, **kwargs)
        self.processor.save_pretrained(save_directory, **kwargs)


def _shown(item: MemoryItem, hit=None) -> dict[str, Any]:
    score = None if hit is None else float(hit.score)
    # A bank of another kind may have hits without them.
    probability, found_by = getattr(hit, "probability", None), getattr(hit, "found_by", None)
    return {"id": item.id, "score": score, "probability": probability, "found_by": found_by, "text": item.text}


def _explained(memories: list[dict[str, Any]], influences: torch.Tensor) -> list[dict[str, Any]]:
    influences = influences[: len(memories)]  # another sample of the batch may have more items
    rows = zip(memories, influences.tolist(), shares_of(influences).tolist(), strict=True)
    return [{**memory, "influence": influence, "share": share} for memory, influence, share in rows]


__all__ = ["MemoryImageTextToTextPipeline"]
