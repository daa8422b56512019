"""Networks, losses and the training loop of the models that otolith ships."""

import os

# Waiting threads sleep: spinning ones took five times the processor time on a machine that was busy with other work.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
