"""Datasets, prepared stores, labels and the catalogue of genres and movements."""
