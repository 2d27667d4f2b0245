"""Fitting the probabilities of hits of a bank that exists."""

import numpy as np

from comem_hf.bank.calibrating.fit_calibration import fit_calibration
from comem_hf.bank.encoding.item_encoder import eval_mode
from comem_hf.bank.opened.state import BankState
from comem_hf.bank.pictures.decoder_warnings import decoder_warnings_logged

from .add_and_remove import check_writable
from .writer import BankWriter


def calibrate_bank(bank: BankState, model, batch_size: int) -> None:
    """Fit the probabilities of hits; see [`MemoryBank.calibrate`].

    Args:
        bank (`BankState`): The bank, with its embedder attached.
        model (`CoMemForConditionalGeneration`, *optional*): The model that is attached, in any mode.
        batch_size (`int`): Pictures per pass of the embedder.
    """
    if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
        raise ValueError(f"`batch_size` must be a positive integer, got {batch_size!r}.")
    check_writable(bank)
    embedder = bank.search.embedder()
    with BankWriter(bank.folder) as writer, decoder_warnings_logged():
        now = writer.before
        now.search.attach(embedder=embedder)  # refuses the embedder of another bank
        live = None
        if len(now.removed):
            live = np.ones(now.config.num_rows, dtype=bool)
            live[now.removed] = False
        try:
            if model is None:
                calibration = fit_calibration(now.index, now.items, live, embedder, now.config.metric, batch_size)
            else:
                with eval_mode(model):
                    calibration = fit_calibration(now.index, now.items, live, embedder, now.config.metric, batch_size)
        except ValueError as error:
            raise ValueError(f"The scores of the bank {str(bank.folder)!r} cannot be calibrated: {error}.") from error
        writer.calibrate(calibration)
        writer.commit()
