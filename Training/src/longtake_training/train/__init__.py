"""The stages of training, and variants of the trained model."""
