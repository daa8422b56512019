"""Songs generated from a seed: composed, rendered as stems, and mixed; training and evaluation material of the models."""
