"""Building a memory bank: encode items shard by shard, so that an interrupted build goes on where it stopped."""

import operator
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

from transformers.utils import logging

from comem_hf.bank.calibrating.fit_calibration import fit_calibration
from comem_hf.bank.encoding.embedder import Embedder
from comem_hf.bank.encoding.fit import item_settings
from comem_hf.bank.encoding.input_rows import next_rows, read_rows
from comem_hf.bank.encoding.item_encoder import ItemEncoder, eval_mode
from comem_hf.bank.encoding.shrinking_batch import ends_build
from comem_hf.bank.encoding.skipped import SKIPPED_NAME, LeftOut, is_other_file, labelled, write_skipped
from comem_hf.bank.format.config import CONFIG_NAME, FIRST_PICTURE_RULES, BankConfig
from comem_hf.bank.format.file_names import WORDS_NAME, embeddings_name
from comem_hf.bank.format.items import StoredItems
from comem_hf.bank.format.precision import EXACT, check_precision, coarsest
from comem_hf.bank.format.vectors import stored_tokens
from comem_hf.bank.index.index import Index
from comem_hf.bank.index.kinds import IndexKind, make_index
from comem_hf.bank.pictures.decoder_warnings import decoder_warnings_logged
from comem_hf.bank.pictures.spool import PictureSpool
from comem_hf.bank.scores.calibration import MIN_ITEMS
from comem_hf.bank.words.bank_words import postings_of_items
from comem_hf.bank.words.tokens import WORD_RULES
from comem_hf.bank.words.words_file import write_words
from comem_hf.cards.bank_card import write_card
from comem_hf.cards.template import CARD_NAME
from comem_hf.files.whole_file import write_durably
from comem_hf.modeling.local_paths_comem import is_local
from comem_hf.modeling.memory_item import MemoryItem

from .build_settings import BuildSettings
from .processes import Processes
from .shard_builder import ShardBuilder, changed_items, input_digest
from .staging import Staging
from .texts import warn_about_texts


logger = logging.get_logger(__name__)


