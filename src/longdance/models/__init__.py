"""Networks: tensors in, tensors out. Nothing here reads files, samples noise or knows a song."""
