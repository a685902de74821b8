"""Preparing data sets, recipes, and the training loop."""
