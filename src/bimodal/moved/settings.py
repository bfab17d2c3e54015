"""Old names of settings and their new names; read when a setting is unknown, or a stored run has an old name."""

from typing import Final

RENAMED: Final = {
    "average": "ema_decay", "baseline": "speaker_stats", "baseline_by": "speaker_stats_by",
    "baseline_strength": "speaker_stats_strength", "components": "pca_components",
    "encoder_rate": "encoder_lr_multiplier", "gradient_norm": "max_grad_norm", "heads": "ensemble_size",
    "heard_views": "tta", "noise": "input_noise_std", "parts": "n_folds", "scale": "embedding_norm",
    "shuffled_share": "shuffled_words_prob", "start": "init", "steps": "min_steps", "view_share": "augmentation_prob",
    "views": "augmentations",
}  # fmt: skip
"""Old names of settings and their new names. An old name is refused, and the error names the new one."""
