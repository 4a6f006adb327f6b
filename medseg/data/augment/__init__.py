"""Augmentation: settings and draws import no torch; `medseg.data.augment.apply` does."""
