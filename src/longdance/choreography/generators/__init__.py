"""What makes a dance of what was prepared: one module for each model."""
