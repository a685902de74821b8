"""The runtime type checker that every function of the package is wrapped in while tests run."""

from beartype import BeartypeConf, beartype

# An int is fine where a float is asked for, as type checkers see it.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
