"""Networks, losses and the training loop of the models that otolith ships."""
