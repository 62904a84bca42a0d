"""LLaVA-Mini, CLIP and their tokenizers in PyTorch, and checkpoints in Hugging Face layout."""
