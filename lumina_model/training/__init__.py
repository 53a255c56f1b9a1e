"""Training: one file per part (tokenizer, text encoder, autoencoder, flow), all driven by the same loop."""