class BankBuilder:
    """Encodes memory items and writes them as a memory bank.

    Args:
        model (`CoMemForConditionalGeneration`): Encodes the items; run in eval mode, left in the mode it was in.
        processor (`CoMemProcessor`): Prepares the items.
        embedder (`Embedder`): Makes the items searchable.
        settings ([`BuildSettings`]): How the bank is built and stored.
        processes ([`Processes`]): The processes that build the bank together; each encodes a share of the shards.

    Raises:
        ValueError: If the model's vectors cannot be stored in `settings.dtype`.
    """

    def __init__(self, model, processor, embedder: Embedder, settings: BuildSettings, processes: Processes):
        check_precision(settings.dtype, model.config.hidden_size)
        self.num_memory_tokens = stored_tokens(settings.num_memory_tokens, model.config.num_memory_tokens)
        self.model = model
        self.processor = processor
        self.embedder = embedder
        self.settings = settings
        self.processes = processes
        encoder = ItemEncoder(model, processor, embedder, settings.batch_size, settings.dtype, self.num_memory_tokens)
        self.shards = ShardBuilder(encoder, settings.on_error)

    def build(self, items: Iterable[MemoryItem], output: Path, overwrite: bool = False) -> None:
        """Write a bank of `items` to `output`, or go on with an interrupted build of the same items.

        A shard holds the usable ones of `shard_size` consecutive items, so that every process knows its shards.

        Raises:
            ValueError: If no item is usable, or one is not and `on_error` is `"raise"`; if the items differ from those
                of the interrupted build; or if `output` cannot be used (see [`Staging`]).
            OSError: If no space is left; finished shards stay.
        """
        decisive = {
            "memory_fingerprint": self.model.memory_fingerprint(),
            "processor": item_settings(self.processor),
            "embedder": self.embedder.settings,
            "dtype": self.settings.dtype,
            "shard_size": self.settings.shard_size,
        }
        if self.num_memory_tokens < self.model.config.num_memory_tokens:
            decisive["num_memory_tokens"] = self.num_memory_tokens
        leader = self.processes.leader
        if leader and self.model.is_rounded():
            logger.warning(
                f"The model is loaded in {self.model.precision()}, and so are the vectors of this bank made: load it "
                "in float32 or bfloat16 to build a bank of exact ones."
            )
        if leader:
            IndexKind.of(self.settings.index_factory).check(output)
        with Staging(output, decisive, overwrite, leader) as staging:
            self.processes.wait()  # until the leader has opened the folder
            staging.wait_for(0)
            total = operator.length_hint(items) or None
            with (
                logging.tqdm(total=total, unit="item", desc="Encoding memories", disable=not leader) as progress,
                eval_mode(self.model),
                decoder_warnings_logged(),
            ):
                number, others = self._encode(items, staging, progress)
            self.processes.wait()
            if leader:
                staging.wait_for(number)
                for shard, digest in others.items():
                    if staging.shards[shard]["input_digest"] != digest:
                        raise ValueError("The processes got different items: give all the same items in one order.")
                if not staging.published:
                    self._finish(staging)
                staging.publish()
            self.processes.wait()

    def _encode(self, items: Iterable[MemoryItem], staging: Staging, progress) -> tuple[int, dict[int, str]]:
        """Encode this process's share of the shards that are not finished yet.

        Returns:
            `tuple[int, dict[int, str]]`: Number of shards; and for each shard that another process encodes, the digest
            of its items.
        """
        rows = read_rows(items, self.embedder)
        number, skipped, published, others = 0, 0, staging.published, {}
        while True:
            done, is_there = 0, number in staging.shards or published
            is_ours = not is_there and self.processes.owns(number)
            with PictureSpool(staging.work) if is_ours else nullcontext() as spool:
                shard = next_rows(rows, self.settings.shard_size, spool)
                if not shard:
                    break
                if is_there:
                    self.shards.check(staging, number, shard)
                elif is_ours:
                    done = self.shards.write(staging, number, shard, progress.update)
                else:
                    others[number] = input_digest(shard)
            progress.update(len(shard) - done)
            if number in staging.shards and staging.shards[number]["skipped"]:
                skipped += sum(not is_other_file(entry) for entry in staging.shards[number]["skipped"])
                if skipped:
                    progress.set_postfix(skipped=skipped)
            number += 1
        if missing := [shard for shard in staging.shards if shard >= number]:
            raise changed_items(staging, missing[0])
        return number, others

    def _finish(self, staging: Staging) -> None:
        """Put the bank together from all shards."""
        shards = [shard for shard in staging.shards.values() if shard["num_items"]]
        left_out = [
            entry for part in ("skipped", "repeated") for shard in staging.shards.values() for entry in shard[part]
        ]
        counts = LeftOut.of(left_out, sum(shard["input_items"] for shard in staging.shards.values()))
        if not shards:
            if not left_out:
                raise ValueError("There are no items to build a memory bank of.")
            first = labelled(next((entry for entry in left_out if not is_other_file(entry)), left_out[0]))
            if not counts.items:
                raise ValueError(f"There are no items to build a memory bank of; {counts.sentence()}. {first}")
            raise ValueError(f"None of the {counts.items} items can be used. {first}")
        embeddings = [embeddings_name(number) for number, shard in staging.shards.items() if shard["num_items"]]
        paths = [staging.work / name for name in embeddings]
        made = make_index(staging.bank, paths, self.settings.metric, self.settings.index_factory)
        index, files = made.index, {**staging.collect(), **made.files}
        config = BankConfig(
            num_items=len(index),
            num_memory_tokens=self.num_memory_tokens,
            hidden_size=self.model.config.hidden_size,
            memory_dtype=self.settings.dtype,
            memory_fingerprint=staging.settings["memory_fingerprint"],
            model=_model_reference(self.model),
            embedder=self.embedder.settings,
            embedding_size=index.embedding_size,
            shard_sizes=[shard["num_items"] for shard in shards],
            files=files,
            metric=self.settings.metric,
            index=made.block,
            license=self.settings.license,
            # A build that an older version began goes on with new rules.
            picture_rules=min(shard.get("picture_rules", FIRST_PICTURE_RULES) for shard in shards),
            cut_texts=warn_about_texts([shard["texts"] for shard in shards if "texts" in shard], len(index)),
            precision=coarsest(shard.get("precision", EXACT) for shard in shards),
            processor=staging.settings["processor"],
        )
        (staging.bank / CONFIG_NAME).write_text(config.to_json(), encoding="utf-8")  # else no items are read
        words = postings_of_items(StoredItems(staging.bank, config))
        files[WORDS_NAME] = write_durably(staging.bank / WORDS_NAME, lambda path: write_words(path, words))
        config.words = {"file": WORDS_NAME, "rules": WORD_RULES}
        config.calibration = self._calibrate(config, index, staging.bank)
        config.files[CARD_NAME] = write_card(staging.bank, config)
        write_skipped(staging.bank, left_out)
        config.save(staging.bank)
        if left_out:
            logger.warning(f"{counts.sentence()}; {str(staging.output / SKIPPED_NAME)!r} says why.")

    def _calibrate(self, config: BankConfig, index: Index, folder: Path) -> dict | None:
        """Fit the probabilities of hits; a bank for which that is not possible is a good bank without them."""
        try:
            with eval_mode(self.model), decoder_warnings_logged():
                items = StoredItems(folder, config)
                batch_size = self.settings.batch_size
                return fit_calibration(index, items, None, self.embedder, config.metric, batch_size).to_block()
        except Exception as error:  # an embedder of the user's own may raise anything at a picture of noise
            if ends_build(error):
                raise
            say = logger.info if config.num_items < MIN_ITEMS else logger.warning
            say(f"Hits of this bank have no probability, and `min_score` cannot be used with it: {error}.")
            return None


def _model_reference(model) -> dict:
    """Hub id and revision of a model; a local folder, which others do not have, is left out."""
    name = model.config._name_or_path
    if not name or is_local(name):
        return {"id": None, "revision": None}
    return {"id": name, "revision": getattr(model.config, "_commit_hash", None)}
