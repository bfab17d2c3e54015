"""The losses by name: focal, the two readings of the affinity loss, and what they are compared with.

A new loss is one file of this folder, which makes a loss from a `LossSetup`, and one line of this table. Its name must
also stand in the `Literal` of `bimodal.config.LossConfig`, which imports no torch; a test compares both.
"""

from collections.abc import Callable, Mapping
from typing import Final

from bimodal.models.losses.focal import make_focal
from bimodal.models.losses.gaussian import make_gaussian
from bimodal.models.losses.pairwise import make_pairwise
from bimodal.models.losses.reference import make_centre, make_contrastive, make_logit_adjusted
from bimodal.models.losses.setup import BatchLoss, LossSetup

LOSSES: Final[Mapping[str, Mapping[str, Callable[[LossSetup], BatchLoss]]]] = {
    "classification": {
        "focal": make_focal,
        "logit_adjusted": make_logit_adjusted,
    },
    "affinity": {
        "pairwise": make_pairwise,
        "gaussian": make_gaussian,
        "centre": make_centre,
        "contrastive": make_contrastive,
    },
}
"""By setting of `LossConfig`: losses of the logits, and losses of the embeddings. `affinity` may also be `none`."""
