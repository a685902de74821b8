"""What can be done to a dance that is there: one module for each kind of edit."""
