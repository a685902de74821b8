"""From a trained denoiser to a dance of any length: windows, refinement, and the models a user loads."""
