"""Skeletons, rotations, kinematics and the ``Motion`` type. Nothing here knows about music or models."""
