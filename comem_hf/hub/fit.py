"""Whether a memory bank fits a model."""


def refuse_unless_fitting(model_fingerprint: str | None, bank_fingerprint: str, model: str, bank: str) -> None:
    """Refuse a bank that another memory encoder made.

    Args:
        model_fingerprint (`str`, *optional*): Memory fingerprint of the model.
        bank_fingerprint (`str`): That in the bank's configuration.
        model, bank (`str`): What to call them.

    Raises:
        ValueError: If they differ, or the model's is not known.
    """
    if model_fingerprint is None:
        raise ValueError(
            f"Whether the bank {bank!r} fits cannot be told: config.json of {model!r} has no `memory_fingerprint`; "
            "load the model and save it again."
        )
    if model_fingerprint != bank_fingerprint:
        raise ValueError(
            f"The bank {bank!r} does not fit the model {model!r}: it was made by the memory encoder "
            f"{bank_fingerprint}, and this one is {model_fingerprint}."
        )
