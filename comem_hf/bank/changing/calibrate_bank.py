"""Fitting the probabilities of hits of a bank that exists."""

from contextlib import nullcontext

import numpy as np

from comem_hf.bank.calibrating.fit_calibration import fit_calibration
from comem_hf.bank.encoding.item_encoder import eval_mode
from comem_hf.bank.opened.state import BankState
from comem_hf.bank.pictures.decoder_warnings import decoder_warnings_logged
from comem_hf.bank.scores.calibration import MIN_ITEMS

from .add_and_remove import check_writable
from .writer import BankWriter


def calibrate_bank(bank: BankState, model, pictures: int | None, batch_size: int, wait: float = 0) -> None:
    """Fit the probabilities of hits; see [`MemoryBank.calibrate`].

    Args:
        bank (`BankState`): The bank, with its embedder attached.
        model (`CoMemForConditionalGeneration`, *optional*): The model that is attached, in any mode.
        pictures (`int`, *optional*): Items to sample.
        batch_size (`int`): Pictures per pass of the embedder.
        wait (`float`, defaults to 0): Seconds to wait for another process that is changing the bank.
    """
    for name, value, least in (("pictures", pictures, MIN_ITEMS), ("batch_size", batch_size, 1)):
        is_default = name == "pictures" and value is None
        if not is_default and (not isinstance(value, int) or isinstance(value, bool) or value < least):
            raise ValueError(f"`{name}` must be an integer from {least}, got {value!r}.")
    check_writable(bank)
    embedder = bank.search.embedder()
    with BankWriter(bank.folder, wait) as writer, decoder_warnings_logged():
        now = writer.before
        now.search.attach(embedder=embedder)  # refuses the embedder of another bank
        live = None
        if len(now.removed):
            live = np.ones(now.config.num_rows, dtype=bool)
            live[now.removed] = False
        metric = now.config.metric
        try:
            with nullcontext() if model is None else eval_mode(model):
                calibration = fit_calibration(now.index, now.items, live, embedder, metric, batch_size, pictures)
        except ValueError as error:
            raise ValueError(f"The scores of the bank {str(bank.folder)!r} cannot be calibrated: {error}.") from error
        writer.calibrate(calibration)
        writer.commit()
