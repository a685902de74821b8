"""Noising, sampling, guidance, constraints and losses, shared by every denoiser."""
