"""Everything after the model: steps that put a dance on the floor and on the beat, in one order for all uses."""
