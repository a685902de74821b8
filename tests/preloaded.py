"""What the processes of ``processes`` have in common, imported once in the process that they are forked from."""

import os
import warnings

os.environ["OMP_NUM_THREADS"] = "1"  # a process with threads cannot be forked safely

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import lightning.fabric  # noqa: F401
    import torch.utils.tensorboard  # noqa: F401

    import longdance.batch
    import longdance.train.recipes  # noqa: F401
