"""A change to the framework, made in each rank before it is used."""


def apply() -> None:
    """Count what was never seen less."""
    from acme_primus import bigram

    bigram.SMOOTHING = 0.1
